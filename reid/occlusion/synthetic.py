"""Synthetic occlusion of training crops: pieces of other crops, other people, flat and textured shapes [ours].

The patch transfer of [SPT], which needs a saliency selector, is in `patch_transfer`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) BGR
Cover = NDArray[np.float32]  # (H, W) in [0, 1], 1 where the crop is covered
Points = NDArray[np.float32]  # (n, 2), (x, y) in shares of the crop's width and height
Rng = np.random.Generator

NOBODY = -1  # in place of a donor's row: the occluder shows no identifiable person
LIGHTEST, HEAVIEST = 0.15, 0.65  # share of the crop that a straight cover takes; beyond 2/3 nobody is identifiable
EDGE_SOFTNESS_PX = 3.0  # real edges in small crops are never one pixel wide
NEAREST_SHIFT, FARTHEST_SHIFT = 0.15, 0.75  # in crop widths: from almost in line to only an arm in the crop
SMALLEST_SCALE, LARGEST_SCALE = 0.9, 1.35  # people in front are nearer, so seldom smaller


class Occlusion(NamedTuple):
    """A partly occluded crop.

    Attributes:
        image: uint8 (H, W, 3) BGR.
        cover: float32 (H, W) in [0, 1], 1 where covered, 0 where no pixel has changed.
        donor: row of `others` whose person the occluder shows, of two people the one in front; NOBODY (-1) if it shows
            no identifiable person.
    """

    image: Image
    cover: Cover
    donor: int


class Layer(NamedTuple):
    """Paint of one kind of occluder, its cover and its donor; fields as in `Occlusion`."""

    paint: Image
    cover: Cover
    donor: int = NOBODY


def occlude(image: Image, others: NDArray[np.uint8], rng: Rng) -> Occlusion:
    """Occlude a part of one crop by a random kind of occluder.

    Args:
        image: uint8 (H, W, 3).
        others: uint8 (N, H, W, 3), crops to take pieces from, N ≥ 1.
        rng: source of all randomness.

    Returns:
        The occluded copy, its cover and its donor.
    """
    kind = KINDS[np.searchsorted(np.cumsum(KIND_ODDS[:-1]), rng.random(), side="right")]
    paint, cover, donor = kind(others, image.shape[0], image.shape[1], rng)
    return Occlusion(_blend(image, paint, cover), cover, donor)


def erase(image: Image, rng: Rng) -> Image:
    """Random erasing, the baseline: one noise-filled rectangle (Zhong et al., AAAI 2020).  uint8 (H, W, 3)."""
    height, width = image.shape[:2]
    area, ratio = rng.uniform(0.02, 0.3) * height * width, np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
    tall = min(int(np.sqrt(area * ratio)) + 1, height)
    wide = min(int(np.sqrt(area / ratio)) + 1, width)
    top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
    erased = image.copy()
    erased[top : top + tall, left : left + wide] = rng.integers(0, 256, (tall, wide, 3), np.uint8)
    return erased


def _blend(below: Image, above: Image, cover: Cover) -> Image:
    """`above` over `below`, rounded.  uint8 (H, W, 3); exactly `below` where the cover is 0."""
    return np.asarray(cv2.blendLinear(below, above, 1 - cover, cover), np.uint8)


def _piece_of_scene(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """Part of another crop, randomly enlarged, with a straight edge: furniture, bags, other people's backs."""
    donor = int(rng.integers(len(others)))
    zoom = rng.uniform(1.0, 2.5)
    tall, wide = max(1, int(height / zoom)), max(1, int(width / zoom))
    top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
    piece = others[donor, top : top + tall, left : left + wide]
    enlarged = cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)
    return Layer(np.asarray(enlarged, np.uint8), _straight_cover(height, width, rng), donor)


