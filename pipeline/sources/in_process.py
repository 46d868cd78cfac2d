"""Open footage for decoding in this process."""

from __future__ import annotations

from pathlib import Path

from ..config.cameras import CameraConfig
from ..errors import SourceError
from .finding import find_footage
from .image_folder import ImageSource
from .video.file import VideoReader
from .video.segments import VideoSource

SMALLEST_SIDE, LONGEST_TO_SHORTEST = 16, 20  # pixels, ratio; people are at least 8 pixels high


def header_problem(path: Path) -> str:
    """Why a video file's header cannot be read, in one line; empty if it can."""
    try:
        with VideoReader(path):
            return ""
    except SourceError as error:
        return str(error)


def open_here(camera: str, config: CameraConfig) -> ImageSource | VideoSource:
    """Open a camera's footage for decoding in this process; as `open_source`, but a crash or a hang is the caller's."""
    try:
        footage = find_footage(config.source)
        kind = ImageSource if footage.kind == "images" else VideoSource
        source = kind(camera, config, footage.files)
        _check_size(config.source, source.width, source.height)
        return source
    except SourceError as error:
        raise SourceError(f"camera {camera}: {error}") from error


def _check_size(source: str, width: int, height: int) -> None:
    """Refuse footage of 8000x1 pixels and the like, of which no network's input could be made."""
    if min(width, height) < SMALLEST_SIDE or max(width, height) > LONGEST_TO_SHORTEST * min(width, height):
        raise SourceError(
            f"{source}: frames of {width}x{height} pixels cannot be analysed: each side must have at least "
            f"{SMALLEST_SIDE}, and the longer at most {LONGEST_TO_SHORTEST} times as many as the shorter"
        )
