"""Seeded scripts of other stores: how many come, in groups or alone, who works there, who leaves and comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..acting.scenario import FIRST, LAST
from ..acting.walking import Stop, Walker
from .floor_plans import FloorPlan, Spot, TillSpots

Doubles = NDArray[np.float64]
FEWEST, MOST = 8, 30
BESIDE = 0.75  # metres between people of one group
PATIENCE = 2.5  # seconds before somebody makes do with a place beside the one that is taken
_PACE = 0.85  # metres a second as the crow flies, for the timetable
_FOREVER = 99.0
_GAP_SECONDS = 2.5  # between people who come through the door
_LAST_ARRIVAL = 40.0


@dataclass(frozen=True)
class Script:
    """Everybody's plan; `staff` are indices of those in uniform (none where staff wear their own clothes)."""

    walkers: list[Walker]
    staff: tuple[int, ...]
    groups: list[tuple[int, ...]]
    returning: tuple[int, ...]


@dataclass
class _Diary:
    """Who will be where, and when, so that two people seldom want the same spot."""

    plan: FloorPlan
    rng: np.random.Generator
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, from, to

    def free(self, spot: Spot, since: float, until: float, radius: float = 0.9) -> bool:
        """Whether nobody is expected near a spot in a span of seconds."""
        return not any(
            np.hypot(x - spot.x, y - spot.y) < radius and a < until + 2 and since < b + 2 for x, y, a, b in self.taken
        )

    def take(self, spot: Spot, since: float, until: float) -> None:
        """Note that somebody will be there."""
        self.taken.append((spot.x, spot.y, since, until))

    def choose(self, since: float, seconds: float, here: tuple[float, float] | None, size: int = 1) -> Spot:
        """A free shelf, not where one stands already; groups of `size` need more room."""
        spots = self.plan.browse
        order: list[Spot] = [spots[i] for i in self.rng.permutation(len(spots)).tolist()]
        if here:
            order = [s for s in order if np.hypot(s.x - here[0], s.y - here[1]) > 1.5] or order
        for spot in order:
            start = since + (np.hypot(spot.x - here[0], spot.y - here[1]) / _PACE if here else 0.0)
            if self.free(spot, start, start + seconds, 0.9 + 0.5 * (size - 1)):
                return spot
        return order[0]


@dataclass
class _Visit:
    """One person's plan as it is written."""

    diary: _Diary
    size: int
    start: tuple[float, float]
    start_seconds: float
    clock: float
    stops: list[Stop] = field(default_factory=list)

    def at(self) -> tuple[float, float]:
        """Where the person is when its plan ends so far."""
        return (self.stops[-1].x, self.stops[-1].y) if self.stops else self.start

    def go(self, spot: Spot, seconds: float) -> None:
        """Walk there and stay."""
        x, y = self.at()
        arrival = self.clock + float(np.hypot(spot.x - x, spot.y - y)) / _PACE
        self.clock = arrival + seconds
        self.diary.take(spot, arrival, self.clock)
        self.stops.append(spot.stop(seconds))

    def browse(self, count: int) -> None:
        """Look at some shelves."""
        for _ in range(count):
            seconds = float(self.diary.rng.uniform(4.0, 13.0))
            self.go(self.diary.choose(self.clock, seconds, self.at(), self.size), seconds)

    def pay(self, till: TillSpots) -> None:
        """Wait for the till to be free, pay; who would wait too long keeps browsing."""
        seconds = float(self.diary.rng.uniform(6.0, 11.0))
        x, y = self.at()
        arrival = self.clock + float(np.hypot(till.customer.x - x, till.customer.y - y)) / _PACE
        wait = 0.0
        while not self.diary.free(till.customer, arrival + wait, arrival + wait + seconds, 0.3):
            wait += 1.0
        if wait > 14.0 or (wait and not till.queue):
            self.browse(1)
        elif wait:
            place = next((q for q in till.queue if self.diary.free(q, arrival, arrival + wait, 0.3)), None)
            if place is None:
                self.browse(1)
                return
            self.go(place, wait)
        if wait <= 14.0:
            self.go(till.customer, seconds)

    def leave(self, outside: Spot) -> None:
        """Go out for good."""
        self.go(Spot(outside.x, outside.y, outside.face, "gone"), _FOREVER)

    def stay(self) -> None:
        """Browse until after the end."""
        while self.clock < LAST:
            self.browse(1)
        self.stops[-1] = Stop(*_where(self.stops[-1]), _FOREVER, self.stops[-1].face, self.stops[-1].doing)


def _where(stop: Stop) -> tuple[float, float]:
    return stop.x, stop.y


