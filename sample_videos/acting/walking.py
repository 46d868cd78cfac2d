"""Simulate people on their way from shelf to shelf: paths on a grid, and bodies that avoid each other.

Positions are floor metres, times are seconds of the store's clock, headings radians (0 faces +y, positive turns left).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from ..stores.store import Rect

Doubles = NDArray[np.float64]
STEP_SECONDS = 0.04
CELL = 0.15
WALL_GAP = 0.30  # metres between a person's middle and anything solid
PERSON_GAP = 0.66  # metres between two people's middles
_NEARBY = 2 * PERSON_GAP  # nobody is pushed so far in one step that a pair farther apart could come to touch
_NEIGHBOURS = [
    (di, dj, float(np.hypot(di, dj)))
    for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
]


@dataclass(frozen=True)
class Stop:
    """Where to go, what to look at there (floor point), for how long, doing what."""

    x: float
    y: float
    seconds: float
    face: tuple[float, float]
    doing: str = "browse"


@dataclass
class Walker:
    """One person's plan and what became of it; rows of `path` are x, y, heading, busy (0 walking, 1 at its stop)."""

    start: tuple[float, float]
    start_seconds: float
    stops: list[Stop]
    speed: float = 1.1
    patience: float = np.inf  # seconds without getting on, after which it stays where it is as if it had arrived
    path: list[tuple[float, float, float, float]] = field(default_factory=list)
    doing: list[str] = field(default_factory=list)
    company: list[Walker] = field(default_factory=list, repr=False)  # who walks along, with stops of the same number
    _target: int = 0
    _until: float = -1.0
    _left: float = 0.0
    _blocked: float = 0.0
    _route: Doubles = field(default_factory=lambda: np.zeros((0, 2)))

    def gone(self) -> bool:
        """Whether this person has left for good."""
        return self._until >= 0 and self.stops[self._target].doing == "gone"

    def waits(self, seconds: float) -> bool:
        """Whether this person stays at its stop: its time is not over, or its company's is not."""
        return seconds < self._until or any(
            mate._target < self._target or (mate._target == self._target and (mate._until < 0 or seconds < mate._until))
            for mate in self.company
        )

    def keeping_up(self, left: float) -> float:
        """Factor on the speed with `left` metres to go: whoever is ahead of its company slows down."""
        behind = [m._left for m in self.company if m._target == self._target and m._until < 0 and m._left > 0]
        if not behind:
            return 1.0
        return 0.5 if max(behind) > left + 0.9 else 1.2 if min(behind) < left - 0.9 else 1.0


class Grid:
    """Free cells of a floor and shortest ways over them."""

    def __init__(self, lower: tuple[float, float], upper: tuple[float, float], obstacles: list[Rect]) -> None:
        self.lower = np.array(lower)
        self.shape = tuple(np.ceil((np.array(upper) - self.lower) / CELL).astype(int) + 1)
        xs, ys = (self.lower[i] + CELL * np.arange(self.shape[i]) for i in (0, 1))
        x, y = np.meshgrid(xs, ys, indexing="ij")
        gap = np.full(self.shape, 9.0)
        for x1, y1, x2, y2 in obstacles:
            gap = np.minimum(gap, np.maximum(np.maximum(x1 - x, x - x2), np.maximum(y1 - y, y - y2)))
        self.cost = np.where(gap < WALL_GAP, np.inf, 1.0 + 2.0 * np.exp(-((gap - WALL_GAP) / 0.25)))

    def _cell(self, point: Doubles) -> tuple[int, int]:
        i, j = np.round((point - self.lower) / CELL).astype(int).clip(0, np.array(self.shape) - 1)
        return int(i), int(j)

    def connected(self, start: tuple[float, float], goals: Doubles) -> bool:
        """Whether every goal (N, 2) can be reached from the start without touching anything solid."""
        parts, _ = label(np.isfinite(self.cost), np.ones((3, 3)))
        own = parts[self._cell(np.array(start))]
        return bool(own) and all(parts[self._cell(goal)] == own for goal in goals)

    def route(self, start: Doubles, goal: Doubles) -> Doubles:
        """Points (N, 2) from start to goal: A* over eight neighbours."""
        first, last = self._cell(start), self._cell(goal)
        left = np.hypot(np.arange(self.shape[0])[:, None] - last[0], np.arange(self.shape[1]) - last[1]).tolist()
        price = np.minimum(self.cost, 60.0).tolist()  # lists, as single numbers of an array are slow to read
        best, came = {first: 0.0}, {first: first}
        queue = [(0.0, first)]
        while queue:
            _, cell = heappop(queue)
            if cell == last:
                break
            for di, dj, far in _NEIGHBOURS:
                i, j = near = (cell[0] + di, cell[1] + dj)
                if not (0 <= i < self.shape[0] and 0 <= j < self.shape[1]):
                    continue
                cost = best[cell] + far * price[i][j]
                if cost < best.get(near, np.inf):
                    best[near], came[near] = cost, cell
                    heappush(queue, (cost + left[i][j], near))
        cells = [last]
        while cells[-1] != first and cells[-1] in came:
            cells.append(came[cells[-1]])
        points = self.lower + CELL * np.array(cells[::-1], float)
        points[-1] = goal
        return np.asarray(points)


