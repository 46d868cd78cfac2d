"""Turn a walked path into a performance: step phase from the distance walked, gestures from the activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..people.gait import STRIDE_METRES, Pose
from ..people.outfits import Outfit
from .casting import IN_HAND
from .walking import STEP_SECONDS, Walker

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One person's whole performance: arrays (T,) at STEP_SECONDS from `first` seconds on."""

    first: float
    x: Doubles
    y: Doubles
    heading: Doubles
    phase: Doubles
    walk: Doubles
    browse: Doubles
    talk: Doubles
    present: NDArray[np.bool_]  # not before its time, not after it has left
    outfit: Outfit
    rhythm: Doubles  # six random frequencies and offsets

    def there(self, seconds: float) -> bool:
        """Whether this person is anywhere near the store at a time."""
        return bool(self.present[int(np.clip(round((seconds - self.first) / STEP_SECONDS), 0, len(self.x) - 1))])

    def at(self, seconds: float) -> tuple[Pose, float, float, float]:
        """Pose, x, y, heading at a time."""
        index = (seconds - self.first) / STEP_SECONDS
        low = int(np.clip(np.floor(index), 0, len(self.x) - 2))
        t = float(np.clip(index - low, 0, 1))

        def mix(values: Doubles) -> float:
            return float(values[low] * (1 - t) + values[low + 1] * t)

        return (
            self._pose(seconds, mix(self.phase), mix(self.walk), mix(self.browse), mix(self.talk)),
            mix(self.x),
            mix(self.y),
            mix(self.heading),
        )

    def _pose(self, seconds: float, phase: float, walk: float, browse: float, talk: float) -> Pose:
        f = self.rhythm
        slow = np.sin(seconds * (0.25 + 0.2 * f[0]) + 6.3 * f[1])
        wander = np.sin(seconds * (0.7 + 0.5 * f[2]) + 6.3 * f[3])
        grasp = _pulse(seconds * (0.09 + 0.05 * f[4]) + f[5])
        loaded = self.outfit.bag in IN_HAND
        left = loaded or f[5] < 0.5
        wave = max(0.0, float(np.sin(seconds * (1.3 + f[2])))) * talk
        return Pose(
            phase=phase % 1.0,
            walk=walk,
            reach_l=0.95 * grasp * browse if left else 0.0,
            reach_r=0.0 if left else 0.95 * grasp * browse,
            fold_l=0.65 * wave if left else 0.0,
            fold_r=0.0 if left else 0.65 * wave,
            heavy_r=0.9 if loaded else 0.0,
            glance=float(26 * wander * browse + 12 * slow * walk + 8 * wander * talk),
            nod=float(browse * (8 + 8 * slow)),
            stoop=float(browse * max(0.0, 20 * np.sin(seconds * 0.21 + 6.3 * f[4]) - 6)),
            sway=float(0.8 * slow * (1 - walk)),
        )


def _pulse(turn: float) -> float:
    """0 most of the time, a smooth hump of 1 during a part of each unit."""
    t = (turn % 1.0 - 0.45) / 0.4
    return float(np.sin(np.pi * t) ** 2 * 1.2) if 0 < t < 1 else 0.0


def perform(walker: Walker, outfit: Outfit, first: float, rng: np.random.Generator) -> Part:
    """Turn a simulated path into a performance."""
    path = np.array(walker.path)
    x, y = (gaussian_filter1d(path[:, i], 4) for i in (0, 1))
    heading = gaussian_filter1d(path[:, 2], 3)
    speed = gaussian_filter1d(np.hypot(np.gradient(x), np.gradient(y)) / STEP_SECONDS, 4)
    turning = gaussian_filter1d(np.abs(np.gradient(heading)) / STEP_SECONDS, 6)
    moving = speed + 0.16 * turning
    walk = gaussian_filter1d(np.clip(moving / 0.95, 0, 1.08), 3)
    # A smaller amplitude makes shorter steps; without the floor, slow walkers would trip along.
    stride = STRIDE_METRES * outfit.height / 1.76 * np.clip(walk, 0.35, 1.08)
    phase = np.cumsum(moving / stride) * STEP_SECONDS + rng.random()
    doing = np.array(walker.doing)
    browse = gaussian_filter1d(((doing == "browse") | (doing == "pay")).astype(float), 9)
    talk = gaussian_filter1d((doing == "talk").astype(float), 9)
    times = first + STEP_SECONDS * np.arange(len(x))
    present = (times >= walker.start_seconds) & (doing != "gone")
    return Part(first, x, y, heading, phase, walk, browse, talk, present, outfit, rng.random(6))
