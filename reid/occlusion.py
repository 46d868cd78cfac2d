"""What hides people in training?  Pieces of other crops, other people, flat and textured things, pasted over them.

All of it is our own and synthetic, and none of it is the patch transfer of [SPT], which needs a saliency selector.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) BGR
Cover = NDArray[np.float32]  # (H, W) in [0, 1], 1 where the person is hidden
Rng = np.random.Generator

LIGHTEST, HEAVIEST = 0.15, 0.65  # share of the crop that a straight cover takes; past 2/3 nobody could tell
EDGE_SOFTNESS_PX = 1.5  # real edges in small crops are never one pixel wide


def occlude(image: Image, others: NDArray[np.uint8], rng: Rng) -> tuple[Image, Cover]:
    """Hide a part of one crop.

    Args:
        image: uint8 (H, W, 3).
        others: uint8 (N, H, W, 3), crops to take pieces from, N ≥ 1.
        rng: where all chance comes from.

    Returns:
        The occluded copy, uint8 (H, W, 3), and what was hidden, float32 (H, W).
    """
    height, width = image.shape[:2]
    donor = others[rng.integers(len(others))]  # (H, W, 3)
    kind = KINDS[rng.choice(len(KINDS), p=KIND_ODDS)]
    paint, cover = kind(donor, height, width, rng)
    weight = cover[:, :, None]  # (H, W, 1)
    blended = image * (1 - weight) + paint * weight
    return blended.round().clip(0, 255).astype(np.uint8), cover


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


def _piece_of_scene(donor: Image, height: int, width: int, rng: Rng) -> tuple[Image, Cover]:
    """Somebody else's crop, enlarged at random, behind a straight edge: furniture, bags, other people's backs."""
    zoom = rng.uniform(1.0, 2.5)
    enlarged = cv2.resize(donor, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    top = rng.integers(enlarged.shape[0] - height + 1)
    left = rng.integers(enlarged.shape[1] - width + 1)
    return enlarged[top : top + height, left : left + width], _straight_cover(height, width, rng)


def _blurred_scene(donor: Image, height: int, width: int, rng: Rng) -> tuple[Image, Cover]:
    """The donor's colours out of focus: something close to the camera."""
    sigma = rng.uniform(0.04, 0.12) * height
    tiny = cv2.resize(donor, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(tiny, (0, 0), sigma / 4)
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), _straight_cover(height, width, rng)


def _flat(donor: Image, height: int, width: int, rng: Rng) -> tuple[Image, Cover]:
    """One colour with a slight gradient and noise: a wall, a counter, a pillar."""
    ramp = np.linspace(-1, 1, height)[:, None, None] * rng.uniform(-30, 30)  # (H, 1, 1)
    colour = rng.uniform(20, 235) + rng.normal(0, 18, 3)  # (3,)
    paint = colour + ramp + rng.normal(0, rng.uniform(0, 6), (height, width, 1))  # (H, W, 3)
    return paint.clip(0, 255).astype(np.uint8), _straight_cover(height, width, rng)


def _textured_shape(donor: Image, height: int, width: int, rng: Rng) -> tuple[Image, Cover]:
    """Random polygons in stripes of two random colours: shelves, boxes, trolleys, plants."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 40)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.sin((columns * np.cos(angle) + rows * np.sin(angle)) * (2 * np.pi / period))  # (H, W)
    stripe = (wave > rng.uniform(-0.8, 0.8))[:, :, None]  # (H, W, 1)
    paint = np.where(stripe, rng.integers(0, 256, 3), rng.integers(0, 256, 3)).astype(np.uint8)  # (H, W, 3)
    cover = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(1, 4)):
        centre = rng.uniform((0.0, 0.3), (1.0, 1.0)) * (width, height)
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        radii = rng.uniform(0.15, 0.5, len(turns)) * width
        corners = centre + radii[:, None] * np.stack([np.cos(turns), 1.6 * np.sin(turns)], 1)  # (corners, 2)
        cv2.fillPoly(cover, [corners.round().astype(np.int32)], 1.0)
    return paint, _softened(cover)


def _person(donor: Image, height: int, width: int, rng: Rng) -> tuple[Image, Cover]:
    """Another person, cut out by a rounded outline and standing half in front."""
    outline = _person_outline(height, width, rng)  # (H, W)
    shift_share = rng.choice((-1, 1)) * rng.uniform(0.2, 0.65)
    scale, down_share = rng.uniform(0.9, 1.35), rng.uniform(-0.05, 0.3)
    left = (1 - scale) * width / 2 + shift_share * width
    top = (1 - scale) * height / 2 + down_share * height
    move = np.array([[scale, 0, left], [0, scale, top]], np.float32)
    paint = cv2.warpAffine(donor, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return paint, cv2.warpAffine(outline, move, (width, height)).clip(0, 1)


def _person_outline(height: int, width: int, rng: Rng) -> Cover:
    """A head and a body as filled ellipses and a rounded block; roughly where pedestrian crops have them."""
    cover = np.zeros((height, width), np.float32)
    middle = int(width * rng.uniform(0.45, 0.55))
    head = int(width * rng.uniform(0.14, 0.2)), int(height * rng.uniform(0.07, 0.1))
    trunk = int(width * rng.uniform(0.28, 0.42)), int(height * rng.uniform(0.22, 0.28))
    legs = int(width * rng.uniform(0.2, 0.36)), int(height * rng.uniform(0.28, 0.34))
    for (wide, tall), level in ((head, 0.1), (trunk, 0.36), (legs, 0.72)):
        cv2.ellipse(cover, (middle, int(height * level)), (wide, tall), 0, 0, 360, 1.0, cv2.FILLED)
    return _softened(cover)


def _straight_cover(height: int, width: int, rng: Rng) -> Cover:
    """From below, from a side, or a free-standing block; edges may lean."""
    share = rng.uniform(LIGHTEST, HEAVIEST)
    lean = rng.uniform(-0.12, 0.12)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = (rows + 0.5) / height, (columns + 0.5) / width  # (H, W) in (0, 1)
    where = rng.choice(4, p=(0.45, 0.2, 0.2, 0.15))
    if where == 0:
        cover = rows + lean * (columns - 0.5) > 1 - share
    elif where == 1:
        cover = columns + lean * (rows - 0.5) < share
    elif where == 2:
        cover = columns + lean * (rows - 0.5) > 1 - share
    else:
        tall = rng.uniform(0.2, 0.6)
        wide = min(1.0, share / tall)
        top, left = rng.uniform(0, 1 - tall), rng.uniform(0, 1 - wide)
        cover = (rows > top) & (rows < top + tall) & (columns > left) & (columns < left + wide)
    return _softened(cover.astype(np.float32))


def _softened(cover: Cover) -> Cover:
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), EDGE_SOFTNESS_PX), np.float32)


Kind = Callable[[Image, int, int, Rng], tuple[Image, Cover]]
KINDS: tuple[Kind, ...] = (_piece_of_scene, _blurred_scene, _flat, _textured_shape, _person)
KIND_ODDS = (0.2, 0.15, 0.2, 0.15, 0.3)
