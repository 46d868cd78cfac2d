"""What real or drawn things can stand in front of people?  Cut-outs with an alpha channel, from a folder or our own.

Pasting is a further source of occlusion beside `occlusion.occlude`; a run without any folder draws its own things.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from .drawn_objects import draw_thing
from .synthetic import NOBODY, Image, Occlusion, Rng

LARGEST_PX = 384  # kept of a cut-out's longer side: 3/2 of a crop's height; more would only take time
FAINTEST = 0.02  # of alpha; below this a pixel is no part of the thing
SMALLEST_SHARE, LARGEST_SHARE = 0.12, 0.65  # of the crop that a thing is to hide; past 2/3 nobody could tell
LARGEST_SIZE = 3.0  # of a thing, in crops: a car is far wider than a person, but a pole must not become a wall
PLACES = ("below", "left", "right", "anywhere")
PLACE_ODDS = (0.5, 0.2, 0.2, 0.1)  # most things stand on the floor in front
TRIES = 4  # places that are looked at before one that hides too little or too much is taken

Pixel = TypeVar("Pixel", np.uint8, np.float32)

logger = logging.getLogger(__name__)


class Cutout(NamedTuple):
    """One thing without its background.

    Attributes:
        pixels: uint8 (h, w, 4), BGR premultiplied with alpha, and alpha; so scaling draws no dark seams.
        solidity: mean of alpha, in (0, 1].
    """

    pixels: NDArray[np.uint8]
    solidity: float


def read_cutouts(folder: Path) -> list[Cutout]:
    """Read every PNG of a folder and of the folders in it, in order of their paths.

    A picture that is opaque throughout, or has no alpha channel, is no cut-out: it is left out and a line of the log
    says so, since it would paste a rectangle.

    Raises:
        DatasetError: the folder is missing or holds no cut-out, or a file cannot be read or is empty all over.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of cut-outs")
    cutouts = []
    for path in sorted(one for one in folder.rglob("*") if one.suffix.lower() == ".png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise DatasetError(f"{path}: not a readable image")
        if pixels.ndim != 3 or pixels.shape[2] != 4 or (pixels[:, :, 3] == np.iinfo(pixels.dtype).max).all():
            logger.warning("%s: left out, expected a PNG with transparent parts", path)
            continue
        try:
            cutouts.append(cutout_from_bgra(pixels))
        except ValueError as error:
            raise DatasetError(f"{path}: {error}") from error
    if not cutouts:
        raise DatasetError(f"{folder}: expected PNGs with transparent parts, found none")
    return cutouts


def draw_cutouts(count: int, seed: int) -> list[Cutout]:
    """`count` made-up things, as many as an ordinary run pastes from; the same seed draws the same."""
    rng = np.random.default_rng(seed)
    return [cutout_from_bgra(draw_thing(rng)) for _ in range(count)]


def cutout_from_bgra(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Cutout:
    """uint8 or uint16 (h, w, 4) BGRA, not premultiplied → the thing, cut to its own size, at most 384 pixels long.

    Raises:
        ValueError: every pixel is transparent.
    """
    shares = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)  # (h, w, 4)
    seen = shares[:, :, 3] > FAINTEST  # (h, w)
    if not seen.any():
        raise ValueError("expected a thing, got a picture that is transparent all over")
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    thing = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    thing[:, :, :3] *= thing[:, :, 3:]
    thing = _shrunk(thing, min(1, LARGEST_PX / max(thing.shape[:2])))
    return Cutout((thing * 255).round().clip(0, 255).astype(np.uint8), float(thing[:, :, 3].mean()))


def occlude_with_cutout(image: Image, cutouts: Sequence[Cutout], rng: Rng) -> Occlusion:
    """Put one thing in front of a person: any size, side, way round and brightness.

    Args:
        image: uint8 (H, W, 3) BGR.
        cutouts: from `read_cutouts` or `draw_cutouts`, at least one.
        rng: where all chance comes from.

    Returns:
        The occluded copy, what was hidden, and nobody as donor.
    """
    cutout = cutouts[int(rng.integers(len(cutouts)))]
    thing = _placed(cutout, image.shape[0], image.shape[1], rng)  # (H, W, 4)
    for _ in range(TRIES - 1):
        if SMALLEST_SHARE / 2 * 255 < cv2.mean(thing)[3] < LARGEST_SHARE * 255:
            break
        thing = _placed(cutout, image.shape[0], image.shape[1], rng)
    light = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.04, 3))  # another exposure, another white
    lit = cv2.multiply(thing, (*light.tolist(), 1.0))  # saturates
    alpha = thing[:, :, 3]  # (H, W)
    through = cv2.multiply(image, cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    hidden = cv2.add(through, cv2.cvtColor(lit, cv2.COLOR_BGRA2BGR))
    return Occlusion(np.asarray(hidden, np.uint8), alpha * np.float32(1 / 255), NOBODY)


def _placed(cutout: Cutout, height: int, width: int, rng: Rng) -> NDArray[np.uint8]:
    """One thing in a crop's frame: uint8 (height, width, 4), premultiplied, empty around it."""
    tall, wide = cutout.pixels.shape[0] / height, cutout.pixels.shape[1] / width  # in crops, as it is
    size = _scale(tall, wide, rng.uniform(SMALLEST_SHARE, LARGEST_SHARE) / cutout.solidity)
    scale = size * rng.uniform(0.85, 1.15), size  # (x, y): crops come in other proportions than the network's input
    corner = _corner(wide * scale[0], tall * scale[1], rng)  # (x, y)
    shrink = min(1.0, *scale)  # first by area, since the warp would skip pixels
    thing = _shrunk(cutout.pixels, shrink)
    move_x = [wide * width * scale[0] / thing.shape[1], 0, corner[0] * width]
    if rng.random() < 0.5:  # the other way round
        move_x = [-move_x[0], 0, (corner[0] + wide * scale[0]) * width]
    move = np.array([move_x, [0, tall * height * scale[1] / thing.shape[0], corner[1] * height]])
    return np.asarray(cv2.warpAffine(thing, move, (width, height), flags=cv2.INTER_LINEAR), np.uint8)


def _scale(tall: float, wide: float, area: float) -> float:
    """So much larger covers a thing of `tall` by `wide` crops an area of `area` crops, if centred."""
    scale = np.sqrt(area / (tall * wide))
    if wide * scale > 1:  # some of it is outside at both sides
        scale = area / tall
    elif tall * scale > 1:
        scale = area / wide
    return float(min(scale, LARGEST_SIZE / tall, LARGEST_SIZE / wide))


def _corner(wide: float, tall: float, rng: Rng) -> tuple[float, float]:
    """Where a thing's upper left corner goes, (x, y); sizes and places in crops."""
    place = PLACES[rng.choice(len(PLACES), p=PLACE_ODDS)]
    foot = 1 + rng.uniform(-0.05, 0.25) * min(1, tall)
    if place == "left":
        return rng.uniform(-0.6, -0.05) * wide, foot - tall
    if place == "right":
        return 1 - rng.uniform(0.4, 0.95) * wide, foot - tall
    across = rng.random() * (1 - 0.4 * wide) - 0.3 * wide  # at most 0.3 of it beyond either side
    if place == "below":
        return across, foot - tall
    return across, rng.random() * (1 - 0.4 * tall) - 0.3 * tall


def _shrunk(thing: NDArray[Pixel], scale: float) -> NDArray[Pixel]:
    """(h, w, 4) → the same by `scale` ≤ 1, each pixel the mean of those that it replaces."""
    if scale == 1:
        return thing
    size = max(1, round(thing.shape[1] * scale)), max(1, round(thing.shape[0] * scale))
    return np.asarray(cv2.resize(thing, size, interpolation=cv2.INTER_AREA), thing.dtype)
