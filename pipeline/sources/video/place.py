"""Where in a video a run can be continued: after which frame, and in which state the file's clock was."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..quiet import GreyPlane
from ..timestamps import ClockState

MARK_STEP = 16  # pixels between two that are compared: decoding the same frame again gives the same ones

Ticks = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]


class VideoPlace(BaseModel):
    """A frame of a camera's video files, and what is needed to go on after it.

    Attributes:
        file: 0-based number of the file.
        file_start_seconds: where it starts, since the camera's first frame.
        timestamp: the frame's, in ticks, as the file has it.
        mark: of the frame's pixels, see `mark_of`.
        clock: the file's clock after the frame.
        next_slot: of the thinning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    file: Annotated[int, Field(ge=0, lt=1 << 31)]
    file_start_seconds: float
    timestamp: Ticks
    mark: Annotated[int, Field(ge=0, lt=1 << 32)]
    clock: ClockState
    next_slot: Ticks


def mark_of(plane: GreyPlane) -> int:
    """A checksum of every 16th pixel of a frame's plane, uint8 (H, W), which tells it from its neighbours."""
    return zlib.crc32(plane[::MARK_STEP, ::MARK_STEP].tobytes())
