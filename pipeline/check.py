"""Whether a config will run: every camera's footage, the weights and the database, looked at before hours are spent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..reid.wording import did_you_mean
from .config.loader import BUNDLED_WEIGHTS, load_config
from .config.schema import CameraConfig, Config
from .errors import SourceError
from .sources.opening import Footage, find_footage, open_source
from .sources.video_file import VideoReader

SQLITE_FILE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What one camera's footage is; the fields after `files` are empty where it failed.

    Attributes:
        camera: the camera's name.
        kind: "video", "images" or "segments"; empty if the footage was not found.
        files: in the order in which they are read.
        width, height: pixels of a frame.
        fps: nominal pictures per second.
        duration_seconds, frame_count: estimates; None where the footage does not say.
        start_time: UTC time of the first picture, ISO 8601.
        status: "ok", "partial" (some segments cannot be read) or "failed" (none of it can).
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
    """What a check found.

    Attributes:
        config: as read, with its paths resolved.
        cameras: one row per camera, in the config's order.
        problems: a line each, about anything but the cameras.
    """

    config: Config
    cameras: tuple[CameraCheck, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether a run would start, with every camera's footage whole as far as can be told from its headers."""
        return not self.problems and all(camera.status == "ok" for camera in self.cameras)


def check_config(path: Path) -> CheckReport:
    """Check a config file and everything that it points to; nothing is written.

    Raises:
        ConfigError: the file itself is wrong; whatever else is, ends up in the report.
    """
    config = load_config(path)
    cameras = tuple(check_camera(name, camera) for name, camera in config.cameras.items())
    problems = (
        _weights_problem("detector.weights", config.detector.weights, downloadable=True),
        _weights_problem("appearance.weights", config.appearance.weights, downloadable=False),
        _database_problem(config.database),
    )
    return CheckReport(config, cameras, tuple(problem for problem in problems if problem))


def check_camera(name: str, config: CameraConfig) -> CameraCheck:
    """Open one camera's footage and decode its first picture; of further segments, read the headers."""
    footage: Footage | None = None
    try:
        footage = find_footage(config.source)
        source = open_source(name, config)
    except SourceError as error:
        line = str(error).removeprefix(f"camera {name}: ")
        kind, files = (footage.kind, footage.files) if footage else ("", ())
        return CameraCheck(name, kind, files, status="failed", error=line)
    broken = _broken(footage.files) if footage.kind == "segments" else []
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


def _broken(files: Sequence[Path]) -> list[str]:
    problems = []
    for path in files:
        try:
            with VideoReader(path):
                pass
        except SourceError as error:
            problems.append(str(error))
    return problems


def _weights_problem(key: str, weights: str, *, downloadable: bool) -> str:
    path = Path(weights)
    if weights in BUNDLED_WEIGHTS or path.exists():
        return ""
    if downloadable and len(path.parts) == 1:
        return ""  # `yolov8n.pt`: ultralytics knows it, or says that it does not
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"{key}: no such file {weights}{did_you_mean(path.name, names)}"


def _database_problem(database: str) -> str:
    is_url = "://" in database
    if database == ":memory:" or (is_url and not database.startswith(SQLITE_FILE)):
        return ""  # a server answers for itself when it is connected to
    path = Path(database.removeprefix(SQLITE_FILE).partition("?")[0] if is_url else database)
    if path.is_dir():
        return f"database: {path} is a folder; give a file in it"
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())  # the rest will be made
    if not os.access(nearest, os.W_OK) or (nearest != path and not nearest.is_dir()):
        return f"database: {path} cannot be written; change its rights, or choose another place"
    return ""


def _iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError):  # beyond the year 9999
        return f"{seconds:g} s after 1970"
