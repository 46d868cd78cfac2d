"""Check a config before a long run: every camera's footage, the weights and the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from .config.loader import load_config
from .config.schema import CameraConfig, Config, SourcesConfig
from .errors import ConfigError, ReidpipeError, SourceError
from .inputs import guard_of_config
from .prepare import Prepared, open_cameras, prepare
from .sources.opening import Footage, Source, find_footage, unreadable
from .types import Frame


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What one camera's footage is; the fields after `files` are empty if it failed.

    Attributes:
        camera: the camera's name.
        kind: "video", "images" or "segments"; empty if the footage was not found.
        files: in reading order.
        width, height: pixels of a frame.
        fps: nominal frames per second.
        duration_seconds, frame_count: estimates; None if unknown.
        start_time: UTC time of the first frame, ISO 8601.
        status: "ok", "partial" (some segments cannot be read) or "failed" (nothing can be read).
        error: one line, empty when ok.
    """

    camera: str
    kind: str
    files: tuple[Path, ...]
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration_seconds: float | None = None
    frame_count: int | None = None
    start_time: str = ""
    status: Literal["ok", "partial", "failed"] = "ok"
    error: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check.

    Attributes:
        config: validated, with resolved paths.
        cameras: one row per camera, in the config's order.
        errors: about weights and database, each as a run would end with it.
    """

    config: Config
    cameras: tuple[CameraCheck, ...]
    errors: tuple[ReidpipeError, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each error."""
        return tuple(str(error) for error in self.errors)

    @property
    def ok(self) -> bool:
        """Whether a run would start with all footage readable, as far as its headers show."""
        return not self.errors and all(camera.status == "ok" for camera in self.cameras)


def check_config(path: Path, trust_weights: bool = False) -> CheckReport:
    """Check a config file and everything that it names, as a run would open it; nothing is written.

    Args:
        path: the config file.
        trust_weights: as in `prepare.prepare`.

    Raises:
        ConfigError: the file itself is wrong; all other problems are in the report.
    """
    config = load_config(path)
    prepared = prepare(config, trust_weights)
    cameras = tuple(_camera_check(name, camera, config.sources, prepared) for name, camera in config.cameras.items())
    errors = tuple(error for error in prepared.errors if not isinstance(error, SourceError))  # the cameras have theirs
    return CheckReport(config, cameras, errors)


def draw_floors(path: Path, folder: Path, force: bool = False) -> list[Path]:
    """Draw the floor grid into the first frame of every camera with a homography, as CAMERA.png.

    Args:
        path: the config file.
        folder: created if missing.
        force: replace files that are no earlier drawings, too.

    Raises:
        ConfigError: the config is wrong, or no camera has a homography.
        SourceError: no camera's footage can be opened.
        OutputError: `folder` cannot be written, or holds other files of these names.
    """
    import numpy as np

    from ..reid.files import is_png_by, make_folder, write_png
    from ..reid.guard import MARK
    from .output.floor_grid import draw_floor_grid

    config = load_config(path)
    floors = {name: camera.pixels_to_floor for name, camera in config.cameras.items()}
    if not any(floors.values()):
        raise ConfigError(f"{path}: no camera has a homography or floor_points: there is no floor to draw")
    sources, _ = open_cameras(config)
    guard, written = guard_of_config(config, [path], force), []
    for name, source in sources.items():
        floor = floors[name]
        frame = None if floor is None else _first_frame(source)
        if frame is None:
            continue
        target = folder / f"{name}.png"
        guard.check(target, lambda one: is_png_by(one, MARK))
        make_folder(folder)
        write_png(target, draw_floor_grid(frame.image, np.array(floor)))
        written.append(target)
    return written


def _first_frame(source: Source) -> Frame | None:
    log = logging.getLogger(f"{__package__}.sources")
    level = log.level
    log.setLevel(logging.ERROR)  # the rest is left unread on purpose, which is no problem of the footage
    try:
        frames = source.frames(threading.Event())
        frame = next(frames, None)
        if isinstance(frames, Generator):
            frames.close()
    finally:
        log.setLevel(level)
    return frame


def _camera_check(name: str, config: CameraConfig, settings: SourcesConfig, prepared: Prepared) -> CameraCheck:
    """What one camera's footage is; of further segments, read the headers."""
    footage: Footage | None = None
    with suppress(SourceError):  # reported where the source was opened
        footage = find_footage(config.source)
    source = prepared.sources.get(name)
    if footage is None or source is None:
        line = prepared.failed[name].error if name in prepared.failed else f"{config.source}: has vanished"
        kind, files = (footage.kind, footage.files) if footage else ("", ())
        return CameraCheck(name, kind, files, status="failed", error=line.removeprefix(f"camera {name}: "))
    broken = unreadable(footage.files, settings) if footage.kind == "segments" else []
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return CameraCheck(
        camera=name,
        kind=footage.kind,
        files=footage.files,
        width=source.width,
        height=source.height,
        fps=source.fps,
        duration_seconds=source.duration_seconds,
        frame_count=source.frame_count,
        start_time=_iso(source.start_seconds),
        status="partial" if broken else "ok",
        error=f"{broken[0]}{more}" if broken else "",
    )




def _iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError):  # beyond the year 9999
        return f"{seconds:g} s after 1970"