def write_script(rng: np.random.Generator, plan: FloorPlan, outside: Spot, people: int) -> Script:
    """Fill a minute: staff first, then shoppers who are inside already, come in, come back, alone or in groups."""
    working = int(rng.integers(1, 1 + min(3, people // 5 + 1)))
    uniforms = bool(rng.random() < 0.6)
    diary = _Diary(plan, rng)
    walkers = [_worker(diary, index) for index in range(working)]
    sizes = _group_sizes(rng, people - working)
    arriving = _arrivals(rng, len(sizes))
    groups: list[tuple[int, ...]] = []
    returning: list[int] = []
    for size, arrival in zip(sizes, arriving, strict=True):
        comes_back = rng.random() < 0.3 and (arrival is None or arrival < 8.0)
        members = _visitors(diary, size, arrival, outside, bool(comes_back))
        numbers = tuple(range(len(walkers), len(walkers) + size))
        walkers += members
        if size > 1:
            groups.append(numbers)
        if comes_back:
            returning += numbers
    return Script(walkers, tuple(range(working)) if uniforms else (), groups, tuple(returning))


def _group_sizes(rng: np.random.Generator, people: int) -> list[int]:
    """Parties of one to three that add up."""
    sizes: list[int] = []
    alone = float(rng.uniform(0.55, 0.85))
    while sum(sizes) < people:
        size = int(rng.choice([1, 2, 3], p=[alone, (1 - alone) * 0.7, (1 - alone) * 0.3]))
        sizes.append(min(size, people - sum(sizes)))
    return sizes


def _arrivals(rng: np.random.Generator, parties: int) -> list[float | None]:
    """When each party appears outside; None where it is inside from the start."""
    coming = sorted(rng.uniform(FIRST + 0.5, _LAST_ARRIVAL, round(parties * float(rng.uniform(0.35, 0.6)))).tolist())
    for i in range(1, len(coming)):
        coming[i] = max(coming[i], coming[i - 1] + _GAP_SECONDS)
    return [*([None] * (parties - len(coming))), *coming]


def _worker(diary: _Diary, index: int) -> Walker:
    """Someone at a till, then at the shelves; or, when the tills are staffed, at the shelves only."""
    rng, tills = diary.rng, diary.plan.tills
    if index < len(tills):
        start = tills[index].staff
        visit = _Visit(diary, 1, (start.x, start.y), FIRST, FIRST)
        visit.go(start, float(rng.uniform(30, 90)))
    else:
        start = diary.choose(FIRST, 25.0, None)
        visit = _Visit(diary, 1, (start.x, start.y), FIRST, FIRST)
        visit.go(start, float(rng.uniform(14, 28)))
    visit.stay()
    return Walker(visit.start, FIRST, visit.stops, float(rng.uniform(1.0, 1.3)), PATIENCE)


def _visitors(diary: _Diary, size: int, arrival: float | None, outside: Spot, comes_back: bool) -> list[Walker]:
    rng = diary.rng
    if arrival is None:
        seconds = float(rng.uniform(9, 16) if comes_back else rng.uniform(9, 28))
        spot = diary.choose(FIRST, seconds, None, size)
        visit = _Visit(diary, size, (spot.x, spot.y), FIRST, FIRST)
        visit.go(spot, seconds)
    else:
        visit = _Visit(diary, size, (outside.x, outside.y), arrival, arrival)
        if diary.plan.talk and rng.random() < 0.2:
            visit.go(diary.plan.talk[int(rng.integers(len(diary.plan.talk)))][0], float(rng.uniform(3, 7)))
    if comes_back:
        visit.browse(0 if arrival is None else 1)
        visit.go(Spot(outside.x, outside.y, outside.face, ""), float(rng.uniform(2, 6)))
    else:
        visit.browse(int(rng.integers(1, 4)))
    if rng.random() < 0.65 and not comes_back:
        visit.pay(diary.plan.tills[int(rng.integers(len(diary.plan.tills)))])
        visit.leave(outside)
    elif rng.random() < 0.35 and not comes_back:
        visit.leave(outside)
    else:
        visit.stay()
    return _party(diary, visit)


def _party(diary: _Diary, visit: _Visit) -> list[Walker]:
    """The visitor and its companions: same stops, side by side, nobody goes ahead."""
    speed = float(diary.rng.uniform(0.95, 1.3))
    places = [_beside(diary.plan, stop, visit.size) for stop in visit.stops]
    starts = _beside(diary.plan, Stop(*visit.start, 0.0, visit.stops[0].face), visit.size)
    walkers = []
    for member in range(visit.size):
        stops = [
            Stop(*spots[member], stop.seconds, stop.face, stop.doing)
            for stop, spots in zip(visit.stops, places, strict=True)
        ]
        walkers.append(Walker(starts[member], visit.start_seconds, stops, speed, PATIENCE))
    for walker in walkers:
        walker.company = [other for other in walkers if other is not walker]
    return walkers


def _beside(plan: FloorPlan, stop: Stop, size: int) -> list[tuple[float, float]]:
    """Places of a party at a stop: along the shelf, or behind, wherever there is room."""
    places = [(stop.x, stop.y)]
    look = np.subtract(stop.face, places[0])
    ahead = look / max(float(np.hypot(*look)), 1e-6)
    along = np.array((-ahead[1], ahead[0]))
    along = -along if along[1] > 0 else along  # at a till this side is free: others queue on the far side
    for offset in (along, -along, -ahead, along - ahead, -along - ahead, -2 * ahead, 2 * along, -2 * along):
        x, y = np.array(places[0]) + BESIDE * offset
        if len(places) < size and plan.roomy((float(x), float(y))):
            places.append((float(x), float(y)))
    while len(places) < size:  # walking keeps them apart
        places.append(places[0])
    return places
