"""Sections about cameras: their footage, clocks and places, how they are read, and the plan of their floor."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from .homography import Coordinate, FloorPoint, Homography, fitted_homography, fitted_plan
from .section import Section, Text

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://")
DEVICE = re.compile(r"\d+|/dev/video\d+")  # how other programs name a webcam

DEFAULT_STALL_SECONDS = 60.0  # a sleeping disk or a busy network drive takes up to half a minute
FIRST_YEAR, LAST_YEAR = 1900, 2200  # of footage; an `offset` of 31 years then stays within the calendar


def _in_utc(moment: datetime) -> datetime:
    """Convert to UTC; a time without a zone is UTC, so that a config means the same on every machine."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {moment.year}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class CameraConfig(Section):
    """One camera: its footage, its clock and its place on the floor."""

    source: Text = Field(description="a video file, a folder of images, or a glob pattern of video segments")
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
        return self.homography if self.floor_points is None else fitted_homography(self.floor_points)

    @model_validator(mode="after")
    def _either_one_or_the_other(self) -> CameraConfig:
        if self.fps is not None and self.every != 1:
            raise ValueError("give either `every` or `fps`, not both")
        if self.homography is not None and self.floor_points is not None:
            raise ValueError("give either `homography` or `floor_points`, not both")
        if self.floor_points is not None:
            fitted_homography(self.floor_points)
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


class FloorPlanConfig(Section):
    """A picture of the floor from above, which the review page shows under the paths of people."""

    image: Text | None = Field(
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
            return fitted_plan(self.points)
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
            fitted_plan(self.points)
        return self
