"""Occlude crops with cut-outs: objects with an alpha channel, read from a folder or drawn [ours]."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..disk.files import failing_as
from ..errors import DatasetError
from .drawn_objects import draw_thing
from .synthetic import NOBODY, Image, Occlusion, Rng

LARGEST_PX = 384  # largest side of a cut-out: 3/2 of a crop's height; more would only take time
FAINTEST = 0.02  # alpha below which a pixel does not belong to the object
SMALLEST_SHARE, LARGEST_SHARE = 0.12, 0.65  # of the crop that an object covers; beyond 2/3 nobody is identifiable
LARGEST_SIZE = 3.0  # of an object, in crops: a car is far wider than a person, but a pole must not become a wall
PLACES = ("below", "left", "right", "anywhere")
PLACE_ODDS = (0.5, 0.2, 0.2, 0.1)  # most objects stand on the floor in front
TRIES = 4  # placements tried before one that covers too little or too much is accepted

Pixel = TypeVar("Pixel", np.uint8, np.float32)

logger = logging.getLogger(__name__)


class Cutout(NamedTuple):
    """An object without its background.

    Attributes:
        pixels: uint8 (h, w, 4), BGR premultiplied with alpha, and alpha: scaling then leaves no dark seams.
        solidity: mean of alpha, in (0, 1].
    """

    pixels: NDArray[np.uint8]
    solidity: float


def read_cutouts(folder: Path) -> list[Cutout]:
    """Read every PNG of a folder and its subfolders, in order of their paths.

    Opaque images are left out with a warning, since they would paste a rectangle.

    Raises:
        DatasetError: the folder is missing or holds no cut-out, or a file is unreadable or fully transparent.
    """
    with failing_as(DatasetError, folder):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder of cut-outs")
        paths = sorted(one for one in folder.rglob("*") if one.suffix.lower() == ".png")
    cutouts = []
    for path in paths:
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
    """Draw `count` synthetic objects; the same seed draws the same objects."""
    rng = np.random.default_rng(seed)
    return [cutout_from_bgra(draw_thing(rng)) for _ in range(count)]


def cutout_from_bgra(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Cutout:
    """uint8 or uint16 (h, w, 4) BGRA, not premultiplied → the object, cropped to its outline, at most 384 pixels long.

    Raises:
        ValueError: every pixel is transparent.
    """
    shares = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)  # (h, w, 4)
    seen = shares[:, :, 3] > FAINTEST  # (h, w)
    if not seen.any():
        raise ValueError("expected an object, got an image that is transparent throughout")
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    thing = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    thing[:, :, :3] *= thing[:, :, 3:]
    thing = _shrunk(thing, min(1, LARGEST_PX / max(thing.shape[:2])))
    return Cutout((thing * 255).round().clip(0, 255).astype(np.uint8), float(thing[:, :, 3].mean()))


def occlude_with_cutout(image: Image, cutouts: Sequence[Cutout], rng: Rng) -> Occlusion:
    """Paste one object over a crop, with random size, place, mirroring and brightness.

    Args:
        image: uint8 (H, W, 3) BGR.
        cutouts: from `read_cutouts` or `draw_cutouts`, at least one.
        rng: source of all randomness.

    Returns:
        The occluded copy and its cover, without donor.
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
    occluded = cv2.add(through, cv2.cvtColor(lit, cv2.COLOR_BGRA2BGR))
    return Occlusion(np.asarray(occluded, np.uint8), alpha * np.float32(1 / 255), NOBODY)


def _placed(cutout: Cutout, height: int, width: int, rng: Rng) -> NDArray[np.uint8]:
    """One object in a crop's frame: uint8 (height, width, 4), premultiplied, transparent around it."""
    tall, wide = cutout.pixels.shape[0] / height, cutout.pixels.shape[1] / width  # in crops, as it is
    size = _scale(tall, wide, rng.uniform(SMALLEST_SHARE, LARGEST_SHARE) / cutout.solidity)
    scale = size * rng.uniform(0.85, 1.15), size  # (x, y): crops come in other proportions than the network's input
    corner = _corner(wide * scale[0], tall * scale[1], rng)  # (x, y)
    shrink = min(1.0, *scale)  # first by area, since the warp would skip pixels
    thing = _shrunk(cutout.pixels, shrink)
    move_x = [wide * width * scale[0] / thing.shape[1], 0, corner[0] * width]
    if rng.random() < 0.5:  # mirrored
        move_x = [-move_x[0], 0, (corner[0] + wide * scale[0]) * width]
    move = np.array([move_x, [0, tall * height * scale[1] / thing.shape[0], corner[1] * height]])
    return np.asarray(cv2.warpAffine(thing, move, (width, height), flags=cv2.INTER_LINEAR), np.uint8)


def _scale(tall: float, wide: float, area: float) -> float:
    """Scale at which a centred object of `tall` by `wide` crops covers an area of `area` crops."""
    scale = np.sqrt(area / (tall * wide))
    if wide * scale > 1:  # it exceeds both sides
        scale = area / tall
    elif tall * scale > 1:
        scale = area / wide
    return float(min(scale, LARGEST_SIZE / tall, LARGEST_SIZE / wide))


def _corner(wide: float, tall: float, rng: Rng) -> tuple[float, float]:
    """Upper left corner of an object, (x, y), all in crops."""
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
    """(h, w, 4) → the same by `scale` ≤ 1, each pixel the mean of those it replaces."""
    if scale == 1:
        return thing
    size = max(1, round(thing.shape[1] * scale)), max(1, round(thing.shape[0] * scale))
    return np.asarray(cv2.resize(thing, size, interpolation=cv2.INTER_AREA), thing.dtype)