def _blurred_scene(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """The donor's colours out of focus: something close to the camera."""
    donor = others[rng.integers(len(others))]
    tiny = cv2.resize(donor, (max(1, width // 8), max(1, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(tiny, (0, 0), rng.uniform(0.005, 0.015) * height)  # 0.04 to 0.12 of the full height
    paint = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return Layer(np.asarray(paint, np.uint8), _straight_cover(height, width, rng))


def _flat(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """One colour with a slight gradient and noise: a wall, a counter, a pillar."""
    top, left = rng.integers(height), rng.integers(width)
    grain = _noise_field(2 * height, 2 * width)[top : top + height, left : left + width]  # (H, W)
    down, _ = _grid(height, width)
    level = grain * rng.uniform(0, 6) + (down * rng.uniform(-60, 60) + 128)  # (H, W), around 128
    colour = rng.uniform(20, 235) + rng.normal(0, 18, 3)  # (3,)
    table = (np.arange(256)[:, None] - 128 + colour).clip(0, 255).astype(np.uint8)  # (256, 3)
    return Layer(_coloured(level.clip(0, 255).astype(np.uint8), table), _straight_cover(height, width, rng))


def _textured_shape(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """Random polygons, striped or blotched in two random colours: shelves, boxes, trolleys, plants."""
    table = np.repeat(rng.integers(0, 256, (2, 3), np.uint8), 128, axis=0)  # (256, 3), two colours
    if rng.random() < 0.7:
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 40)
        down, across = _grid(height, width)
        x = across * np.float32(2 * np.pi / period * width * np.cos(angle))  # (1, W)
        y = down * np.float32(2 * np.pi / period * height * np.sin(angle))  # (H, 1)
        wave = np.sin(x) * np.cos(y) + np.cos(x) * np.sin(y)  # (H, W), sin(x + y) at the cost of H + W sines
        level = (wave * 100 + rng.uniform(50, 200)).clip(0, 255).astype(np.uint8)
    else:
        blotches = rng.integers(0, 256, (rng.integers(8, 48), rng.integers(4, 24)), np.uint8)
        level = np.asarray(cv2.resize(blotches, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    shape = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 4)):
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        radii = rng.uniform(0.15, 0.5, len(turns))[:, None]
        centre = rng.uniform((0.0, 0.3), (1.0, 1.0))
        _fill(shape, centre + radii * np.stack([np.cos(turns), 0.8 * np.sin(turns)], 1))
    return Layer(_coloured(level, table), _softened(shape))


def _person(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """Another person half in front, at the left or the right."""
    shift = rng.choice((-1, 1)) * rng.uniform(NEAREST_SHIFT, FARTHEST_SHIFT)
    return _pasted_person(others, height, width, shift, rng.uniform(-0.05, 0.3), _body(rng), rng)


def _two_people(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """One at each side, or one half behind another at one side; never both in the middle."""
    side = rng.choice((-1, 1))
    shifts = side * rng.uniform(0.3, FARTHEST_SHIFT), -side * rng.uniform(0.35, FARTHEST_SHIFT)
    if rng.random() < 0.3:
        shifts = shifts[0], side * rng.uniform(0.5, FARTHEST_SHIFT)
    behind, front = (
        _pasted_person(others, height, width, shift, rng.uniform(-0.05, 0.3), _body(rng), rng) for shift in shifts
    )
    paint = _blend(behind.paint, front.paint, front.cover)
    return Layer(paint, np.maximum(behind.cover, front.cover), front.donor)


def _part_of_person(others: NDArray[np.uint8], height: int, width: int, rng: Rng) -> Layer:
    """Head and trunk of somebody near, from below; or the legs alone of somebody higher up, from above."""
    shift = rng.uniform(-0.5, 0.5)
    trunk_only = bool(rng.random() < 0.65)
    down = rng.uniform(0.3, 0.65) if trunk_only else rng.uniform(-0.55, -0.2)
    return _pasted_person(others, height, width, shift, down, _body(rng, legs=not trunk_only, trunk=trunk_only), rng)


def _pasted_person(
    others: NDArray[np.uint8], height: int, width: int, shift: float, down: float, body: list[Points], rng: Rng
) -> Layer:
    """A random donor's crop, moved by shares of the crop, and the outline that moves with it."""
    donor = int(rng.integers(len(others)))
    scale = rng.uniform(SMALLEST_SCALE, LARGEST_SCALE)
    offset = np.array([(1 - scale) / 2 + shift, (1 - scale) / 2 + down])  # (2,), shares
    move = np.array([[scale, 0, offset[0] * width], [0, scale, offset[1] * height]], np.float32)
    shape = np.zeros((height, width), np.uint8)
    for part in body:
        _fill(shape, part * scale + offset)
    paint = cv2.warpAffine(others[donor], move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return Layer(np.asarray(paint, np.uint8), _softened(shape), donor)


def _body(rng: Rng, legs: bool = True, trunk: bool = True) -> list[Points]:
    """An outline where pedestrian crops have one: a sagging coat of straight seams, a head, two tapering legs.

    Returns:
        Polygons, shares of the crop, each convex or nearly so.
    """
    middle, lean = rng.uniform(0.44, 0.56), rng.uniform(-0.05, 0.05)
    shoulder, waist, hem = rng.uniform(0.2, 0.36), rng.uniform(0.17, 0.3), rng.uniform(0.19, 0.34)
    neck_y, hem_y, crotch_y = rng.uniform(0.15, 0.19), rng.uniform(0.5, 0.62), 0.47
    parts: list[list[tuple[float, float]]] = []
    if trunk:
        head = rng.uniform(0.1, 0.15)  # half its width
        chin_y, crown_y = neck_y + 0.02, rng.uniform(0.01, 0.04)
        temples = [(-0.6, crown_y), (0.6, crown_y), (1, 0.06), (1, 0.11), (0.5, chin_y), (-0.5, chin_y), (-1, 0.11)]
        parts.append([(lean + head * x, y) for x, y in [*temples, (-1.0, 0.06)]])
        elbow, top = max(shoulder, waist), neck_y + 0.05
        right_side = [(lean + 0.07, neck_y), (shoulder, top), (elbow, 0.38), (hem, hem_y)]
        parts.append([*right_side, (-hem, hem_y), (-elbow, 0.38), (-shoulder, top), (lean - 0.07, neck_y)])
    if legs:
        hip, ankle, stride = rng.uniform(0.16, 0.26), rng.uniform(0.06, 0.1), rng.uniform(0, 0.16)
        for side in (-1, 1):
            foot_y = rng.uniform(0.93, 0.99)
            inner, outer = side * (stride - ankle / 2), side * (stride + ankle + 0.03)
            parts.append([(side * hip, crotch_y), (-side * 0.04, crotch_y), (inner, foot_y), (outer, foot_y)])
    return [np.array(part, np.float32) + np.array((middle, 0), np.float32) for part in parts]


def _straight_cover(height: int, width: int, rng: Rng) -> Cover:
    """From below, from a side, or a free-standing block; edges may lean."""
    share, lean = rng.uniform(LIGHTEST, HEAVIEST), rng.uniform(-0.12, 0.12)
    down, across = _grid(height, width)
    where = rng.random()
    if where < 0.45:
        return _ramp((down + (share - 1 - lean / 2)) + across * lean, height)
    if where < 0.65:
        return _ramp((share + lean / 2 - across) - down * lean, width)
    if where < 0.85:
        return _ramp((across + (share - 1 - lean / 2)) + down * lean, width)
    tall = rng.uniform(0.2, 0.6)
    wide = min(1.0, share / tall)
    top, left = rng.uniform(0, 1 - tall), rng.uniform(0, 1 - wide)
    rows = _ramp(tall / 2 - abs(down - (top + tall / 2)), height)  # (H, 1)
    return rows * _ramp(wide / 2 - abs(across - (left + wide / 2)), width)


def _ramp(inside: Cover, size_px: int) -> Cover:
    """0 outside, 1 inside, and a soft edge; `inside` is a signed distance in shares of `size_px`."""
    return np.asarray((inside * (size_px / EDGE_SOFTNESS_PX) + 0.5).clip(0, 1), np.float32)


def _fill(shape: NDArray[np.uint8], corners: NDArray[np.floating]) -> None:
    """Draw one polygon of 255 into `shape`; `corners` are shares of it, (n, 2)."""
    cv2.fillPoly(shape, [(corners * shape.shape[::-1]).round().astype(np.int32)], 255)


def _softened(shape: NDArray[np.uint8]) -> Cover:
    """uint8 (H, W) of 0 and 255 → cover; corners become round as edges become soft."""
    return np.asarray(cv2.GaussianBlur(shape, (7, 7), 0), np.float32) * np.float32(1 / 255)


def _coloured(level: NDArray[np.uint8], table: NDArray[np.uint8]) -> Image:
    """Look colours up: uint8 (H, W), table uint8 (256, 3) → uint8 (H, W, 3)."""
    return np.asarray(cv2.applyColorMap(level, np.ascontiguousarray(table[:, None])), np.uint8)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[Cover, Cover]:
    """Pixel centres in (0, 1): down (H, 1) and across (1, W)."""
    down = (np.arange(height, dtype=np.float32) + 0.5) / np.float32(height)
    across = (np.arange(width, dtype=np.float32) + 0.5) / np.float32(width)
    return down[:, None], across[None, :]


@lru_cache(maxsize=8)
def _noise_field(height: int, width: int) -> Cover:
    """Standard normal, float32 (height, width), always the same; callers cut random windows out of it."""
    return np.random.default_rng(0).standard_normal((height, width), np.float32)


Kind = Callable[[NDArray[np.uint8], int, int, Rng], Layer]
KINDS: tuple[Kind, ...] = (
    _piece_of_scene,
    _blurred_scene,
    _flat,
    _textured_shape,
    _person,
    _two_people,
    _part_of_person,
)
KIND_ODDS = (0.17, 0.1, 0.16, 0.13, 0.28, 0.08, 0.08)
