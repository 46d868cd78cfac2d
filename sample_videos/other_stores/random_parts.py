"""Seeded random stores, cameras and lights for training data, different from the sample store."""

from __future__ import annotations

import numpy as np

from ..drawing.props import Film, Light
from ..stores.cameras import Camera
from ..stores.labels import SIGNS
from ..stores.store import Gondola, Store, Till, Tint

FLOORS: list[tuple[Tint, Tint, float, float]] = [
    ((0.80, 0.78, 0.74), (0.76, 0.74, 0.70), 0.6, 0.5),
    ((0.62, 0.62, 0.63), (0.55, 0.55, 0.57), 0.5, 0.3),
    ((0.84, 0.82, 0.78), (0.45, 0.44, 0.42), 0.45, 0.6),
    ((0.62, 0.50, 0.38), (0.56, 0.44, 0.33), 0.3, 0.35),
    ((0.42, 0.44, 0.47), (0.40, 0.42, 0.45), 1.2, 0.15),
    ((0.70, 0.66, 0.58), (0.78, 0.74, 0.66), 0.33, 0.4),
]


def random_tint(rng: np.random.Generator, low: float, high: float, spread: float = 0.06) -> Tint:
    """A random sRGB colour, grey between `low` and `high` but for `spread` (std) in each channel."""
    r, g, b = np.clip(rng.uniform(low, high) + rng.normal(0, spread, 3), 0.04, 0.97)
    return float(r), float(g), float(b)


def _gondolas(rng: np.random.Generator, width: float, depth: float, tint: Tint) -> tuple[list[Gondola], float]:
    """Shelves along walls and aisles, and where the aisles begin."""
    gondolas = [Gondola((0.0, 1.0, 0.5, depth - 1.0), float(rng.uniform(1.7, 2.2)), 1, (1,), tint)]
    if rng.random() < 0.7:
        gondolas.append(Gondola((width - 0.5, 1.0, width, depth - 1.0), float(rng.uniform(1.7, 2.2)), 1, (-1,), tint))
    if rng.random() < 0.8:
        gondolas.append(Gondola((0.8, depth - 0.5, width - 0.8, depth), 2.1, 0, (-1,), tint))
    front, at = float(rng.uniform(2.5, 4.5)), 0.5 + float(rng.uniform(1.9, 2.8))
    while at + 3.0 < width:
        if rng.random() < 0.8:
            back = depth - float(rng.uniform(1.6, 2.6))
            gondolas.append(
                Gondola(
                    (at, front + float(rng.uniform(0, 1)), at + 0.9, back),
                    float(rng.uniform(1.2, 1.9)),
                    1,
                    (-1, 1),
                    tint,
                )
            )
        at += 0.9 + float(rng.uniform(1.8, 2.8))
    return gondolas, front


def random_store(rng: np.random.Generator) -> Store:
    """Two to four aisles, shelves around the walls, perhaps tills and display tables."""
    width, depth = float(rng.uniform(8.5, 14)), float(rng.uniform(8.5, 13))
    tint = random_tint(rng, 0.55, 0.92, 0.04)
    gondolas, front = _gondolas(rng, width, depth, tint)
    bins = [
        (float(x), float(y), float(x) + 1.0, float(y) + 0.8)
        for x, y in rng.uniform((0.8, 0.8), (width - 2, front - 1.0), (int(rng.integers(0, 3)), 2))
    ]
    tills = (
        [Till((width * 0.5, 0.9, width * 0.5 + 0.65, min(3.0, front - 0.3)))]
        if rng.random() < 0.4 and front > 3
        else []
    )
    door = float(rng.uniform(0.8, width - 3))
    signs = [
        (
            float(rng.uniform(1.5, width - 1.5)),
            float(rng.uniform(2, depth - 1)),
            2.6,
            int(rng.integers(2)),
            str(rng.choice(SIGNS)),
        )
        for _ in range(int(rng.integers(0, 5)))
    ]
    return Store(
        size=(width, depth),
        gondolas=gondolas,
        tills=tills,
        bins=bins,
        doors=[(door, door + 1.8)],
        signs=signs,
        floor=FLOORS[int(rng.integers(len(FLOORS)))],
        wall=random_tint(rng, 0.55, 0.92),
        accent=random_tint(rng, 0.1, 0.7, 0.2),
    )


def random_camera(rng: np.random.Generator, store: Store, width: int = 960, height: int = 540) -> Camera:
    """A camera near a wall or over an aisle's end that looks across the floor."""
    w, d = store.size
    if rng.random() < 0.6:
        x, y = float(rng.uniform(0.8, w - 0.8)), float(rng.uniform(0.4, 2.2))
        aim = (float(rng.uniform(1, w - 1)), d * 0.75)
    else:
        x, y = (0.4 if rng.random() < 0.5 else w - 0.4), float(rng.uniform(0.5, d - 0.5))
        aim = (w / 2, d * float(rng.uniform(0.3, 0.7)))
    heading = float(np.degrees(np.arctan2(-(aim[0] - x), aim[1] - y)) + rng.normal(0, 6))
    return Camera(
        x,
        y,
        float(rng.uniform(2.35, 3.2)),
        heading,
        float(rng.uniform(9, 27)),
        float(rng.uniform(62, 84)),
        width,
        height,
    )


def random_light(rng: np.random.Generator) -> Light:
    """Lamps from warm to cold, flat to strong."""
    warm = float(rng.uniform(-0.07, 0.07))
    level = float(rng.uniform(0.8, 1.15))
    bounce = float(rng.uniform(0.25, 0.42))
    return Light(
        (level * (1 + warm), level, level * (1 - warm * 1.3)),
        (bounce * (1 + warm), bounce, bounce * (1 - warm)),
        float(rng.uniform(0.35, 0.8)),
    )


def random_film(rng: np.random.Generator) -> Film:
    """Exposure, white balance and flaws of some camera."""
    gain = float(np.exp(rng.normal(0, 0.28)))
    red, blue = float(np.exp(rng.normal(0, 0.09))), float(np.exp(rng.normal(0, 0.10)))
    return Film(
        (gain * red, gain, gain * blue),
        float(rng.uniform(0.1, 0.8)),
        float(rng.uniform(0.004, 0.035)),
        float(rng.uniform(0.0, 0.45)),
        float(rng.choice([0.0, 0.7, 1.2], p=[0.5, 0.3, 0.2])),
    )
