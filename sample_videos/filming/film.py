"""Film a performance: one camera at a time, frame by frame, into H.264 and its ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

import av
import numpy as np
from numpy.typing import NDArray

from ..acting.casting import put
from ..acting.performance import Part
from ..drawing.lighting import Studio
from ..drawing.props import Actor, Film, Light
from ..drawing.stage import Stage
from ..stores.cameras import Camera
from ..stores.store import Store
from . import truth

OPENING = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)  # world time 0
TICKS = 90_000  # of a second; both 12.5 and 12 frames a second come out whole


@dataclass(frozen=True)
class Shot:
    """What one camera films: from `start` seconds of world time, `frames` frames at `rate` a second."""

    camera: Camera
    film: Film
    start: float
    rate: Fraction
    frames: int

    def seconds(self, frame: int) -> float:
        """World time of a frame."""
        return self.start + float(frame / self.rate)


@dataclass(frozen=True)
class Production:
    """A store, who acts in it, and the shots by camera name.

    `crf` is x264's quality (lower is better); beyond `farthest` metres from a camera it draws nobody.
    """

    store: Store
    light: Light
    parts: list[Part]
    shots: dict[str, Shot]
    seed: int
    crf: int = 28
    farthest: float = 13.0

    def shortened(self, seconds: float) -> Production:
        """The same film's first seconds of world time."""
        shots = {
            name: replace(shot, frames=min(shot.frames, max(1, int((seconds - shot.start) * shot.rate))))
            for name, shot in self.shots.items()
        }
        return replace(self, shots=shots)


def shoot(production: Production, out: Path, names: list[str], report: Callable[[str, int], None]) -> None:
    """Render the named cameras to out/NAME.mp4 and out/truth/NAME.csv, skipping those there."""
    missing = [n for n in names if not ((out / f"{n}.mp4").exists() and (out / "truth" / f"{n}.csv").exists())]
    out.mkdir(parents=True, exist_ok=True)
    if missing:
        stage = Stage()
        studio = Studio(stage, production.store, production.seed)
        actors = [stage.actor(part.outfit) for part in production.parts]
        for name in missing:
            _shoot_one(production, stage, studio, actors, out, name, report)
    write_cameras(production, out / "truth" / "cameras.json")
    write_config(production, out)


class CameraFacts(TypedDict):
    """One camera in truth/cameras.json."""

    start_time: str
    fps: float
    width: int
    height: int
    image_to_floor: list[list[float]]


def camera_facts(production: Production) -> dict[str, CameraFacts]:
    """Start time, rate, size and floor homography by camera."""
    cameras: dict[str, CameraFacts] = {}
    for name, shot in production.shots.items():
        start = OPENING + timedelta(seconds=shot.start)
        matrix = [[float(f"{v:.8g}") for v in row] for row in shot.camera.image_to_floor()]
        cameras[name] = {
            "start_time": start.isoformat().replace("+00:00", "Z"),
            "fps": float(shot.rate),
            "width": shot.camera.width,
            "height": shot.camera.frame_height,
            "image_to_floor": matrix,
        }
    return cameras


def write_cameras(production: Production, path: Path) -> None:
    """Write truth/cameras.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(camera_facts(production), indent=1) + "\n")


def write_config(production: Production, out: Path) -> None:
    """Write out/store.yaml, a config for `reidpipe run`, with every camera whose video is there."""
    lines = [
        f"# Rendered store, seed {production.seed}. All other keys have their defaults; see docs/operating.md.",
        "database: store.db",
        "cameras:",
    ]
    for name, facts in camera_facts(production).items():
        if (out / f"{name}.mp4").exists():
            lines += [f"  {name}:", f"    source: {name}.mp4", f"    start_time: {facts['start_time']}"]
            lines += ["    homography:", *(f"      - {row}" for row in facts["image_to_floor"])]
    (out / "store.yaml").write_text("\n".join(lines) + "\n")


def _shoot_one(
    production: Production,
    stage: Stage,
    studio: Studio,
    actors: list[Actor],
    out: Path,
    name: str,
    report: Callable[[str, int], None],
) -> None:
    shot = production.shots[name]
    backdrop = studio.backdrop(shot.camera, production.light, samples=96)
    unfinished = out / f".{name}.part.mp4"
    rows: list[list[str]] = []
    with av.open(
        str(unfinished), "w", format="mp4", options={"movflags": "+faststart", "video_track_timescale": str(TICKS)}
    ) as container:
        stream = container.add_stream("libx264", rate=shot.rate)
        stream.width, stream.height, stream.pix_fmt = shot.camera.width, shot.camera.frame_height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.options = {"crf": str(production.crf), "preset": "medium", "g": "50", "bf": "2"}
        for frame in range(shot.frames):
            seconds = shot.seconds(frame)
            cast = _place(production, actors, shot.camera, seconds)
            image, who = stage.draw(backdrop, [actors[i] for i in cast], shot.film, float(frame % 997))
            for sighting in truth.sightings(stage, shot.camera, [actors[i] for i in cast], who):
                rows.append(truth.row(frame, OPENING.timestamp() + seconds, cast[sighting.index] + 1, sighting))
            _encode(container, stream, image, round(frame * TICKS / shot.rate))
            report(name, frame)
        container.mux(stream.encode())
    truth.write(out / "truth" / f"{name}.csv", rows)
    unfinished.replace(out / f"{name}.mp4")
    backdrop.release()


def _encode(
    container: av.container.OutputContainer, stream: av.VideoStream, image: NDArray[np.uint8], ticks: int
) -> None:
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
    container.mux(stream.encode(picture))


def _place(production: Production, actors: list[Actor], camera: Camera, seconds: float) -> list[int]:
    """Pose everyone who may be in view at a time; their indices."""
    cast = []
    for index, (part, actor) in enumerate(zip(production.parts, actors, strict=True)):
        if not part.there(seconds):
            continue
        pose, x, y, heading = part.at(seconds)
        seen = camera.project(np.array([[x, y, h] for h in (0.0, 0.9, 1.8)]))
        margin = 150 * camera.width / 960
        inside = (seen[:, 2] > 0.4) & (np.abs(seen[:, 0] - camera.width / 2) < camera.width / 2 + margin)
        if inside.any() and seen[1, 2] < production.farthest:
            put(actor, part.outfit, pose, x, y, heading)
            cast.append(index)
    return cast
