"""Another store for every seed: floor plan, cameras, light, cast and script, checked before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..acting.casting import free
from ..acting.performance import Part, perform
from ..acting.scenario import FIRST, LAST, cast
from ..acting.walking import STEP_SECONDS, simulate
from ..drawing.props import Film
from ..filming.film import Production, Shot
from ..people.outfits import CLOTHS
from ..stores.cameras import Camera
from .camera_plans import in_view, mostly_seen, people_in_view, place_cameras, solids
from .floor_plans import FloorPlan, Spot, random_plan
from .random_parts import random_light
from .scripts import FEWEST, MOST, Script, write_script

Doubles = NDArray[np.float64]
SECONDS = 60.0  # of film
LEAST_SECONDS_SEEN = 2.0  # by some camera
MOST_SECONDS_STUCK = 5.0
_ATTEMPTS, _SCRIPTS = 60, 4  # draws in all, and of scripts for one floor plan
_WALL_TOLERANCE = 0.2  # metres that a path keeps from whatever is solid
_EVERY = 5  # simulated steps between two checks of who is seen


@dataclass(frozen=True)
class SeededStore:
    """A store and its minute, as simulated."""

    plan: FloorPlan
    cameras: dict[str, Camera]
    script: Script


def seeded_store(seed: int) -> SeededStore:
    """The first script of this seed in which everybody walks freely and is seen; in another plan if none is found."""
    people = int(np.random.default_rng([seed, 60]).integers(FEWEST, MOST + 1))
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, 61, attempt // _SCRIPTS])
        plan = random_plan(rng)
        area = plan.store.size[0] * plan.store.size[1]
        cameras = place_cameras(rng, plan, int(np.clip(round(area / 45 + rng.normal(0, 0.6)), 3, 5)))
        outside = unseen_pavement(plan, cameras)
        if outside is None:
            continue
        plan = mostly_seen(rng, plan, cameras)
        script = write_script(np.random.default_rng([seed, 63, attempt]), plan, outside, people)
        simulate(script.walkers, plan.walls(), *plan.bounds(), FIRST, LAST)
        if not problems(plan, cameras, script):
            return SeededStore(plan, cameras, script)
    raise ValueError(f"no store in {_ATTEMPTS} draws in which everybody is seen; take another seed")


def unseen_pavement(plan: FloorPlan, cameras: dict[str, Camera]) -> Spot | None:
    """The pavement nearest to the entrance that no camera sees through a door: people appear and vanish there."""
    boxes, width = solids(plan.store), plan.store.size[0]
    door_x = plan.doors[0][0]
    for x in sorted(np.arange(-2.4, width + 2.5, 0.4), key=lambda x: abs(x - door_x)):
        body = np.array([[x + dx, y, z] for dx in (-0.8, 0.8) for y in (-2.9, -1.4) for z in (0.1, 1.0, 1.8)])
        if abs(x - door_x) > 1.5 and not any(in_view(camera, body, boxes).any() for camera in cameras.values()):
            return Spot(float(x), -2.2, (door_x, -2.2), "")
    return None


def problems(plan: FloorPlan, cameras: dict[str, Camera], script: Script) -> list[str]:
    """Why this minute should not be filmed: people in walls, stuck, or never seen. Empty where it should."""
    walls, boxes, found = plan.walls(), solids(plan.store), []
    for number, walker in enumerate(script.walkers, 1):
        path = np.array(walker.path)
        times = FIRST + STEP_SECONDS * np.arange(len(path))
        there = (times >= walker.start_seconds) & (np.array(walker.doing) != "gone")
        if not free(path[there, :2], walls, _WALL_TOLERANCE).all():
            found.append(f"person {number} walks through something solid")
        if stuck_seconds(path[there]) > MOST_SECONDS_STUCK:
            found.append(f"person {number} is stuck")
        filmed = path[there & (times >= 0) & (times <= SECONDS)][::_EVERY, :2]
        seen = [people_in_view(camera, filmed, boxes).sum() for camera in cameras.values()]
        if max(seen) * _EVERY * STEP_SECONDS < LEAST_SECONDS_SEEN:
            found.append(f"person {number} is not seen")
    return found


def stuck_seconds(path: Doubles) -> float:
    """The longest time that somebody with somewhere to go does not move; path rows (T, 4) as in Walker."""
    second = round(1 / STEP_SECONDS)
    if len(path) <= second:
        return 0.0
    still = np.hypot(*(path[second:, :2] - path[:-second, :2]).T) < 0.1
    still &= (path[second:, 3] == 0) & (path[:-second, 3] == 0)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], still, [0]])))
    return float((ends[1::2] - ends[::2]).max(initial=0)) * STEP_SECONDS


def other_store(seed: int) -> Production:
    """A minute in another store."""
    made = seeded_store(seed)
    rng = np.random.default_rng([seed, 62])
    colours = [CLOTHS[int(i)] for i in rng.choice(len(CLOTHS), 2, replace=False)]
    outfits = cast(seed, len(made.script.walkers), made.script.staff, (colours[0], colours[1]), 0.25)
    parts: list[Part] = [
        perform(walker, outfit, FIRST, rng) for walker, outfit in zip(made.script.walkers, outfits, strict=True)
    ]
    light = random_light(rng)
    return Production(made.plan.store, light, parts, _shots(rng, made.cameras, light.sky[1]), seed, farthest=25.0)


def _shots(rng: np.random.Generator, cameras: dict[str, Camera], level: float) -> dict[str, Shot]:
    """Exposure, white balance and timing of each: one camera starts late, another has a rate of its own."""
    late, slow = rng.permutation(len(cameras))[:2]
    shots = {}
    for index, (name, camera) in enumerate(cameras.items()):
        gain = 1.08 / level * float(np.exp(rng.normal(0, 0.12)))
        red, blue = (float(np.exp(rng.normal(0, 0.06))) for _ in range(2))
        film = Film(
            (gain * red, gain, gain * blue),
            float(rng.uniform(0.3, 0.6)),
            float(rng.uniform(0.003, 0.006)),
            float(rng.uniform(0.1, 0.32)),
            float(rng.choice([0.0, 0.6], p=[0.7, 0.3])),
        )
        start = float(rng.integers(1, 5)) if index == late else 0.0
        rate = Fraction(int(rng.choice([10, 12, 15]))) if index == slow else Fraction(25, 2)
        shots[name] = Shot(camera, film, start, rate, int((SECONDS - start) * rate))
    return shots
