"""Draw a store from above, as an architect's plan: walls, shelves, tills, tables and doors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.reid.disk.files import write_png

from .store import Rect, Store

PIXELS_PER_METRE = 60
FINER = 4  # drawn so many times larger, then shrunk, for smooth edges
MARGIN_METRES, PAVEMENT_METRES, WALL_METRES = 0.6, 2.6, 0.2
PAPER, WALL, LINE, TEXT = (255, 255, 255), (70, 70, 70), (150, 150, 150), (110, 110, 110)  # BGR
SHELF, TILL, TABLE, MAT = (236, 236, 236), (240, 226, 206), (220, 238, 228), (228, 228, 228)
Picture = NDArray[np.uint8]


def write_plan(store: Store, path: Path) -> str:
    """Write the plan as PNG; returns how a config places it: `metres_per_pixel` and `origin`."""
    width, depth = store.size
    high = round((depth + MARGIN_METRES + PAVEMENT_METRES) * PIXELS_PER_METRE)
    wide = round((width + 2 * MARGIN_METRES) * PIXELS_PER_METRE)
    image = np.full((high * FINER, wide * FINER, 3), 255, np.uint8)
    for left, right in store.doors:
        _box(image, store, (left, -0.9, right, 0.9), MAT, None)
    for shelf in store.gondolas:
        _box(image, store, shelf.rect, SHELF, LINE)
    for till in store.tills:
        _box(image, store, till.rect, TILL, LINE)
    for table in store.bins:
        _box(image, store, table, TABLE, LINE)
    for wall in [*_walls(store), *store.partitions]:
        _box(image, store, wall, WALL, None)
    for x, y, _, _, text in store.signs:
        if text not in ("EXIT", "WELCOME"):  # these hang at the front wall
            _write(image, store, text, x, y)
    write_png(path, np.asarray(cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA), np.uint8))
    x, y = (at / FINER for at in _pixel(store, 0.0, 0.0))
    return f"metres_per_pixel: {1 / PIXELS_PER_METRE:.8f}\norigin: [{x:g}, {y:g}]"


def _walls(store: Store) -> list[Rect]:
    width, depth = store.size
    thick, at = WALL_METRES, -WALL_METRES
    walls = [(-thick, 0.0, 0.0, depth), (width, 0.0, width + thick, depth),
             (-thick, depth, width + thick, depth + thick)]
    for left, right in [*sorted(store.doors), (width + thick, 0.0)]:
        walls.append((at, -thick, left, 0.0))
        at = right
    return walls


def _pixel(store: Store, x: float, y: float) -> tuple[int, int]:
    scale = PIXELS_PER_METRE * FINER
    return round((x + MARGIN_METRES) * scale), round((store.size[1] + MARGIN_METRES - y) * scale)


def _box(
    image: Picture, store: Store, rect: Rect, fill: tuple[int, int, int], line: tuple[int, int, int] | None
) -> None:
    corners = _pixel(store, rect[0], rect[3]), _pixel(store, rect[2], rect[1])
    cv2.rectangle(image, *corners, fill, cv2.FILLED)
    if line is not None:
        cv2.rectangle(image, *corners, line, 2 * FINER)


def _write(image: Picture, store: Store, text: str, x: float, y: float) -> None:
    """A word with its middle at a place."""
    size = 0.45 * FINER
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, FINER)
    left, middle = _pixel(store, x, y)
    cv2.putText(image, text, (left - wide // 2, middle + high // 2), cv2.FONT_HERSHEY_SIMPLEX, size, TEXT, FINER,
                cv2.LINE_AA)
