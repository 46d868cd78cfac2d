"""Seeded layouts of other stores: doors, tills, shelves, tables and signs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..stores.labels import SIGNS
from ..stores.store import Gondola, Rect, Store, Till, Tint
from .random_parts import FLOORS, random_tint

_TILL_WIDTH, _LANE = 0.65, 2.25


@dataclass(frozen=True)
class _Frame:
    """What all furniture keeps to: size, left edge of the tills, where shelves begin behind door and tills."""

    width: float
    depth: float
    tills_x: float
    door_front: float
    tills_front: float

    def front(self, x: float) -> float:
        """Where shelves may begin that reach to x."""
        return self.tills_front if x > self.tills_x - 1.2 else self.door_front


def random_layout(rng: np.random.Generator) -> Store:
    """A store of 10 to 16 by 11 to 14 metres: the entrance on the left, one to three tills on the right."""
    width, depth = float(rng.uniform(10.5, 16.0)), float(rng.uniform(11.0, 14.0))
    count = int(rng.integers(1, 3 if width < 12 else 4))
    tills_x = width - 1.5 - _TILL_WIDTH - _LANE * (count - 1)
    near, far = float(rng.uniform(1.8, 2.3)), float(rng.uniform(3.9, 4.4))
    tills = [Till((tills_x + _LANE * i, near, tills_x + _LANE * i + _TILL_WIDTH, far)) for i in range(count)]
    frame = _Frame(width, depth, tills_x, float(rng.uniform(3.6, 4.8)), far + float(rng.uniform(1.7, 2.2)))
    doors = _doors(rng, frame)
    wood = random_tint(rng, 0.55, 0.92, 0.04)
    partitions = []
    if len(doors) == 2 and doors[0][1] < tills_x - 2.4 and rng.random() < 0.5:
        partitions = [(tills_x - 1.7, 0.0, tills_x - 1.5, float(rng.uniform(1.8, 2.8)))]
    store = Store(
        size=(width, depth),
        gondolas=[*_wall_shelves(rng, frame, wood), *_inner_shelves(rng, frame, wood)],
        tills=tills,
        doors=doors,
        partitions=partitions,
        floor=FLOORS[int(rng.integers(len(FLOORS)))],
        wall=random_tint(rng, 0.55, 0.92),
        accent=random_tint(rng, 0.1, 0.7, 0.2),
    )
    return replace(store, bins=_tables(rng, frame, store), signs=_signs(rng, store))


def mirrored(store: Store) -> Store:
    """The same store with left and right exchanged."""
    width = store.size[0]

    def flip(rect: Rect) -> Rect:
        return (width - rect[2], rect[1], width - rect[0], rect[3])

    return replace(
        store,
        gondolas=[
            replace(g, rect=flip(g.rect), sides=tuple(-s for s in g.sides) if g.axis == 1 else g.sides)
            for g in store.gondolas
        ],
        tills=[Till(flip(till.rect)) for till in store.tills],
        bins=[flip(rect) for rect in store.bins],
        partitions=[flip(rect) for rect in store.partitions],
        doors=sorted((width - right, width - left) for left, right in store.doors),
        signs=[(width - x, y, z, axis, text) for x, y, z, axis, text in store.signs],
    )


def _doors(rng: np.random.Generator, frame: _Frame) -> list[tuple[float, float]]:
    """The entrance, and in most stores an exit beyond the tills; x from, x to."""
    wide = float(rng.uniform(1.6, 2.2))
    left = float(rng.uniform(0.9, max(1.0, frame.tills_x - 1.9 - wide)))
    doors = [(left, left + wide)]
    wide = float(rng.uniform(1.5, 1.9))
    lowest, highest = max(frame.tills_x, left + 4.0), frame.width - 0.7 - wide
    if lowest < highest and rng.random() < 0.65:
        left = float(rng.uniform(lowest, highest))
        doors.append((left, left + wide))
    return doors


def _wall_shelves(rng: np.random.Generator, frame: _Frame, wood: Tint) -> list[Gondola]:
    shelves = []
    if rng.random() < 0.9:
        shelves.append(
            Gondola(
                (0.0, float(rng.uniform(1.2, 3.0)), 0.5, frame.depth - 1.1), float(rng.uniform(1.7, 2.2)), 1, (1,), wood
            )
        )
    if rng.random() < 0.8:
        rect = (frame.width - 0.5, frame.tills_front, frame.width, frame.depth - 1.1)
        shelves.append(Gondola(rect, float(rng.uniform(1.7, 2.2)), 1, (-1,), wood))
    if rng.random() < 0.9:
        rect = (0.7, frame.depth - 0.5, frame.width - 0.7, frame.depth)
        shelves.append(Gondola(rect, float(rng.uniform(1.8, 2.2)), 0, (-1,), wood))
    return shelves


def _inner_shelves(rng: np.random.Generator, frame: _Frame, wood: Tint) -> list[Gondola]:
    """Aisles into the store, rows across it, or low islands."""
    kind = str(rng.choice(["aisles", "rows", "islands"], p=[0.5, 0.25, 0.25]))
    return {"aisles": _aisles, "rows": _rows, "islands": _islands}[kind](rng, frame, wood)


def _aisles(rng: np.random.Generator, frame: _Frame, wood: Tint) -> list[Gondola]:
    shelves, aisle = [], float(rng.uniform(1.8, 2.5))
    at, back = 0.5 + aisle, frame.depth - 0.5 - float(rng.uniform(1.5, 2.0))
    height, split = float(rng.uniform(1.3, 1.8)), rng.random() < 0.4
    while at + 0.9 + 1.6 < frame.width - 0.5:
        front = frame.front(at + 0.9) + float(rng.uniform(0.0, 0.5))
        ends = [(front, back)]
        if split and back - front > 5.0:
            middle = (front + back) / 2
            ends = [(front, middle - 0.8), (middle + 0.8, back)]
        shelves += [Gondola((at, low, at + 0.9, high), height, 1, (-1, 1), wood) for low, high in ends]
        at += 0.9 + aisle + float(rng.uniform(0.0, 0.3))
    return shelves


def _rows(rng: np.random.Generator, frame: _Frame, wood: Tint) -> list[Gondola]:
    shelves, gap = [], 0.9 + float(rng.uniform(1.7, 2.2))
    left, right = 0.5 + float(rng.uniform(1.5, 1.9)), frame.width - 0.5 - float(rng.uniform(1.5, 1.9))
    middle = float(rng.uniform(0.4, 0.6)) * (left + right)
    at, height = frame.door_front + 0.3, float(rng.uniform(1.25, 1.7))
    while at + 0.9 + 1.5 < frame.depth - 0.5:
        ends = [(left, middle - 0.8), (middle + 0.8, right)]
        if at < frame.tills_front:  # in front of the tills people queue
            ends = [(left, min(high, frame.tills_x - 1.2)) for _, high in ends[:1]]
        shelves += [
            Gondola((low, at, high, at + 0.9), height, 0, (-1, 1), wood) for low, high in ends if high - low > 1.2
        ]
        at += gap
    return shelves


def _islands(rng: np.random.Generator, frame: _Frame, wood: Tint) -> list[Gondola]:
    shelves = []
    columns, rows = int((frame.width - 1.4) / 3.4), int((frame.depth - frame.door_front - 1.6) / 2.9)
    wide, deep = (frame.width - 1.4) / columns, (frame.depth - frame.door_front - 1.6) / rows
    for column in range(columns):
        for row in range(rows):
            x = 0.7 + (column + 0.5) * wide + float(rng.uniform(-0.1, 0.1))
            y = frame.door_front + (row + 0.5) * deep + float(rng.uniform(-0.1, 0.1))
            axis = int(rng.integers(2))
            half = (float(rng.uniform(0.75, 1.0)), 0.4) if axis == 0 else (0.4, float(rng.uniform(0.6, 0.85)))
            rect = (x - half[0], y - half[1], x + half[0], y + half[1])
            if rng.random() < 0.85 and rect[1] > frame.front(rect[2]):
                shelves.append(Gondola(rect, float(rng.uniform(1.15, 1.5)), axis, (-1, 1), wood))
    return shelves


def _apart(rect: Rect, others: list[Rect], gap: float) -> bool:
    """Whether a rectangle keeps `gap` metres, along x or y, from all others."""
    x1, y1, x2, y2 = rect
    return all(max(x1 - b[2], b[0] - x2, y1 - b[3], b[1] - y2) > gap for b in others)


def _tables(rng: np.random.Generator, frame: _Frame, store: Store) -> list[Rect]:
    """Up to three display tables between door and shelves, off the way in."""
    tables: list[Rect] = []
    ways = [(left - 0.2, 0.0, right + 0.2, 2.6) for left, right in store.doors]
    for _ in range(12):
        size = rng.uniform((0.9, 0.6), (1.3, 0.9))
        low = rng.uniform((0.9, 0.3), (max(1.0, frame.tills_x - 2.0 - size[0]), frame.door_front - 1.3 - size[1]))
        rect = (float(low[0]), float(low[1]), float(low[0] + size[0]), float(low[1] + size[1]))
        if len(tables) < 3 and _apart(rect, [*store.obstacles(), *tables], 1.25) and _apart(rect, ways, 0.0):
            tables.append(rect)
    return tables


def _signs(rng: np.random.Generator, store: Store) -> list[tuple[float, float, float, int, str]]:
    signs = [((left + right) / 2, 0.05, 2.42, 0, "EXIT") for left, right in store.doors]
    signs += [
        (till.rect[0] + 0.3, till.rect[1] - 0.1, 2.35, 0, f"CHECKOUT {number}")
        for number, till in enumerate(store.tills[:2], 1)
    ]
    names = [name for name in SIGNS if not name.startswith(("CHECKOUT", "EXIT"))]
    inner = [shelf for shelf in store.gondolas if len(shelf.sides) == 2]
    for shelf in inner[: int(rng.integers(0, 4))]:
        x1, y1, x2, y2 = shelf.rect
        signs.append(((x1 + x2) / 2, (y1 + y2) / 2, 2.6, 0, str(rng.choice(names))))
    return signs
