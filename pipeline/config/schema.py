"""What a config file may say, checked key by key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://")
DEVICE = re.compile(r"\d+|/dev/video\d+")  # how other programs name a camera on this machine

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Row = Annotated[list[float], Field(min_length=3, max_length=3)]
Homography = Annotated[list[Row], Field(min_length=3, max_length=3)]


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is read as UTC, so that a config means the same on every machine."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Section(BaseModel):
    """A part of the config; keys that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CameraConfig(Section):
    """One camera: where its footage is and how its clock reads."""

    source: str = Field(description="a video file, a folder of images, or a glob of recorded segments")
    start_time: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        default=None,
        description="UTC time of the first picture; without it, the footage starts at 1970-01-01T00:00:00Z",
    )
    offset: float = Field(
        default=0.0, ge=-1e9, le=1e9, description="seconds to add to every timestamp, to correct a clock that is off"
    )
    fps: float | None = Field(
        default=None,
        gt=0,
        description="analyse at most this many pictures per second; "
        "for a folder of images, also the rate they were taken at",
    )
    every: int = Field(default=1, ge=1, description="analyse every N-th picture")
    homography: Homography | None = Field(
        default=None, description="3x3 matrix from image pixels to the floor in metres"
    )

    @model_validator(mode="after")
    def _one_way_of_thinning(self) -> CameraConfig:
        if self.fps is not None and self.every != 1:
            raise ValueError("give either `every` or `fps`, not both")
        return self


class DetectorConfig(Section):
    """Who is in the picture."""

    weights: str = Field(
        default="person",
        description="`person` (bundled), or any ultralytics weights: a name, .pt, .onnx, OpenVINO, TensorRT",
    )
    confidence: Share = Field(default=0.1, description="boxes below this are not even given to the tracker")
    overlap: Share = Field(
        default=0.5, description="of two boxes that overlap more than this (IoU) the weaker is dropped"
    )
    image_size: int = Field(
        default=640, ge=32, multiple_of=32, description="long side in pixels that pictures are resized to"
    )
    batch: int = Field(default=4, ge=1, description="pictures per call, over all cameras")
    device: str = Field(default="cpu", description="where ultralytics weights run: cpu, cuda:0, ...")


class TrackerConfig(Section):
    """Who is the same from one picture to the next."""

    name: Literal["bytetrack", "botsort", "ocsort"] = Field(default="botsort", description="the tracking algorithm")
    new_track_confidence: Share = Field(default=0.5, description="a box must be at least this sure to start a track")
    high_confidence: Share = Field(default=0.35, description="boxes from here on are matched first")
    low_confidence: Share = Field(default=0.1, description="boxes from here on may still continue a track")
    match_cost: Share = Field(default=0.7, description="largest cost (1 - IoU, fused with confidence) of a match")
    lost_seconds: float = Field(default=1.0, gt=0, description="how long a track waits for its person to come back")


class AppearanceConfig(Section):
    """Which crops are embedded, and by what."""

    weights: str = Field(default="dpmpp", description="`dpmpp` (bundled), or the path of an exported ONNX model")
    batch: int = Field(default=8, ge=1, description="crops per call")
    interval_seconds: float = Field(default=1.0, gt=0, description="a person is embedded at most once in this time")
    crops_per_tracklet: int = Field(
        default=16, ge=1, description="embeddings kept of one tracklet, the best views first"
    )
    min_height_px: float = Field(default=40.0, ge=8, description="smaller boxes are tracked but not embedded")
    min_visible: Share = Field(default=0.3, description="boxes that others cover more are tracked but not embedded")


class LinkingConfig(Section):
    """Which tracklets are one person."""

    mode: Literal["joint", "query", "plain"] = Field(default="joint", description="how two masks enter the similarity")
    similarity: float = Field(default=0.45, ge=-1, le=1, description="less alike than this is a new identity")
    max_gap_seconds: float = Field(default=3600.0, gt=0, description="who was away longer comes back as a new identity")
    max_speed: float = Field(
        default=3.5,
        gt=0,
        description="metres per second; with homographies, links that need faster walking are refused",
    )
    min_observations: int = Field(default=5, ge=1, description="shorter tracklets get no identity")


class Config(Section):
    """The whole file."""

    cameras: dict[str, CameraConfig] = Field(min_length=1, description="the cameras, by name")
    database: str = Field(default="reidpipe.db", description="an SQLite file, or any SQLAlchemy URL")
    detector: DetectorConfig = DetectorConfig()
    tracker: TrackerConfig = TrackerConfig()
    appearance: AppearanceConfig = AppearanceConfig()
    linking: LinkingConfig = LinkingConfig()
    threads: int = Field(default=0, ge=0, description="threads for the networks; 0 takes one per core")
