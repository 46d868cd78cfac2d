"""The config file's schema: every key with its type, default, limits and description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from ...reid.wording import did_you_mean, shortened
from .cameras import CameraConfig, FloorPlanConfig, SourcesConfig
from .linking import LinkingConfig
from .section import Section, Text
from .stages import AppearanceConfig, DetectorConfig, TrackerConfig

Days = Annotated[float, Field(ge=0, le=36_500)]


class RetentionConfig(Section):
    """How long `reidpipe prune` keeps results; their age counts from their time in the footage."""

    crops_days: Days | None = Field(default=None, description="pictures of people; by default they are kept")
    appearances_days: Days | None = Field(
        default=None, description="embeddings and masks, without which a run cannot be linked again; by default kept"
    )
    observations_days: Days | None = Field(
        default=None, description="boxes, without which nothing can be exported or rendered; by default kept"
    )


class Config(Section):
    """The whole config file."""

    cameras: dict[str, CameraConfig] = Field(min_length=1, description="the cameras by name")
    database: Text = Field(default="reidpipe.db", description="path of an SQLite file, or an SQLAlchemy URL")
    access: Literal["owner", "group", "everyone"] = Field(
        default="owner",
        description="who may read a new database and the exports and videos of its runs, whatever the umask: `owner` "
        "(files 0600, folders 0700), `group` (0660, 0770, may also write), or `everyone` (0664, 0775)",
    )
    sources: SourcesConfig = SourcesConfig()
    detector: DetectorConfig = DetectorConfig()
    tracker: TrackerConfig = TrackerConfig()
    appearance: AppearanceConfig = AppearanceConfig()
    linking: LinkingConfig = LinkingConfig()
    floor_plan: FloorPlanConfig = FloorPlanConfig()
    retention: RetentionConfig = RetentionConfig()
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="threads of each network, at most one per core; 0 means one per core",
    )
    _written: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)

    @field_validator("cameras")
    @classmethod
    def _start_time_for_all_or_none(cls, cameras: dict[str, CameraConfig]) -> dict[str, CameraConfig]:
        """Cameras without a start_time would be decades away from the others and never be linked to them."""
        timed = [name for name, camera in cameras.items() if camera.start_time is not None]
        untimed = [name for name, camera in cameras.items() if camera.start_time is None]
        if timed and untimed:
            raise ValueError(
                f"{timed[0]} has a start_time, {untimed[0]} has none: give one to all cameras or to none"
            )
        return cameras

    @field_validator("linking")
    @classmethod
    def _places_are_cameras(cls, linking: LinkingConfig, info: ValidationInfo) -> LinkingConfig:
        cameras = info.data.get("cameras", {})  # empty if they are not valid
        named = [("overlaps", name) for pair in linking.overlaps or [] for name in pair]
        named += [("transits", name) for one in linking.transits for name in (one.leaves, one.enters)]
        for key, name in named if cameras else []:
            if name not in cameras:
                raise ValueError(f'{key}: no camera "{shortened(name)}"{did_you_mean(name, cameras)}')
        for one, other in linking.overlaps or []:
            if one == other:
                raise ValueError(f'overlaps: expected two cameras, got "{shortened(one)}" twice')
        return linking

    def keep_written(self, written: dict[tuple[str, ...], str]) -> None:
        """Keep the texts that had a reference to the environment or to a file, by their keys, as they are written."""
        self._written.update(written)

    def as_written(self) -> dict[str, Any]:
        """The config as JSON values, to be stored: with references instead of the values that they stand for."""
        content = self.model_dump(mode="json")
        for place in text_values(self).keys() & self._written.keys():
            section = content
            for key in place[:-1]:
                section = section[key]
            section[place[-1]] = self._written[place]
        return content


def text_values(config: Config) -> dict[tuple[str, ...], str]:
    """Every text of a config by its keys."""

    def texts(content: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        if isinstance(content, dict):
            for key, value in content.items():
                yield from texts(value, (*place, key))
        elif isinstance(content, str):
            yield place, content

    return dict(texts(config.model_dump(mode="json"), ()))
