"""The config file's schema: every key with its type, default, limits and description."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ...reid.wording import did_you_mean, shortened

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://")
DEVICE = re.compile(r"\d+|/dev/video\d+")  # how other programs name a webcam

DEFAULT_STALL_SECONDS = 60.0  # a sleeping disk or a busy network drive takes up to half a minute

LONGEST_TRANSIT = 300.0  # seconds, of transits between cameras: longer ones say little
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Row = Annotated[list[Annotated[float, Field(ge=-1e12, le=1e12)]], Field(min_length=3, max_length=3)]


FIRST_YEAR, LAST_YEAR = 1900, 2200  # of footage; an `offset` of 31 years then stays within the calendar
ILL_CONDITIONED = 1e-12  # determinant of a homography relative to the lengths of its rows; cameras have over 1e-3


def _in_utc(moment: datetime) -> datetime:
    """Convert to UTC; a time without a zone is UTC, so that a config means the same on every machine."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {moment.year}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
FloorPoint = tuple[Coordinate, Coordinate, Coordinate, Coordinate]  # x, y in pixels; x, y in metres
FEWEST_POINTS, MOST_POINTS = 4, 1000  # of a homography given by points
FEWEST_PLAN_POINTS = 3
LEAST_SPREAD = 1e-3  # of points across the line along which they lie
MOST_STRETCHED = 1.1  # a plan in one direction, of the other; scanned plans are within 1.02


def _invertible(rows: list[list[float]]) -> list[list[float]]:
    """Refuse a matrix that maps the image to a line or a point: no position could be computed with it."""
    first, second, third = rows
    cross = [second[i - 2] * third[i - 1] - second[i - 1] * third[i - 2] for i in range(3)]
    determinant = sum(one * other for one, other in zip(first, cross, strict=True))
    lengths = math.hypot(*first) * math.hypot(*second) * math.hypot(*third)
    if not abs(determinant) > ILL_CONDITIONED * lengths:
        raise ValueError("cannot be inverted: it maps the whole image to a line or a point; calibrate the camera again")
    return rows


def _fitted(points: list[FloorPoint]) -> list[list[float]]:
    """The homography that fits points best, by least squares."""
    import cv2
    import numpy as np

    if not FEWEST_POINTS <= len(points) <= MOST_POINTS:
        raise ValueError(f"floor_points: expected {FEWEST_POINTS} to {MOST_POINTS} points, got {len(points)}")
    given = np.array(points, np.float64)  # (N, 4)
    found, _ = cv2.findHomography(given[:, :2], given[:, 2:])
    if found is None or not np.isfinite(found).all():
        raise ValueError("floor_points give no homography: expected points that do not lie on one line")
    return _invertible([[float(value) for value in row] for row in found])


def _fitted_plan(points: list[FloorPoint]) -> list[list[float]]:
    """The affine map from a plan's pixels to metres that fits points best, by least squares, as 3x3 rows."""
    import numpy as np

    if not FEWEST_PLAN_POINTS <= len(points) <= MOST_POINTS:
        raise ValueError(f"points: expected {FEWEST_PLAN_POINTS} to {MOST_POINTS} points, got {len(points)}")
    given = np.array(points, np.float64)  # (N, 4)
    middle = given.mean(0)  # (4,)
    away = given - middle
    spread = np.linalg.svd(away[:, :2], compute_uv=False)  # (2,)
    if not spread[1] > LEAST_SPREAD * spread[0]:
        raise ValueError("points: expected three that do not lie on one line")
    linear = np.linalg.lstsq(away[:, :2], away[:, 2:], rcond=None)[0].T  # (2, 2)
    long, short = np.linalg.svd(linear, compute_uv=False)
    if not 0 < long <= MOST_STRETCHED * short:
        raise ValueError("points: no plan to scale has these places: one of the points is mistaken, or x and y are "
                         "mixed up")
    shift = middle[2:] - linear @ middle[:2]
    return [[float(value) for value in row] for row in (*np.column_stack([linear, shift]), (0, 0, 1))]


Homography = Annotated[list[Row], Field(min_length=3, max_length=3), AfterValidator(_invertible)]


