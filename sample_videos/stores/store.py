"""Floor plans: walls, shelves, doors and tills of the sample store, and their geometry.

x runs along the front wall, y into the store, metres; rectangles are x1, y1, x2, y2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .labels import SIGN_FIRST, SIGNS
from .shelves import CEILING, FLOOR, OUTSIDE, PAINT, SIGN, WALL, WOOD, Collector, shelf

Rect = tuple[float, float, float, float]
Tint = tuple[float, float, float]


@dataclass(frozen=True)
class Gondola:
    """One shelf: footprint, height, axis it runs along (0 x, 1 y), sides with stock (-1 low, +1 high)."""

    rect: Rect
    height: float
    axis: int
    sides: tuple[int, ...]
    tint: Tint = (0.86, 0.86, 0.84)


@dataclass(frozen=True)
class Till:
    """A checkout counter: footprint of counter with belt."""

    rect: Rect


@dataclass(frozen=True)
class Store:
    """One store and the light in it."""

    size: tuple[float, float]
    gondolas: list[Gondola]
    tills: list[Till] = field(default_factory=list)
    bins: list[Rect] = field(default_factory=list)
    doors: list[tuple[float, float]] = field(default_factory=list)  # x from, x to in the front wall
    partitions: list[Rect] = field(default_factory=list)
    signs: list[tuple[float, float, float, int, str]] = field(default_factory=list)  # x, y, z, axis, text
    ceiling: float = 3.4
    floor: tuple[Tint, Tint, float, float] = ((0.80, 0.78, 0.74), (0.76, 0.74, 0.70), 0.6, 0.5)
    wall: Tint = (0.85, 0.83, 0.76)
    accent: Tint = (0.16, 0.42, 0.28)

    def obstacles(self) -> list[Rect]:
        """Everything on the floor that nobody walks through."""
        return [g.rect for g in self.gondolas] + [t.rect for t in self.tills] + self.bins + self.partitions

    def build(self, seed: int) -> tuple[NDArray[np.void], NDArray[np.uint32], int]:
        """Vertices, faces and the number of shadow-throwing faces, as shelves.Collector.mesh gives them."""
        rng = np.random.default_rng([seed, 3])
        out = Collector()
        _shell(out, self)
        for gondola in self.gondolas:
            shelf(out, rng, gondola.rect, gondola.height, gondola.axis, gondola.sides, gondola.tint)
        for till in self.tills:
            _till(out, rng, till.rect)
        for rect in self.bins:
            _bin(out, rng, rect)
        for x, y, z, axis, text in self.signs:
            _sign(out, x, y, z, axis, text)
        return out.mesh()


def _box(
    out: Collector,
    a: tuple[float, float, float],
    b: tuple[float, float, float],
    tint: Tint,
    material: int = PAINT,
    layer: float = 0,
    shell: bool = False,
) -> None:
    out.boxes(np.array(a, np.float32), np.array(b, np.float32), np.array(tint, np.float32), material, layer, shell)


def _shell(out: Collector, store: Store) -> None:
    w, d = store.size
    top = store.ceiling
    _box(out, (-3, -5, -0.1), (w + 3, d, 0.0), (0.5, 0.5, 0.5), FLOOR, shell=True)
    _box(out, (0, 0, top), (w, d, top + 0.1), (1, 1, 1), CEILING, shell=True)
    for a, b in (((-0.2, 0, 0), (0, d, top)), ((w, 0, 0), (w + 0.2, d, top)), ((0, d, 0), (w, d + 0.2, top))):
        _box(out, a, b, store.wall, WALL, shell=True)
        stripe_a, stripe_b = (a[0] - 0.006, a[1] - 0.006, 2.35), (b[0] + 0.006, b[1] + 0.006, 2.75)
        _box(out, stripe_a, stripe_b, store.accent, PAINT, shell=True)
    at = 0.0
    for left, right in [*store.doors, (w, w)]:
        if left > at:
            _front(out, store, at, left)
        if right > left:
            _box(out, (left, -0.2, 2.4), (right, 0, top), store.wall, WALL, shell=True)
            for x in (left, right - 0.06):
                _box(out, (x, -0.14, 0), (x + 0.06, 0.02, 2.4), (0.55, 0.57, 0.6))
            _box(out, (left, -0.14, 2.32), (right, 0.02, 2.4), (0.55, 0.57, 0.6))
            _box(out, (left + 0.1, -1.0, 0.0), (right - 0.1, 0.9, 0.008), (0.20, 0.20, 0.22), PAINT, shell=True)
        at = right
    _outside(out, w)
    for rect in store.partitions:
        _box(out, (rect[0], rect[1], 0), (rect[2], rect[3], min(2.5, top)), store.wall, WALL)


def _outside(out: Collector, width: float) -> None:
    """Pavement, street, a hedge and houses across, all in daylight."""
    _box(out, (-3, -2.9, -0.1), (width + 3, -0.21, 0.003), (0.66, 0.65, 0.63), OUTSIDE, shell=True)
    _box(out, (-3, -5.0, -0.1), (width + 3, -2.9, 0.003), (0.42, 0.43, 0.45), OUTSIDE, shell=True)
    _box(out, (-8, -5.4, -0.1), (width + 8, -5.0, 0.9), (0.38, 0.43, 0.34), OUTSIDE, shell=True)
    for i, x in enumerate(np.arange(-8.0, width + 8, 3.7)):
        tint = [(0.74, 0.62, 0.52), (0.82, 0.80, 0.74), (0.66, 0.70, 0.74)][i % 3]
        _box(
            out,
            (float(x), -6.4, 0),
            (float(x) + 3.6, -6.0, 2.7 + 0.5 * (i % 2)),
            (tint[0], tint[1], tint[2]),
            OUTSIDE,
            shell=True,
        )
        _box(out, (float(x) + 0.6, -5.99, 1.3), (float(x) + 1.5, -5.95, 2.2), (0.35, 0.42, 0.50), OUTSIDE, shell=True)
        _box(out, (float(x) + 2.1, -5.99, 1.3), (float(x) + 3.0, -5.95, 2.2), (0.35, 0.42, 0.50), OUTSIDE, shell=True)
    _box(out, (-12, -8.2, -0.1), (width + 12, -8.0, 7.0), (0.78, 0.85, 0.93), OUTSIDE, shell=True)


def _front(out: Collector, store: Store, left: float, right: float) -> None:
    """Front wall with a shop window where there is room for one."""
    top = store.ceiling
    if right - left < 1.4:
        _box(out, (left, -0.2, 0), (right, 0, top), store.wall, WALL, shell=True)
        return
    _box(out, (left, -0.2, 0), (right, 0, 0.75), store.wall, WALL, shell=True)
    _box(out, (left, -0.2, 2.3), (right, 0, top), store.wall, WALL, shell=True)
    _box(out, (left, -0.12, 0.75), (right, -0.08, 2.3), (0.66, 0.76, 0.84), OUTSIDE, shell=True)
    _box(out, (left, 0.0, 2.35), (right, 0.006, 2.75), store.accent, PAINT, shell=True)
    count = max(2, int((right - left) / 1.2))
    for x in np.linspace(left, right - 0.06, count + 1):
        _box(out, (float(x), -0.16, 0.75), (float(x) + 0.06, 0.03, 2.3), (0.45, 0.47, 0.5), shell=True)
    for i in range(count):
        if (i + int(left)) % 2 == 0:
            x = left + (i + 0.3) * (right - left) / count
            _box(
                out,
                (x, -0.07, 1.0),
                (x + 0.5, -0.05, 1.8),
                (1, 1, 1),
                SIGN,
                SIGN_FIRST + (3 + 5 * i) % len(SIGNS),
                True,
            )


def _till(out: Collector, rng: np.random.Generator, rect: Rect) -> None:
    """A counter with a black belt, goods on it, a screen, and a numbered lamp post."""
    x1, y1, x2, y2 = rect
    _box(out, (x1, y1, 0), (x2, y2, 0.82), (0.70, 0.72, 0.74))
    _box(out, (x1 - 0.02, y1 - 0.02, 0.82), (x2 + 0.02, y2 + 0.02, 0.88), (0.48, 0.33, 0.22), WOOD)
    _box(out, (x1 + 0.06, y1 + 0.7, 0.88), (x2 - 0.06, y2 - 0.1, 0.895), (0.07, 0.07, 0.08))
    _box(out, (x1 - 0.006, y1 + 0.1, 0.25), (x2 + 0.006, y2 - 0.1, 0.62), (0.16, 0.42, 0.28))
    _box(out, (x1 + 0.2, y1 + 0.3, 0.88), (x1 + 0.26, y1 + 0.36, 1.25), (0.2, 0.2, 0.2))
    _box(out, (x1 + 0.05, y1 + 0.28, 1.16), (x1 + 0.42, y1 + 0.32, 1.42), (0.08, 0.09, 0.1))
    for _ in range(9):
        x, y = rng.uniform(x1 + 0.1, x2 - 0.25), rng.uniform(y1 + 0.8, y2 - 0.3)
        size = rng.uniform(0.06, 0.16, 3)
        _box(
            out,
            (x, y, 0.895),
            (x + size[0], y + size[1], 0.895 + size[2]),
            tuple(rng.uniform(0.1, 0.95, 3).tolist()),
            2,
            float(rng.integers(50)),
        )
    _box(out, (x2 - 0.08, y2 - 0.08, 0.88), (x2 - 0.03, y2 - 0.03, 2.0), (0.6, 0.6, 0.6))


def _bin(out: Collector, rng: np.random.Generator, rect: Rect) -> None:
    """A low display table heaped with goods or fruit."""
    x1, y1, x2, y2 = rect
    _box(out, (x1, y1, 0), (x2, y2, 0.62), (0.55, 0.40, 0.26), WOOD)
    tint = rng.uniform(0.2, 0.95, 3)
    for _ in range(int(70 * (x2 - x1) * (y2 - y1) / 0.8)):
        x, y = rng.uniform(x1 + 0.02, x2 - 0.14), rng.uniform(y1 + 0.02, y2 - 0.14)
        heap = 0.62 + 0.22 * (1 - abs(2 * (x - x1) / (x2 - x1) - 1)) * rng.random()
        side = rng.uniform(0.08, 0.13)
        colour = np.clip(tint + rng.normal(0, 0.12, 3), 0.05, 1)
        _box(
            out,
            (x, y, heap - 0.05),
            (x + side, y + side, heap + side),
            tuple(colour.tolist()),
            2 if rng.random() < 0.4 else PAINT,
            float(rng.integers(50)),
        )


def _sign(out: Collector, x: float, y: float, z: float, axis: int, text: str) -> None:
    """A board hanging from the ceiling across `axis`."""
    half = (0.6, 0.015) if axis == 0 else (0.015, 0.6)
    layer = SIGN_FIRST + SIGNS.index(text)
    _box(out, (x - half[0], y - half[1], z), (x + half[0], y + half[1], z + 0.3), (1, 1, 1), SIGN, layer, True)


def store_walls(store: Store) -> list[Rect]:
    """Everything solid: furniture, and the front wall beside the doors."""
    walls, at = store.obstacles(), -1.0
    for left, right in sorted(store.doors):
        walls.append((at, -0.2, left, 0.0))
        at = right
    w, d = store.size
    return [*walls, (at, -0.2, w + 1, 0.0), (-0.5, 0.0, 0.0, d), (w, 0.0, w + 0.5, d), (0.0, d, w, d + 0.5)]


SAMPLE = Store(
    size=(14.0, 13.0),
    gondolas=[
        Gondola((0.0, 5.6, 0.5, 11.2), 2.1, 1, (1,)),
        Gondola((3.15, 6.2, 4.05, 11.2), 1.42, 1, (-1, 1)),
        Gondola((6.75, 5.2, 7.2, 13.0), 2.1, 1, (-1,)),
        Gondola((0.6, 12.5, 6.4, 13.0), 2.1, 0, (-1,)),
        Gondola((0.0, 1.2, 0.45, 4.6), 1.9, 1, (1,), (0.75, 0.68, 0.55)),
        Gondola((13.5, 3.2, 14.0, 8.0), 2.0, 1, (-1,)),
        Gondola((8.6, 7.4, 12.6, 8.0), 1.5, 0, (-1, 1)),
    ],
    tills=[Till((9.6, 2.6, 10.25, 4.8)), Till((11.75, 2.6, 12.4, 4.8))],
    bins=[(1.1, 4.35, 2.2, 5.05), (4.5, 0.35, 5.6, 1.05), (8.2, 0.3, 9.5, 0.95)],
    doors=[(2.0, 4.0), (10.6, 12.2)],
    partitions=[(7.0, 0.0, 7.2, 3.6)],
    signs=[
        (1.8, 8.3, 2.55, 0, "FRESH"),
        (5.4, 8.3, 2.55, 0, "SNACKS"),
        (3.6, 12.4, 2.6, 0, "DAIRY"),
        (3.0, 0.05, 2.42, 0, "EXIT"),
        (9.9, 2.5, 2.35, 0, "CHECKOUT 1"),
        (12.1, 2.5, 2.35, 0, "CHECKOUT 2"),
        (5.2, 0.03, 2.6, 0, "WELCOME"),
    ],
)
