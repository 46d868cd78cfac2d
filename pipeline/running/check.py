"""Check a config before a long run: every camera's footage, the weights and the database."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..config.cameras import CameraConfig, SourcesConfig
from ..config.loader import load_config
from ..config.schema import Config
from ..errors import ReidpipeError, SourceError
from ..sources.finding import Footage, find_footage
from ..sources.opening import unreadable
from .prepare import Prepared, prepare


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
        arithmetic: what each model that could be tried computes with here, such as "int8 and float32", by the config's
            section: detector, appearance.
        errors: about weights and database, each as a run would end with it.
    """

    config: Config
    cameras: tuple[CameraCheck, ...]
    arithmetic: dict[str, str]
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
    models = {"detector": prepared.detector, "appearance": prepared.embedder}
    arithmetic = {name: model.arithmetic for name, model in models.items() if model is not None and model.arithmetic}
    return CheckReport(config, cameras, arithmetic, errors)


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