def _push_out(here: Doubles, active: list[int], obstacles: Doubles) -> None:
    """Move people (N, 2) out of every inflated rectangle (R, 4) by the shortest way."""
    points = here[active, None]
    low, high = obstacles[:, :2] - WALL_GAP, obstacles[:, 2:] + WALL_GAP
    inside = ((points > low) & (points < high)).all(2)  # (A, R)
    for row in np.flatnonzero(inside.max(1, initial=False)):
        _push_one_out(here[active[row]], obstacles)


def _push_one_out(position: Doubles, obstacles: Doubles) -> None:
    for x1, y1, x2, y2 in obstacles:
        left, right = position[0] - (x1 - WALL_GAP), (x2 + WALL_GAP) - position[0]
        low, high = position[1] - (y1 - WALL_GAP), (y2 + WALL_GAP) - position[1]
        depth: float = min(left, right, low, high)
        if depth > 0:
            if depth == left:
                position[0] -= left
            elif depth == right:
                position[0] += right
            elif depth == low:
                position[1] -= low
            else:
                position[1] += high


def _wish(walker: Walker, here: Doubles, pace: Doubles, seconds: float, grid: Grid) -> Doubles:
    """Velocity (2,) this person wants; plans the next way when a stop is over."""
    if walker._target >= len(walker.stops):
        return np.zeros(2)
    stop = walker.stops[walker._target]
    goal = np.array([stop.x, stop.y])
    if walker._until >= 0:
        if walker.waits(seconds):
            return np.asarray((goal - here) * 0.8)
        walker._until = -1.0
        walker._target += 1
        walker._route = np.zeros((0, 2))
        return np.zeros(2)
    if not len(walker._route):
        walker._route = grid.route(here, goal)
    walker._left = float(np.hypot(*(goal - here)))
    near = walker._left < 1.0  # metres: here one can circle for long around somebody who has the place
    walker._blocked = walker._blocked + STEP_SECONDS if near or np.hypot(*pace) < 0.15 else 0.0
    if walker._blocked > walker.patience and stop.doing != "gone":
        walker.stops[walker._target] = replace(stop, x=float(here[0]), y=float(here[1]))
        walker._left = 0.0
    if walker._left < 0.22:
        walker._until, walker._blocked = seconds + stop.seconds, 0.0
        return np.zeros(2)
    nearest = int(np.argmin(np.hypot(*(walker._route - here).T)))
    ahead = walker._route[min(nearest + 4, len(walker._route) - 1)]
    way = ahead - here
    slow = min(1.0, 0.35 + float(np.hypot(*(goal - here))))
    return np.asarray(way / max(float(np.hypot(*way)), 0.05) * walker.speed * slow * walker.keeping_up(walker._left))


def _give_way(
    here: Doubles, velocity: Doubles, places: Doubles, paces: Doubles, active: list[int], own: int
) -> Doubles:
    """Slow down and step to the right for whoever is ahead (people at `places` (N, 2) with velocities `paces`)."""
    speed = float(np.hypot(*velocity))
    if speed < 0.2:
        return velocity
    forward = velocity / speed
    right = np.array([forward[1], -forward[0]])
    near = np.abs(places - here).max(1) <= 1.7
    turned = velocity.copy()
    for other in active:
        if other == own or not near[other]:
            continue
        to, their = places[other] - here, paces[other]
        distance = float(np.hypot(*to))
        if distance > 1.7 or distance < 1e-6 or forward @ to < 0.15:
            continue
        closing = max(0.0, float((velocity - their) @ to) / distance)
        side = 1.0 if right @ to <= 0.05 or float(their @ forward) < -0.2 else -1.0
        strength = closing * max(0.0, 1.0 - abs(float(right @ to)) / 0.8) * (1.7 - distance) / 1.2
        turned += right * side * strength * 1.3 - forward * strength * 0.35
    return turned


