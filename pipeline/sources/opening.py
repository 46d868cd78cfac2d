"""Find and open the footage that a camera's `source` names."""

from __future__ import annotations

import glob
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from ...reid.wording import counted, did_you_mean, natural_order
from ..config.cameras import ADDRESS, DEVICE, CameraConfig, SourcesConfig
from ..credentials import address_without_credentials
from ..errors import SourceError
from ..types import Frame, Place
from .background import in_background
from .counts import FootageCounts, describe
from .image_folder import IMAGE_SUFFIXES, ImageSource
from .isolation.isolated_source import IsolatedSource, isolated_problems
from .quiet import QuietScene
from .video.file import VideoReader
from .video.segments import VideoSource

SMALLEST_SIDE, LONGEST_TO_SHORTEST = 16, 20  # pixels, ratio; people are at least 8 pixels high
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v", ".webm", ".264", ".h264", ".265"})


class Source(Protocol):
    """One camera's footage.

    Attributes:
        camera: the camera's name in the config.
        width, height: pixels of every frame.
        fps: nominal frames per second of the footage, before thinning.
        start_seconds: UTC epoch seconds of the first frame.
        frame_count: estimated number of frames; None if unknown.
        duration_seconds: estimated length; None if unknown.
        counts: what was decoded so far; final once frames() has ended.
    """

    camera: str
    width: int
    height: int
    fps: float
    start_seconds: float
    frame_count: int | None
    duration_seconds: float | None
    counts: FootageCounts

    def continue_after(self, place: Place) -> None:
        """Leave out the frames up to a place that an earlier source of the same footage gave; before `frames`."""
        ...

    def frames(self, stop: threading.Event, quiet: QuietScene | None = None) -> Iterator[Frame]:
        """Decode the footage once, from start to end or until `stop` is set.

        Args:
            stop: once set, no further frame is yielded.
            quiet: a new one, that tells quiet frames apart while they are decoded; without it no frame is quiet.
        """
        ...


@dataclass(frozen=True, slots=True)
class Footage:
    """The files that a config's `source` names.

    Attributes:
        kind: one video, images, or consecutive video segments.
        files: in reading order.
    """

    kind: Literal["video", "images", "segments"]
    files: tuple[Path, ...]


def open_source(camera: str, config: CameraConfig, settings: SourcesConfig | None = None) -> Source:
    """Find a camera's footage and decode its first frame, so that bad footage is reported before the run.

    Args:
        camera: the camera's name.
        config: its section of the config; a relative `source` is resolved against the working folder.
        settings: the `sources` section of the config; the defaults if None.

    Raises:
        SourceError: one line that names the camera and the file and says what to do.
    """
    settings = settings or SourcesConfig()
    if settings.isolate:
        return IsolatedSource(camera, config, settings)
    try:
        return in_background(partial(_open_or_say_why, camera, config)).result(settings.stall_seconds)
    except TimeoutError as error:
        raise SourceError(f"camera {camera}: cannot be opened within {settings.stall_seconds:g} s: check the file "
                          "and its disk, or raise sources.stall_seconds") from error


def _open_or_say_why(camera: str, config: CameraConfig) -> Source:
    try:
        return open_here(camera, config)
    except SourceError:
        raise
    except Exception as error:  # the thread's outermost loop: libraries raise many kinds on damaged footage
        raise SourceError(f"camera {camera}: {config.source}: {describe(error)}") from error


def open_sources(
    cameras: Mapping[str, CameraConfig], settings: SourcesConfig
) -> tuple[dict[str, Source], dict[str, SourceError]]:
    """Open all cameras at once, so that one that hangs delays no other; returns those that opened, and errors.

    Args:
        cameras: sections of the config by name.
        settings: the `sources` section.
    """
    opening = {
        name: in_background(partial(open_source, name, config, settings)) for name, config in cameras.items()
    }
    opened: dict[str, Source] = {}
    failed: dict[str, SourceError] = {}
    for name, future in opening.items():
        try:
            opened[name] = future.result()
        except SourceError as error:
            failed[name] = error
    return opened, failed


def unreadable(files: Sequence[Path], settings: SourcesConfig | None = None) -> list[str]:
    """One line per video file whose header cannot be read."""
    settings = settings or SourcesConfig()
    if settings.isolate:
        return isolated_problems(files, settings)
    return [problem for problem in map(header_problem, files) if problem]


def header_problem(path: Path) -> str:
    """Why a video file's header cannot be read, in one line; empty if it can."""
    try:
        with VideoReader(path):
            return ""
    except SourceError as error:
        return str(error)


def open_here(camera: str, config: CameraConfig) -> Source:
    """Open a camera's footage for decoding in this process; as `open_source`, but a crash or a hang is the caller's."""
    try:
        footage = find_footage(config.source)
        kind = ImageSource if footage.kind == "images" else VideoSource
        source: Source = kind(camera, config, footage.files)
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


def find_footage(source: str) -> Footage:
    """The files that a `source` names.

    Raises:
        SourceError: there are none, or they cannot be read.
    """
    if ADDRESS.match(source) or DEVICE.fullmatch(source):
        raise SourceError(
            f"{address_without_credentials(source)}: live sources are not supported yet; record them and give the files"
        )
    try:
        return _files_at(source)
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror}") from error


def _files_at(source: str) -> Footage:
    path = Path(source)
    if path.is_dir():
        return _images_in(path)
    if path.exists():
        return Footage("images" if _is_image(path) else "video", (path,))
    if glob.has_magic(source):
        return _matching(source)
    if not path.parent.is_dir():
        raise SourceError(f"{source}: no such file; there is no folder {path.parent}")
    names = [entry.name for entry in path.parent.iterdir()]
    raise SourceError(f"{source}: no such file{did_you_mean(path.name, names) or '; check the path'}")


def _images_in(folder: Path) -> Footage:
    files = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    images = sorted((file for file in files if _is_image(file)), key=lambda file: natural_order(file.name))
    if images:
        return Footage("images", tuple(images))
    videos = sorted({file.suffix for file in files if file.suffix.lower() in VIDEO_SUFFIXES})
    if videos:
        raise SourceError(f"{folder}: is a folder of videos; to join them in order, give {folder}/*{videos[0]}")
    found = f"it holds {counted(len(files), 'other file')}" if files else "it is empty"
    raise SourceError(f"{folder}: is a folder without images, {found}; give a video file, or a folder of .jpg or .png")


def _matching(pattern: str) -> Footage:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
    files = [file for file in map(Path, sorted(names, key=natural_order)) if file.is_file()]
    videos = tuple(file for file in files if not _is_image(file))
    if videos:  # a recorder's preview images beside its segments are not footage
        return Footage("segments", videos)
    if files:
        return Footage("images", tuple(files))
    folder = Path(re.split(r"[*?\[]", pattern, maxsplit=1)[0] + "x").parent
    raise SourceError(f"{pattern}: matches no file{_contents(folder)}")


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    names = sorted((entry.name for entry in folder.iterdir()), key=natural_order)
    if not names:
        return f"; {folder} is empty"
    return f"; {folder} holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
