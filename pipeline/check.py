"""Check a config before a long run: every camera's footage, the weights and the database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..reid.wording import did_you_mean
from .config.loader import BUNDLED_WEIGHTS, load_config
from .config.schema import CameraConfig, Config
from .errors import SourceError, StoreError
from .sources.opening import Footage, find_footage, open_source, unreadable
from .storage.database import file_exists, parse_database


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
        problems: one line each, about weights and database.
    """

    config: Config
    cameras: tuple[CameraCheck, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether a run would start with all footage readable, as far as its headers show."""
        return not self.problems and all(camera.status == "ok" for camera in self.cameras)


def check_config(path: Path) -> CheckReport:
    """Check a config file and everything that it names; nothing is written.

    Raises:
        ConfigError: the file itself is wrong; all other problems are in the report.
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
    """Open one camera's footage and decode its first frame; of further segments, read the headers."""
    footage: Footage | None = None
    try:
        footage = find_footage(config.source)
        source = open_source(name, config)
    except SourceError as error:
        line = str(error).removeprefix(f"camera {name}: ")
        kind, files = (footage.kind, footage.files) if footage else ("", ())
        return CameraCheck(name, kind, files, status="failed", error=line)
    broken = unreadable(footage.files) if footage.kind == "segments" else []
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


def _weights_problem(key: str, weights: str, *, downloadable: bool) -> str:
    path = Path(weights)
    try:
        if weights in BUNDLED_WEIGHTS or path.exists():
            return ""
        if downloadable and len(path.parts) == 1:
            return ""  # `yolov8n.pt`: only ultralytics knows whether it can be downloaded
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError as error:
        return f"{key}: {weights}: {error.strerror}"
    return f"{key}: no such file {weights}{did_you_mean(path.name, [*BUNDLED_WEIGHTS, *names])}"


def _database_problem(database: str) -> str:
    try:
        url = parse_database(database)
        if url.get_backend_name() != "sqlite":
            return ""  # only a connection would show whether the server accepts it
        file_exists(url)
    except StoreError as error:
        return f"database: {error}"
    path = Path(str(url.database))
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())  # the rest will be created
    if not os.access(nearest, os.W_OK) or (nearest != path and not nearest.is_dir()):
        return f"database: {path} cannot be written: check the permissions, or give another path"
    return ""


def _iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError):  # beyond the year 9999
        return f"{seconds:g} s after 1970"