def simulate(
    walkers: list[Walker],
    obstacles: list[Rect],
    lower: tuple[float, float],
    upper: tuple[float, float],
    first: float,
    last: float,
) -> Doubles:
    """Run everyone from `first` to `last` seconds; fills each walker's path; returns the times (T,)."""
    grid, solid = Grid(lower, upper, obstacles), np.array(obstacles).reshape(-1, 4)
    times = np.arange(first, last + STEP_SECONDS / 2, STEP_SECONDS)
    here = np.array([w.start for w in walkers], float)
    pace = np.zeros_like(here)
    heading = np.zeros(len(walkers))
    for index, walker in enumerate(walkers):
        face = walker.stops[0].face if walker.stops else (0.0, 0.0)
        heading[index] = np.arctan2(-(face[0] - here[index, 0]), face[1] - here[index, 1])
    for seconds in times:
        active = [i for i, w in enumerate(walkers) if seconds >= w.start_seconds and not w.gone()]
        _step(walkers, active, here, pace, solid, float(seconds), grid)
        for i, walker in enumerate(walkers):
            busy = walker._until >= 0
            heading[i] += _turn(walker, here[i], pace[i], heading[i], busy)
            walker.path.append((float(here[i, 0]), float(here[i, 1]), float(heading[i]), float(busy)))
            walker.doing.append(walker.stops[walker._target].doing if busy else "")
    return times


def _step(
    walkers: list[Walker], active: list[int], here: Doubles, pace: Doubles, solid: Doubles, seconds: float, grid: Grid
) -> None:
    before = here.copy()
    for i in active:
        wish = _wish(walkers[i], here[i], pace[i], seconds, grid)
        goal = wish if walkers[i]._until >= 0 else _give_way(here[i], wish, before, pace, active, i)
        change = goal - pace[i]
        limit = 3.0 * STEP_SECONDS
        pace[i] += change * min(1.0, limit / max(float(np.hypot(*change)), 1e-9))
        here[i] += pace[i] * STEP_SECONDS
    apart = np.hypot(*(here[active, None] - here[active]).transpose(2, 0, 1))  # (A, A)
    close = [(active[a], active[b]) for a, b in zip(*np.nonzero(np.triu(apart < _NEARBY, 1)), strict=True)]
    for _ in range(3):
        for i, j in close:
            _part(walkers, here, i, j)
        _push_out(here, active, solid)
    for i in active:
        pace[i] = 0.5 * pace[i] + 0.5 * (here[i] - before[i]) / STEP_SECONDS


def _part(walkers: list[Walker], here: Doubles, i: int, j: int) -> None:
    """Push two bodies apart; who stands at a shelf gives way less."""
    apart = here[j] - here[i]
    distance = float(np.hypot(*apart))
    if distance >= PERSON_GAP or distance < 1e-9:
        return
    weight_i = 0.3 if walkers[i]._until >= 0 else 1.0
    weight_j = 0.3 if walkers[j]._until >= 0 else 1.0
    push = apart / distance * (PERSON_GAP - distance) * 0.35
    here[i] -= push * weight_i / (weight_i + weight_j)
    here[j] += push * weight_j / (weight_i + weight_j)


def _turn(walker: Walker, here: Doubles, pace: Doubles, heading: float, busy: bool) -> float:
    """Change of heading in this step, at most 200 degrees a second."""
    speed = float(np.hypot(*pace))
    if busy and speed < 0.35:
        face = walker.stops[walker._target].face
        wanted = np.arctan2(-(face[0] - here[0]), face[1] - here[1])
    elif speed > 0.15:
        wanted = np.arctan2(-pace[0], pace[1])
    else:
        return 0.0
    change = float((wanted - heading + np.pi) % (2 * np.pi) - np.pi)
    return float(np.clip(0.12 * change, -np.radians(200) * STEP_SECONDS, np.radians(200) * STEP_SECONDS))
