"""Render training frames for a detector: other stores, other people, independent frames, with YOLO labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..acting.casting import floor_points, put, random_pose
from ..drawing.lighting import Studio
from ..drawing.props import Actor, Backdrop
from ..drawing.stage import Stage
from ..filming import truth
from ..other_stores.random_parts import random_camera, random_film, random_light, random_store
from ..people.outfits import random_outfit
from ..stores.store import Store

FRAMES_PER_VIEW = 12  # lighting an empty store costs as much as a dozen frames
LEAST_VISIBLE = 0.15


def write_scenes(out: Path, seed: int, count: int, first: int = 0) -> Iterator[Path]:
    """Write images/, labels/ and truth/ for frames first..first+count-1, skipping what is there; yields new images."""
    for name in ("images", "labels", "truth"):
        (out / name).mkdir(parents=True, exist_ok=True)
    stage: Stage | None = None
    for view in range(first // FRAMES_PER_VIEW, -(-(first + count) // FRAMES_PER_VIEW)):
        numbers = range(max(first, view * FRAMES_PER_VIEW), min(first + count, (view + 1) * FRAMES_PER_VIEW))
        missing = [n for n in numbers if not (out / "images" / f"s{seed}_{n:05d}.jpg").exists()]
        if not missing:
            continue
        stage = stage or Stage()
        rng = np.random.default_rng([seed, 21, view])
        store = random_store(rng)
        studio = Studio(stage, store, int(rng.integers(1 << 30)))
        backdrop = studio.backdrop(random_camera(rng, store), random_light(rng), samples=20)
        for number in missing:
            yield _write_scene(stage, store, backdrop, out, seed, number)
        backdrop.release()
        studio.release()


def _crowd(rng: np.random.Generator, stage: Stage, store: Store, backdrop: Backdrop) -> list[Actor]:
    """Nobody, a few, many, and now and then people close together."""
    wanted = int(
        rng.choice(
            [0, int(rng.integers(1, 4)), int(rng.integers(3, 8)), int(rng.integers(8, 16))], p=[0.07, 0.33, 0.42, 0.18]
        )
    )
    points = floor_points(rng, store, backdrop.camera, 60)
    kept: list[tuple[float, float]] = []
    for x, y in points.tolist():
        if len(kept) < wanted and all(np.hypot(x - a, y - b) > 0.5 for a, b in kept):
            kept.append((x, y))
    actors = []
    for x, y in kept:
        outfit = random_outfit(rng)
        actor = stage.actor(outfit)
        put(actor, outfit, random_pose(rng, outfit), x, y, float(rng.uniform(0, 2 * np.pi)))
        actors.append(actor)
    return actors


def _write_scene(stage: Stage, store: Store, backdrop: Backdrop, out: Path, seed: int, number: int) -> Path:
    rng = np.random.default_rng([seed, 22, number])
    actors = _crowd(rng, stage, store, backdrop)
    image, who = stage.draw(backdrop, actors, random_film(rng), float(rng.uniform(0, 50)))
    found = truth.sightings(stage, backdrop.camera, actors, who)
    name = f"s{seed}_{number:05d}"
    height, width = image.shape[:2]
    lines = []
    for sighting in found:
        x1, y1, x2, y2 = sighting.full
        if sighting.visible >= LEAST_VISIBLE:
            middle, size = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height), ((x2 - x1) / width, (y2 - y1) / height)
            lines.append("0 " + " ".join(f"{v:.5f}" for v in (*middle, *size)) + "\n")
    (out / "labels" / f"{name}.txt").write_text("".join(lines))
    truth.write(out / "truth" / f"{name}.csv", [truth.row(number, 0.0, s.index + 1, s) for s in found])
    path = out / "images" / f"{name}.jpg"
    cv2.imwrite(
        str(path), np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))]
    )
    for actor in actors:
        actor.release()
    return path
