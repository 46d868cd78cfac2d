"""Ground truth of a frame: boxes and visible shares counted in the geometry buffer, written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..drawing.props import Actor
from ..drawing.stage import Stage
from ..stores.cameras import Camera

HEADER = [
    "frame",
    "seconds",
    "identity",
    "x1",
    "y1",
    "x2",
    "y2",
    "visible_x1",
    "visible_y1",
    "visible_x2",
    "visible_y2",
    "visible",
    "floor_x",
    "floor_y",
]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sighting:
    """One person in one frame: boxes xyxy in pixels inside the image, visible share (0, 1], floor point in metres."""

    index: int
    full: Box
    seen: Box
    visible: float
    floor: tuple[float, float]


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """The tight box x1, y1, x2, y2 (exclusive) around true pixels of (H, W); None where there are none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def sightings(stage: Stage, camera: Camera, actors: list[Actor], who: NDArray[np.uint8]) -> list[Sighting]:
    """Everyone of whom at least one pixel is seen; who (H, W) holds 1 + index as Stage.draw gives it."""
    present = np.bincount(who.ravel(), minlength=len(actors) + 1)
    found = []
    for index, actor in enumerate(actors):
        if present[index + 1] == 0:
            continue
        own, (left, top) = stage.alone(camera, actor)
        part, seen = box_of(own), box_of(who == index + 1)
        if part is None or seen is None:
            continue
        full = (part[0] + left, part[1] + top, part[2] + left, part[3] + top)
        share = min(1.0, float(present[index + 1]) / float(own.sum()))
        found.append(Sighting(index, full, seen, share, (float(actor.place[0, 3]), float(actor.place[1, 3]))))
    return found


def row(frame: int, seconds: float, identity: int, sighting: Sighting) -> list[str]:
    """One CSV line."""
    boxes = [str(v) for v in (*sighting.full, *sighting.seen)]
    return [
        str(frame),
        f"{seconds:.3f}",
        str(identity),
        *boxes,
        f"{sighting.visible:.3f}",
        f"{sighting.floor[0]:.2f}",
        f"{sighting.floor[1]:.2f}",
    ]


def write(path: Path, rows: Iterable[list[str]]) -> None:
    """Write a truth file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
