"""Open the footage that a camera's `source` names."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from ..config.cameras import CameraConfig, SourcesConfig
from ..errors import SourceError
from ..types import Frame, Place
from .background import in_background
from .counts import FootageCounts, describe
from .isolation.isolated_source import IsolatedSource, isolated_problems
from .isolation.pictures import PictureMemory
from .quiet import QuietScene


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


def open_source(
    camera: str, config: CameraConfig, settings: SourcesConfig | None = None, pictures: PictureMemory | None = None
) -> Source:
    """Find a camera's footage and decode its first frame, so that bad footage is reported before the run.

    Args:
        camera: the camera's name.
        config: its section of the config; a relative `source` is resolved against the working folder.
        settings: the `sources` section of the config; the defaults if None.
        pictures: shared with other cameras; its own if None.

    Raises:
        SourceError: one line that names the camera and the file and says what to do.
    """
    settings = settings or SourcesConfig()
    if settings.isolate:
        return IsolatedSource(camera, config, settings, pictures or PictureMemory())
    try:
        return in_background(partial(_open_or_say_why, camera, config)).result(settings.stall_seconds)
    except TimeoutError as error:
        raise SourceError(f"camera {camera}: cannot be opened within {settings.stall_seconds:g} s: check the file "
                          "and its disk, or raise sources.stall_seconds") from error


def _open_or_say_why(camera: str, config: CameraConfig) -> Source:
    from .in_process import open_here  # imports the decoders, which a run has in processes of their own

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
    pictures = PictureMemory()
    opening = {
        name: in_background(partial(open_source, name, config, settings, pictures))
        for name, config in cameras.items()
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
    from .in_process import header_problem  # as above

    return [problem for problem in map(header_problem, files) if problem]
