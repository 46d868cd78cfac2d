"""Seeded random outfits: build, clothes, hair, hat and bag."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .body import TORSO_CUTS, Mesh, dress

Colour = tuple[float, float, float]  # sRGB in [0, 1]

SKINS: list[Colour] = [
    (0.93, 0.76, 0.66),
    (0.87, 0.68, 0.55),
    (0.78, 0.57, 0.43),
    (0.62, 0.43, 0.31),
    (0.44, 0.30, 0.22),
    (0.95, 0.80, 0.72),
]
HAIRS: list[Colour] = [
    (0.10, 0.08, 0.07),
    (0.22, 0.14, 0.09),
    (0.38, 0.24, 0.13),
    (0.72, 0.55, 0.30),
    (0.55, 0.25, 0.12),
    (0.62, 0.60, 0.58),
    (0.05, 0.05, 0.06),
]
CLOTHS: list[Colour] = [
    (0.80, 0.12, 0.14),
    (0.12, 0.25, 0.62),
    (0.10, 0.45, 0.28),
    (0.93, 0.76, 0.15),
    (0.92, 0.90, 0.86),
    (0.09, 0.09, 0.11),
    (0.45, 0.47, 0.50),
    (0.88, 0.45, 0.12),
    (0.50, 0.18, 0.48),
    (0.93, 0.55, 0.66),
    (0.25, 0.65, 0.75),
    (0.55, 0.38, 0.24),
    (0.78, 0.70, 0.55),
    (0.40, 0.05, 0.12),
    (0.55, 0.72, 0.35),
    (0.15, 0.17, 0.32),
    (0.65, 0.75, 0.90),
]
BOTTOMS: list[Colour] = [
    (0.14, 0.19, 0.33),
    (0.30, 0.40, 0.58),
    (0.08, 0.08, 0.09),
    (0.36, 0.36, 0.38),
    (0.68, 0.60, 0.46),
    (0.38, 0.28, 0.20),
    (0.88, 0.86, 0.82),
    (0.33, 0.36, 0.24),
    (0.45, 0.10, 0.15),
    (0.55, 0.65, 0.78),
]
SHOES: list[Colour] = [
    (0.08, 0.08, 0.08),
    (0.90, 0.90, 0.90),
    (0.40, 0.24, 0.14),
    (0.70, 0.12, 0.12),
    (0.20, 0.28, 0.50),
    (0.55, 0.55, 0.55),
]
PLAIN, STRIPES, PLAID, PRINT, BLOCK, DOTS, PINSTRIPES, FLORAL, BAND, RAGLAN, TWEED, DENIM = range(12)
PRINT_COUNT = 16


@dataclass(frozen=True)
class Outfit:
    """Everything person.frag and body.dress need to know; heights in metres in the rest pose."""

    build: str = "man"
    height: float = 1.76
    girth: float = 1.0
    skin: Colour = SKINS[1]
    hair: str = "short"
    hair_colour: Colour = HAIRS[1]
    beard: float = 0.0
    glasses: bool = False
    hat: str = ""
    hat_colour: Colour = CLOTHS[5]
    bag: str = ""
    bag_colour: Colour = CLOTHS[5]
    bag_style: int = 0
    top: str = "shirt"
    top_colours: tuple[Colour, Colour] = (CLOTHS[1], CLOTHS[4])
    top_pattern: int = PLAIN
    top_scale: float = 14.0
    inner: Colour = CLOTHS[4]
    opening: float = 0.0  # 0 closed, 0.3 a button line, 1 worn open
    sleeve: float = 0.53
    collar: float = 0.08
    vneck: float = 0.0
    print_layer: int = 0
    legs: str = "straight"
    leg_end: float = 0.0
    skirt: str = ""
    skirt_end: float = 0.5
    bottom_colours: tuple[Colour, Colour] = (BOTTOMS[0], BOTTOMS[3])
    bottom_pattern: int = PLAIN
    bottom_scale: float = 12.0
    shoes: Colour = SHOES[0]
    white_soles: bool = False
    staff: bool = False
    grain: float = field(default=0.0)

    def mesh(self) -> Mesh:
        """This person's triangles."""
        return dress(self.build, self.top, self.legs, self.skirt, self.hair, self.hat, self.bag)

    def scale(self) -> tuple[float, float]:
        """Width and height factors of the rest body."""
        tall = self.height / 1.76
        return float(np.sqrt(tall) * self.girth), tall

    def uniforms(self) -> NDArray[np.float32]:
        """outfit[13] of person.frag, float32 (13, 4), colours linear."""
        lip = tuple(0.55 * np.array(self.skin) + 0.45 * np.array((0.70, 0.28, 0.28)) * max(self.skin))
        rows = [
            (*_linear(self.skin), self.beard),
            (*_linear(self.hair_colour), float(self.glasses)),
            (*_linear(self.hat_colour), float(self.staff)),
            (*_linear(self.bag_colour), float(self.print_layer)),
            (*_linear(self.top_colours[0]), float(self.top_pattern)),
            (*_linear(self.top_colours[1]), self.top_scale),
            (*_linear(self.inner), self.opening),
            (self.sleeve, self.collar, TORSO_CUTS[self.top][1], self.vneck),
            (*_linear(self.bottom_colours[0]), float(self.bottom_pattern)),
            (*_linear(self.bottom_colours[1]), self.bottom_scale),
            (self.leg_end, self.skirt_end if self.skirt else 0.0, 0.03, self.grain),
            (*_linear(self.shoes), float(self.white_soles)),
            (*_linear(lip), float(self.bag_style)),
        ]
        return np.array(rows, np.float32)


