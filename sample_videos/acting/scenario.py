"""The script of the sample store's minute: who comes, what they do and what they wear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..people.outfits import CLOTHS, Colour, Outfit, random_outfit
from ..stores.store import SAMPLE, store_walls
from .performance import Part, perform
from .walking import Stop, Walker, simulate

FIRST, LAST = -8.0, 64.0  # seconds simulated around the minute that is filmed

# name: x, y, point looked at, business
SPOTS: dict[str, tuple[float, float, float, float, str]] = {
    "e1": (0.95, 2.3, 0.2, 2.3, "browse"),
    "e1b": (0.95, 3.3, 0.2, 3.3, "browse"),
    "e2": (1.6, 3.75, 1.65, 4.7, "browse"),
    "e3": (5.05, 1.6, 5.05, 0.7, "browse"),
    "meet1": (2.9, 2.9, 3.85, 2.75, "talk"),
    "meet2": (3.85, 2.75, 2.9, 2.9, "talk"),
    "a1l1": (0.98, 7.3, 0.2, 7.3, "browse"),
    "a1l2": (0.98, 8.8, 0.2, 8.8, "browse"),
    "a1l3": (0.98, 10.2, 0.2, 10.2, "browse"),
    "a1r1": (2.66, 7.6, 3.6, 7.6, "browse"),
    "a1r2": (2.66, 9.2, 3.6, 9.2, "browse"),
    "a1r3": (2.66, 10.5, 3.6, 10.5, "browse"),
    "a2l1": (4.54, 7.4, 3.6, 7.4, "browse"),
    "a2l2": (4.54, 8.8, 3.6, 8.8, "browse"),
    "a2l3": (4.54, 10.2, 3.6, 10.2, "browse"),
    "a2r1": (6.27, 7.7, 7.0, 7.7, "browse"),
    "a2r2": (6.27, 9.0, 7.0, 9.0, "browse"),
    "a2r3": (6.27, 10.6, 7.0, 10.6, "browse"),
    "b1": (1.5, 12.0, 1.5, 12.8, "browse"),
    "b2": (3.0, 12.0, 3.0, 12.8, "browse"),
    "b3": (4.6, 12.0, 4.6, 12.8, "browse"),
    "b4": (5.7, 12.0, 5.7, 12.8, "browse"),
    "till1": (9.2, 3.5, 10.0, 3.5, "pay"),
    "till2": (11.37, 3.2, 12.1, 3.3, "pay"),
    "pay1": (10.65, 3.7, 9.9, 3.6, "pay"),
    "pay2": (12.8, 3.6, 12.0, 3.5, "pay"),
    "queue1": (10.7, 5.4, 10.6, 3.5, "wait"),
    "queue2": (12.6, 5.5, 12.5, 3.5, "wait"),
    "c1": (13.1, 5.4, 13.9, 5.4, "browse"),
    "c2": (10.2, 6.9, 10.2, 7.7, "browse"),
    "pack1": (8.9, 1.4, 8.9, 0.5, "browse"),
    "pack2": (8.15, 1.45, 8.4, 0.6, "browse"),
    "wait1": (4.7, 2.7, 3.0, 1.0, "talk"),
    "in": (3.0, 0.7, 3.2, 3.0, ""),
    "out": (2.6, -1.2, 2.6, -4.0, ""),
    "away": (-2.4, -2.6, -4.0, -2.6, "gone"),
    "exit": (11.4, 0.4, 11.4, -3.0, ""),
    "gone": (15.0, -2.6, 17.0, -2.6, "gone"),
}
_OUTSIDE = (-2.3, -2.4)
_SHOP, _HOME = "in:0", " exit:0 gone:99"

# Start: seconds at which somebody appears outside, or the spot where somebody already is. Then spot:seconds.
PLANS: list[tuple[float | str, str]] = [
    ("till1", "till1:36 a1l2:60"),
    ("a2l2", "a2l2:24 till2:60"),
    ("a1r2", "a1r2:14 b2:7 a2r2:9 queue1:2 pay1:9 pack1:4" + _HOME),
    ("a2r1", "a2r1:9 pay1:12 pack1:7" + _HOME),
    (-7.5, f"{_SHOP} e3:6 a1l1:9 a1l3:6 pay2:11 pack2:5" + _HOME),
    (-4.5, f"{_SHOP} e2:8 a2r1:10 b4:8 out:0 away:99"),
    (1.0, f"{_SHOP} meet1:8 a1r1:9 meet1:9 e3:9"),
    (-1.0, f"{_SHOP} e1b:3 meet2:8 a2l1:12 a2r3:7 queue2:3 pay2:9" + _HOME),
    ("e1", "e1:12 a1l3:10 a1r1:8 pay1:8 pack2:6" + _HOME),
    ("pay1", "pay1:11 pack2:6" + _HOME),
    ("c1", "c1:9 pay2:12" + _HOME),
    ("b4", "b4:15 a2l3:6 queue1:3 pay1:10" + _HOME),
    ("a1l1", "a1l1:16 a1r3:8 e1:12 out:0 away:99"),
    (9.5, f"{_SHOP} e1:8 a1l1:9 a1r2:16"),
    (15.5, f"{_SHOP} e3:9 a2r2:15 pay2:9" + _HOME),
    (23.5, f"{_SHOP} e2:9 e1b:6 a1l1:14"),
    (31.0, f"{_SHOP} e1:7 meet2:5 a2r1:14"),
    ("c2", "c2:18 c1:12 a2r1:8 pay2:9" + _HOME),
    ("wait1", "wait1:15 e2:4 a2r3:9 c2:8 pay1:8"),
    (36.5, f"{_SHOP} wait1:5 e1b:6 a2l1:9"),
]
STAFF = (0, 1)


def _stops(plan: str, rng: np.random.Generator) -> list[Stop]:
    stops = []
    for word in plan.split():
        name, seconds = word.split(":")
        x, y, face_x, face_y, doing = SPOTS[name]
        x, y = (x + rng.uniform(-0.06, 0.06), y + rng.uniform(-0.1, 0.1)) if float(seconds) else (x, y)
        stops.append(
            Stop(
                x,
                y,
                float(seconds) * rng.uniform(0.9, 1.1) if float(seconds) < 30 else float(seconds),
                (face_x, face_y),
                doing,
            )
        )
    return stops


RED: tuple[Colour, Colour] = ((0.70, 0.08, 0.12), (0.13, 0.16, 0.24))  # the sample store's uniform, and its trim


def cast(
    seed: int, count: int, staff: tuple[int, ...], uniform: tuple[Colour, Colour] = RED, least: float = 0.33
) -> list[Outfit]:
    """`count` people whose clothes differ by `least`; the staff differ in body, head and hair only."""
    rng = np.random.default_rng([seed, 41])
    outfits: list[Outfit] = []
    while len(outfits) < count:
        candidate = random_outfit(rng)
        if all(_difference(candidate, other) > least for other in outfits):
            outfits.append(candidate)
    for index in staff:
        outfits[index] = replace(
            outfits[index],
            top="shirt",
            top_colours=uniform,
            top_pattern=0,
            inner=CLOTHS[4],
            opening=0.0,
            sleeve=0.17,
            vneck=0.8,
            collar=0.08,
            staff=True,
            legs="straight",
            leg_end=0.0,
            skirt="",
            bottom_colours=((0.09, 0.09, 0.10), (0.09, 0.09, 0.10)),
            bottom_pattern=0,
            hat="",
            bag="",
            shoes=(0.06, 0.06, 0.06),
            white_soles=False,
            hair=outfits[index].hair or "short",
        )
    return outfits


def _difference(a: Outfit, b: Outfit) -> float:
    """Difference between two people's clothes: mean colour distance of top and bottom, patterns and bags count too."""
    top = float(np.linalg.norm(np.subtract(a.top_colours[0], b.top_colours[0])))
    bottom = float(np.linalg.norm(np.subtract(a.bottom_colours[0], b.bottom_colours[0])))
    return (
        0.6 * top
        + 0.3 * bottom
        + 0.12 * (a.top_pattern != b.top_pattern)
        + 0.08 * (a.bag != b.bag)
        + 0.08 * (a.skirt != b.skirt)
    )


def sample_minute(seed: int) -> list[Part]:
    """Everybody's performance in the sample store; identity 1 is the first."""
    rng = np.random.default_rng([seed, 42])
    walkers = []
    for start, plan in PLANS:
        at, seconds = (SPOTS[start][:2], FIRST) if isinstance(start, str) else (_OUTSIDE, start)
        walkers.append(Walker(at, seconds, _stops(plan, rng), float(rng.uniform(1.0, 1.25))))
    w, d = SAMPLE.size
    simulate(walkers, store_walls(SAMPLE), (-3.0, -4.0), (w + 2, d), FIRST, LAST)
    outfits = cast(seed, len(walkers), STAFF)
    return [perform(walker, outfit, FIRST, rng) for walker, outfit in zip(walkers, outfits, strict=True)]
