"""Seeded floor plans of other stores: a layout, half of them mirrored, and the spots where people do something."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..acting.casting import free
from ..acting.walking import Grid, Stop
from ..stores.store import Rect, Store, store_walls
from .layouts import mirrored, random_layout

Doubles = NDArray[np.float64]
BEFORE_SHELF = 0.48  # metres from a shelf's front to whoever looks at it
STANDING_ROOM = 0.40  # metres around a spot without furniture or walls
OUTSIDE_MARGIN = 3.0  # metres of pavement simulated beside and before the store
_LEAST_BROWSE = 16


@dataclass(frozen=True)
class Spot:
    """A floor point, the point looked at from there, and what one does there."""

    x: float
    y: float
    face: tuple[float, float]
    doing: str = "browse"

    def stop(self, seconds: float) -> Stop:
        """This spot in a walker's plan."""
        return Stop(self.x, self.y, seconds, self.face, self.doing)

    def mirrored(self, width: float) -> Spot:
        """The same spot in the mirrored store."""
        return replace(self, x=width - self.x, face=(width - self.face[0], self.face[1]))


@dataclass(frozen=True)
class TillSpots:
    """Where the staff of a till, its customer and its queue (first place first) stand."""

    staff: Spot
    customer: Spot
    queue: tuple[Spot, ...]


@dataclass(frozen=True)
class FloorPlan:
    """A store, the spots in it that people can reach, and its doors' middles (entrance first)."""

    store: Store
    browse: list[Spot]
    tills: list[TillSpots]
    talk: list[tuple[Spot, Spot]]
    doors: list[tuple[float, float]]

    def walls(self) -> list[Rect]:
        """Everything solid."""
        return store_walls(self.store)

    def roomy(self, point: tuple[float, float]) -> bool:
        """Whether there is room to stand at a floor point, on the pavement too."""
        return bool(free(np.array([point]), self.walls(), STANDING_ROOM).all())

    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lower and upper corner of the simulated floor, pavement included."""
        width, depth = self.store.size
        return (-OUTSIDE_MARGIN, -4.0), (width + OUTSIDE_MARGIN, depth)


def random_plan(rng: np.random.Generator) -> FloorPlan:
    """A store in which people find enough to do, and its spots."""
    while True:
        plan = _draw(rng)
        if len(plan.browse) >= _LEAST_BROWSE and plan.talk and plan.tills:
            return plan


def _draw(rng: np.random.Generator) -> FloorPlan:
    store = random_layout(rng)
    width = store.size[0]
    at_tills = [_till_spots(till.rect) for till in store.tills]
    middles = [((left + right) / 2, 0.8) for left, right in store.doors]
    if rng.random() < 0.5:
        store = mirrored(store)
        at_tills = [
            TillSpots(t.staff.mirrored(width), t.customer.mirrored(width), tuple(q.mirrored(width) for q in t.queue))
            for t in at_tills
        ]
        middles = [(width - x, y) for x, y in middles]
    return _with_spots(rng, store, at_tills, middles)


def _till_spots(rect: Rect) -> TillSpots:
    x1, y1, x2, y2 = rect
    staff = Spot(x1 - 0.42, y1 + 0.9, (x2, y1 + 0.9), "pay")
    customer = Spot(x2 + 0.42, y1 + 1.1, (x1, y1 + 0.9), "pay")
    queue = tuple(Spot(x2 + 0.45, y2 + 0.15 + 0.85 * i, (x2 + 0.4, y1), "wait") for i in range(2))
    return TillSpots(staff, customer, queue)


def _before(rect: Rect, axis: int, side: int, rng: np.random.Generator) -> list[Spot]:
    """Spots along one side of a piece of furniture, more than a metre apart."""
    low, high = (rect[1], rect[3]) if axis == 1 else (rect[0], rect[2])
    face = rect[0 if axis == 1 else 1] if side < 0 else rect[2 if axis == 1 else 3]
    count = max(1, int((high - low) / 1.3))
    spots = []
    for i in range(count):
        along = low + (i + 0.5) * (high - low) / count + float(rng.uniform(-0.1, 0.1))
        stand, look = (face + side * BEFORE_SHELF, along), (face - side * 0.3, along)
        spots.append(Spot(*stand, look) if axis == 1 else Spot(stand[1], stand[0], (look[1], look[0])))
    return spots


def _with_spots(
    rng: np.random.Generator, store: Store, tills: list[TillSpots], doors: list[tuple[float, float]]
) -> FloorPlan:
    """Keep the spots with room to stand that can be reached from the entrance."""
    plan = FloorPlan(store, [], tills, [], doors)
    walls, grid = plan.walls(), Grid(*plan.bounds(), plan.walls())
    browse = [spot for g in store.gondolas for side in g.sides for spot in _before(g.rect, g.axis, side, rng)]
    browse += [s for rect in store.bins for axis in (0, 1) for side in (-1, 1) for s in _before(rect, axis, side, rng)]

    def usable(spots: list[Spot]) -> bool:
        points = np.array([(spot.x, spot.y) for spot in spots])
        return bool(free(points, walls, STANDING_ROOM).all()) and grid.connected(doors[0], points)

    middles = rng.uniform((1.0, 1.0), np.array(store.size) - 1.0, (60, 2))
    talk = []
    for (x, y), turn in zip(middles.tolist(), rng.uniform(0, 2 * np.pi, 60), strict=True):
        dx, dy = 0.48 * float(np.cos(turn)), 0.48 * float(np.sin(turn))
        one, other = (x - dx, y - dy), (x + dx, y + dy)
        talk.append((Spot(*one, other, "talk"), Spot(*other, one, "talk")))
    return replace(
        plan,
        browse=[spot for spot in browse if usable([spot])],
        tills=[
            replace(till, queue=tuple(q for q in till.queue if usable([q])))
            for till in tills
            if usable([till.staff]) and usable([till.customer])
        ],
        talk=[pair for pair in talk if usable(list(pair))][:4],
    )