def _linear(colour: tuple[float, ...]) -> tuple[float, float, float]:
    r, g, b = (float(c) ** 2.2 for c in colour)
    return r, g, b


def _near(rng: np.random.Generator, colour: Colour, spread: float = 0.06) -> Colour:
    r, g, b = np.clip(np.array(colour) + rng.normal(0, spread, 3), 0.03, 0.97)
    return float(r), float(g), float(b)


def _pick(rng: np.random.Generator, choices: list[Colour], spread: float = 0.05) -> Colour:
    return _near(rng, choices[int(rng.integers(len(choices)))], spread)


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Any shopper."""
    female = bool(rng.random() < 0.5)
    build = str(
        rng.choice(
            ["woman", "slim_woman", "big_woman"] if female else ["man", "slim_man", "big_man"], p=[0.5, 0.28, 0.22]
        )
    )
    height = float(np.clip(rng.normal(1.65 if female else 1.77, 0.065), 1.50, 1.94))
    hair = (
        str(rng.choice(["long", "bob", "ponytail", "bun", "afro", "short"], p=[0.32, 0.2, 0.2, 0.12, 0.06, 0.1]))
        if female
        else str(rng.choice(["short", "parted", "afro", "", "bob"], p=[0.45, 0.28, 0.07, 0.14, 0.06]))
    )
    outfit = Outfit(
        build=build,
        height=height,
        girth=float(rng.uniform(0.95, 1.06)),
        skin=_pick(rng, SKINS, 0.015),
        hair=hair,
        hair_colour=_pick(rng, HAIRS, 0.025),
        glasses=bool(rng.random() < 0.22),
        shoes=_pick(rng, SHOES, 0.03),
        beard=float(rng.choice([0.0, 0.45, 0.85], p=[0.55, 0.2, 0.25])) if not female else 0.0,
        white_soles=bool(rng.random() < 0.5),
        grain=float(rng.uniform(0, 30)),
    )
    return _carry(rng, _head_wear(rng, _lower(rng, _upper(rng, outfit), female), female))


def _upper(rng: np.random.Generator, outfit: Outfit) -> Outfit:
    cut = str(rng.choice(["fitted", "shirt", "jacket", "long_coat"], p=[0.3, 0.34, 0.24, 0.12]))
    outer = cut in ("jacket", "long_coat")
    weights = (
        [0.26, 0.13, 0.11, 0.14, 0.07, 0.05, 0.04, 0.07, 0.06, 0.05, 0.02]
        if not outer
        else [0.55, 0.02, 0.12, 0.03, 0.08, 0.0, 0.02, 0.04, 0.03, 0.03, 0.08]
    )
    pattern = int(rng.choice(11, p=weights))
    sleeve = 0.56 if outer else float(rng.choice([0.14, 0.2, 0.32, 0.53], p=[0.25, 0.25, 0.08, 0.42]))
    scale = {
        STRIPES: rng.uniform(9, 24),
        PLAID: rng.uniform(8, 18),
        DOTS: rng.uniform(18, 34),
        PINSTRIPES: rng.uniform(18, 40),
        FLORAL: rng.uniform(8, 18),
    }.get(pattern, rng.uniform(8, 16))
    return replace(
        outfit,
        top=cut,
        top_pattern=pattern,
        top_scale=float(scale),
        sleeve=sleeve,
        top_colours=(_pick(rng, CLOTHS), _pick(rng, CLOTHS)),
        inner=_pick(rng, CLOTHS),
        opening=float(rng.choice([0.0, 0.3, 1.0], p=[0.2, 0.35, 0.45]))
        if outer
        else float(rng.choice([0.0, 0.3], p=[0.75, 0.25])),
        collar=float(rng.uniform(0.070, 0.10)) - (0.012 if outer else 0.0),
        vneck=float(rng.choice([0.0, 0.9, 1.6], p=[0.6, 0.25, 0.15])),
        print_layer=int(rng.integers(PRINT_COUNT)),
    )


def _lower(rng: np.random.Generator, outfit: Outfit, female: bool) -> Outfit:
    colours = (_pick(rng, BOTTOMS, 0.03), _pick(rng, BOTTOMS, 0.03))
    if female and rng.random() < 0.33:
        pattern = int(rng.choice([PLAIN, STRIPES, PLAID, FLORAL, DOTS], p=[0.5, 0.1, 0.15, 0.15, 0.1]))
        legs = str(rng.choice(["bare", "slim"], p=[0.6, 0.4]))
        return replace(
            outfit,
            skirt=str(rng.choice(["flared", "straight"])),
            skirt_end=float(rng.uniform(0.33, 0.62)),
            legs=legs,
            leg_end=1.2 if legs == "bare" else 0.0,
            bottom_colours=(_pick(rng, CLOTHS + BOTTOMS), _pick(rng, CLOTHS)),
            bottom_pattern=pattern,
            bottom_scale=float(rng.uniform(8, 20)),
        )
    if rng.random() < 0.16:
        short = rng.random() < 0.35
        return replace(
            outfit,
            legs="short_shorts" if short else "shorts",
            leg_end=0.675 if short else 0.555,
            bottom_colours=colours,
            bottom_pattern=int(rng.choice([PLAIN, PLAID])),
        )
    legs = str(rng.choice(["slim", "straight", "wide"], p=[0.35, 0.45, 0.2]))
    pattern = int(rng.choice([PLAIN, DENIM, PLAID, PINSTRIPES], p=[0.46, 0.44, 0.05, 0.05]))
    return replace(outfit, legs=legs, bottom_colours=colours, bottom_pattern=pattern)


def _head_wear(rng: np.random.Generator, outfit: Outfit, female: bool) -> Outfit:
    if rng.random() > 0.27:
        return outfit
    hat = (
        str(rng.choice(["cap", "beanie", "brimmed", "headscarf"], p=[0.4, 0.25, 0.15, 0.2]))
        if female
        else str(rng.choice(["cap", "beanie", "brimmed"], p=[0.5, 0.35, 0.15]))
    )
    below = outfit.hair if outfit.hair in ("long", "bob") else "short" if outfit.hair else ""
    under = "" if hat == "headscarf" else below
    return replace(outfit, hat=hat, hat_colour=_pick(rng, CLOTHS), hair=under)


def _carry(rng: np.random.Generator, outfit: Outfit) -> Outfit:
    bag = str(
        rng.choice(
            ["", "backpack", "shoulder_bag", "handbag", "carrier", "basket"], p=[0.38, 0.18, 0.14, 0.08, 0.08, 0.14]
        )
    )
    colour = (0.80, 0.12, 0.12) if bag == "basket" else (0.72, 0.55, 0.36) if bag == "carrier" else None
    return replace(
        outfit,
        bag=bag,
        bag_colour=colour or _pick(rng, CLOTHS),
        bag_style=2 if bag == "basket" else int(bag == "carrier"),
    )
