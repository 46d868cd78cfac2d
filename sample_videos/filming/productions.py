"""The videos to render: the sample store's four cameras, and the tiny pair for tests."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..acting.performance import perform
from ..acting.scenario import cast, sample_minute
from ..acting.walking import Stop, Walker, simulate
from ..drawing.props import Film, Light
from ..stores.cameras import Camera
from ..stores.store import SAMPLE, Gondola, Store, store_walls
from .film import Production, Shot

SAMPLE_SEED = 1  # of the committed footage
_USUAL, _SLOWER = Fraction(25, 2), Fraction(12)


def sample(seed: int) -> Production:
    """The sample store: aisle_right starts three seconds late, checkout runs at 12 frames a second."""
    shots = {
        "entrance": Shot(
            Camera(6.3, 5.1, 2.75, 134.0, 19.0, 74.0), Film((1.12, 1.04, 0.92), 0.5, 0.004, 0.20), 0.0, _USUAL, 750
        ),
        "aisle_left": Shot(
            Camera(1.7, 3.1, 2.85, -9.0, 18.0, 72.0), Film((1.0, 1.0, 1.0), 0.45, 0.004, 0.25), 0.0, _USUAL, 750
        ),
        "aisle_right": Shot(
            Camera(5.6, 3.0, 2.75, 10.0, 17.5, 74.0), Film((0.80, 0.87, 0.98), 0.6, 0.005, 0.15, 0.6), 3.0, _USUAL, 712
        ),
        "checkout": Shot(
            Camera(8.0, 7.0, 2.9, -141.0, 19.5, 74.0), Film((1.16, 1.22, 1.06), 0.4, 0.004, 0.32), 0.0, _SLOWER, 720
        ),
    }
    return Production(SAMPLE, Light(), sample_minute(seed), shots, seed)


_TINY = Store(
    size=(8.0, 9.0),
    gondolas=[
        Gondola((0.0, 2.5, 0.5, 8.2), 2.0, 1, (1,)),
        Gondola((3.5, 4.2, 4.4, 7.0), 1.3, 1, (-1, 1)),
        Gondola((7.5, 2.5, 8.0, 8.2), 2.0, 1, (-1,)),
        Gondola((0.8, 8.5, 7.2, 9.0), 2.0, 0, (-1,)),
    ],
    floor=((0.66, 0.65, 0.62), (0.58, 0.57, 0.55), 0.6, 0.3),
    wall=(0.75, 0.80, 0.84),
    accent=(0.62, 0.20, 0.16),
)
_TINY_PLANS: list[tuple[tuple[float, float], list[tuple[float, float, float, tuple[float, float]]]]] = [
    ((1.0, 4.6), [(1.0, 4.6, 4.0, (0.0, 4.6)), (3.0, 6.2, 9.0, (4.0, 6.2))]),
    ((2.9, 5.2), [(6.2, 7.8, 0.5, (8.0, 7.8)), (6.9, 5.6, 9.0, (8.0, 5.6))]),
    ((6.6, 5.0), [(2.0, 3.6, 0.3, (0.0, 3.6)), (1.0, 6.2, 9.0, (0.0, 6.2))]),
    ((5.0, 6.4), [(5.0, 6.4, 5.0, (4.0, 6.4)), (5.4, 4.6, 9.0, (8.0, 4.6))]),
    ((1.6, 7.7), [(6.4, 7.4, 1.0, (7.0, 9.0)), (5.6, 3.6, 9.0, (2.0, 3.6))]),
    ((4.6, 3.3), [(1.2, 7.6, 3.0, (1.2, 9.0)), (2.4, 5.0, 9.0, (4.0, 5.0))]),
]


def tiny(seed: int) -> Production:
    """Ten seconds, two small overlapping cameras, six people who cross."""
    rng = np.random.default_rng([seed, 43])
    walkers = [
        Walker(start, -1.0, [Stop(*stop) for stop in stops], float(rng.uniform(1.0, 1.2)))
        for start, stops in _TINY_PLANS
    ]
    simulate(walkers, store_walls(_TINY), (-0.5, -0.5), _TINY.size, -1.0, 11.0)
    outfits = cast(seed + 1000, len(walkers), ())
    parts = [perform(walker, outfit, -1.0, rng) for walker, outfit in zip(walkers, outfits, strict=True)]
    shots = {
        "left": Shot(
            Camera(1.6, 0.7, 2.8, -14.0, 19.0, 74.0, 480, 270),
            Film((1.05, 1.0, 0.94), 0.4, 0.0, 0.2),
            0.0,
            Fraction(10),
            100,
        ),
        "right": Shot(
            Camera(6.4, 0.7, 2.7, 14.0, 18.0, 74.0, 480, 270),
            Film((0.86, 0.92, 1.0), 0.5, 0.0, 0.15),
            0.0,
            Fraction(10),
            100,
        ),
    }
    return Production(_TINY, Light(), parts, shots, seed + 1000, crf=31)