class Section(BaseModel):
    """A section of the config; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CameraConfig(Section):
    """One camera: its footage, its clock and its place on the floor."""

    source: str = Field(description="a video file, a folder of images, or a glob pattern of video segments")
    start_time: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        default=None,
        description="UTC time of the first frame, for all cameras or for none; without it, all footage starts together "
        "at 1970-01-01T00:00:00Z",
    )
    offset: float = Field(
        default=0.0, ge=-1e9, le=1e9, description="seconds added to every timestamp, to correct an inaccurate clock"
    )
    fps: float | None = Field(
        default=None,
        ge=0.001,
        le=1000,
        description="analyse at most this many frames per second; "
        "for a folder of images, the frame rate at which they were taken",
    )
    every: int = Field(default=1, ge=1, le=1_000_000, description="analyse every N-th frame only")
    homography: Homography | None = Field(
        default=None, description="3x3 matrix from image pixels to metres on a floor plan shared by all cameras"
    )
    floor_points: list[FloorPoint] | None = Field(
        default=None,
        description="instead of a homography: four or more points on the floor, each as x and y in pixels, then x and "
        "y in metres",
    )

    @property
    def pixels_to_floor(self) -> list[list[float]] | None:
        """The homography as it is given, or as the floor points give it; None without either."""
        return self.homography if self.floor_points is None else _fitted(self.floor_points)

    @model_validator(mode="after")
    def _either_one_or_the_other(self) -> CameraConfig:
        if self.fps is not None and self.every != 1:
            raise ValueError("give either `every` or `fps`, not both")
        if self.homography is not None and self.floor_points is not None:
            raise ValueError("give either `homography` or `floor_points`, not both")
        if self.floor_points is not None:
            _fitted(self.floor_points)
        return self


class SourcesConfig(Section):
    """How footage is read, for all cameras."""

    stall_seconds: float = Field(
        default=DEFAULT_STALL_SECONDS, ge=1, le=86400,
        description="a camera whose footage cannot be opened in this time, or whose decoding makes no progress for as "
        "long, ends; the others go on",
    )
    isolate: bool = Field(
        default=True,
        description="decode every camera in a process of its own, so that a crash or running out of memory inside a "
        "decoder ends that camera only; `false` decodes in threads and uses less memory",
    )


class DetectorConfig(Section):
    """Detection of people."""

    weights: str = Field(
        default="person",
        description="`person` (bundled), an ONNX file, an OpenVINO folder, or with --trust-weights any weights or "
        "model name of ultralytics",
    )
    precision: Literal["auto", "float", "int8"] = Field(
        default="auto",
        description="of the bundled detector: `int8` is faster; `auto` takes it where the processor has instructions "
        "for it",
    )
    confidence: Share = Field(default=0.1, description="lowest confidence of a box that reaches the tracker")
    overlap: Share = Field(
        default=0.5, description="of two boxes with a larger IoU, the less confident is suppressed"
    )
    image_size: int = Field(
        default=640, ge=32, le=4096, multiple_of=32, description="long side of the network's input in pixels"
    )
    batch: int = Field(default=4, ge=1, le=256, description="frames per batch, over all cameras")
    quiet_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="a frame in which nothing has moved since the last one that was searched has its detections, for "
        "at most this long; 0 searches every frame",
    )
    device: str = Field(default="cpu", description="device of ultralytics weights: cpu, cuda:0, ...")


class TrackerConfig(Section):
    """Tracking within one camera."""

    name: Literal["masked", "bytetrack", "botsort", "ocsort"] = Field(
        default="masked",
        description="the tracking algorithm: ours (`masked`), which also uses appearance and needs no PyTorch, or one "
        "of ultralytics'",
    )
    new_track_confidence: Share = Field(default=0.5, description="lowest confidence of a box that starts a track")
    high_confidence: Share = Field(default=0.35, description="boxes of at least this confidence are matched first")
    low_confidence: Share = Field(default=0.1, description="boxes of at least this confidence may continue a track")
    match_cost: Share = Field(default=0.7, description="largest cost (1 - IoU) of a match")
    lost_seconds: float = Field(
        default=2.0, gt=0, le=3600, description="a track that is not observed for longer than this ends"
    )
    fill_seconds: float = Field(
        default=1.0, ge=0, le=10,
        description="gaps of a track up to this are filled by interpolated boxes, which are marked and never count as "
        "observations; 0: never",
    )
    appearance: Literal["masked", "plain", "none"] = Field(
        default="masked",
        description="how `masked` compares crops to keep people apart: by what both masks show, by everything, or not "
        "at all",
    )
    crops_per_second: float = Field(
        default=2.0, ge=0, le=1000,
        description="budget: most crops embedded per second and tracked person, for tracking and linking together",
    )
    split_similarity: float = Field(
        default=0.4, ge=-1, le=1,
        description="a track that has ended is split where somebody else seems to go on, because crops before and "
        "after are less similar than this; -1: never",
    )


class AppearanceConfig(Section):
    """Which crops are embedded, and by which model."""

    weights: str = Field(
        default="accurate",
        description="`accurate`, `permissive` (less sure, but trained on no data for research only), `fast` (five "
        "times faster, less sure) or `dpmpp` (with a mask, but it knows little beyond its training cameras), all "
        "bundled; or the path of an exported ONNX model",
    )
    interval_seconds: float = Field(
        default=1.0, gt=0, le=86_400,
        description="each track in plain view is embedded once per interval; more often where it decides who is who",
    )
    crops_per_tracklet: int = Field(
        default=16, ge=1, le=1000, description="most embeddings kept per tracklet, those of the best crops"
    )
    min_height_px: float = Field(default=40.0, ge=8, le=100_000, description="lower boxes are tracked but not embedded")
    min_visible: Share = Field(
        default=0.3, description="boxes of which a smaller share is visible are tracked but not embedded"
    )


class CalibrationConfig(Section):
    """Weights of the probability that a link is right: a logistic regression, for one appearance model."""

    similarity: float = Field(default=10.2, ge=0, le=1e6, description="log-odds per 1 of masked similarity")
    motion: float = Field(
        default=0.57, ge=0, le=1e6, description="weight of the log-likelihood ratio of the positions on the floor"
    )
    bias: float = Field(default=-5.2, ge=-1e6, le=1e6, description="log-odds where both are 0")
    level: float = Field(
        default=0.3, ge=-1, le=1,
        description="usual similarity of a tracklet to the three most similar ones of people who surely are others",
    )


class TransitConfig(Section):
    """How long people take from one camera's view to another's."""

    leaves: str = Field(description="camera whose view they leave")
    enters: str = Field(description="camera in which they are seen next")
    seconds: tuple[float, float] = Field(description="usual time between, from and to, such as [5, 20]")

    @field_validator("seconds")
    @classmethod
    def _rising(cls, seconds: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= seconds[0] < seconds[1] <= LONGEST_TRANSIT:
            raise ValueError(f"expected two rising numbers from 0 to {LONGEST_TRANSIT:g}")
        return seconds


class LinkingConfig(Section):
    """Linking of tracklets to identities over all cameras."""

    mode: Literal["joint", "query", "plain"] = Field(
        default="joint", description="weights of the similarity: both masks (`joint`), one (`query`) or none (`plain`)"
    )
    false_link_rate: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="a link may be wrong with this probability; if it is less sure, a new identity begins",
    )
    self_calibration: bool = Field(
        default=True,
        description="compare similarities with those of people who are seen at the same time, and so are others",
    )
    learn_transits: bool = Field(
        default=True,
        description="learn from sure links where people go next and how long they take, and use it as evidence",
    )
    transits: list[TransitConfig] = Field(
        default_factory=list, max_length=10_000,
        description="what is known of this from the beginning: `[{leaves: door, enters: aisle, seconds: [2, 10]}]`; "
        "name all ways that people usually take out of a camera's view",
    )
    calibration: CalibrationConfig = CalibrationConfig()
    max_gap_seconds: float = Field(
        default=3600.0, gt=0, le=1e9, description="a person away for longer becomes a new identity"
    )
    overlaps: list[tuple[str, str]] | None = Field(
        default=None, max_length=100_000,
        description="pairs of cameras whose views share a place, such as `[[door, aisle]]`; nobody is in two other "
        "cameras at a time. By default any two may overlap where the floor is unknown",
    )
    max_speed: float = Field(
        default=3.5,
        gt=0,
        le=1000,
        description="highest walking speed in metres per second; with homographies, faster links are refused",
    )
    min_observations: int = Field(
        default=5, ge=1, le=1_000_000, description="tracklets with fewer boxes get no identity"
    )
    min_confidence: Share = Field(
        default=0.4,
        description="tracklets whose boxes have a lower mean confidence get no identity: many are no people",
    )
    min_seconds: float = Field(
        default=5.0, ge=0, le=3600,
        description="an identity begins when its tracklets together last so long; until then they are undecided",
    )


class FloorPlanConfig(Section):
    """A picture of the floor from above, which the review page shows under the paths of people."""

    image: str | None = Field(
        default=None,
        description="a PNG, JPEG or WebP file, of which the run stores a copy; the page then draws paths over it",
    )
    metres_per_pixel: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        default=None, description="scale of the picture"
    )
    origin: tuple[Coordinate, Coordinate] | None = Field(
        default=None,
        description="with the scale: x and y in pixels of the place that is 0, 0 in metres; metres then grow to the "
        "right and upwards",
    )
    points: list[FloorPoint] | None = Field(
        default=None,
        description="instead of scale and origin: three or more places, each as x and y in pixels of the picture, then "
        "x and y in metres",
    )

    @property
    def pixels_to_floor(self) -> list[list[float]] | None:
        """The map from the picture's pixels to metres, 3x3; None without a picture."""
        if self.points is not None:
            return _fitted_plan(self.points)
        if self.metres_per_pixel is None or self.origin is None:
            return None
        scale, (x, y) = self.metres_per_pixel, self.origin
        return [[scale, 0.0, -scale * x], [0.0, -scale, scale * y], [0.0, 0.0, 1.0]]

    @model_validator(mode="after")
    def _complete(self) -> FloorPlanConfig:
        by_scale = self.metres_per_pixel, self.origin
        if self.image is None:
            if by_scale != (None, None) or self.points is not None:
                raise ValueError("give the picture as `image`")
            return self
        if self.points is not None and by_scale != (None, None):
            raise ValueError("give either `points`, or `metres_per_pixel` and `origin`, not both")
        if self.points is None and None in by_scale:
            raise ValueError("say where the picture lies: give `metres_per_pixel` and `origin`, or `points`")
        if self.points is not None:
            _fitted_plan(self.points)
        return self


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
    database: str = Field(default="reidpipe.db", description="path of an SQLite file, or an SQLAlchemy URL")
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
