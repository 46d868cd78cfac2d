"""How do training crops come to look like those of a real camera?  Box jitter, colour, blur, and few pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..recipe import AugmentationSection

Image = NDArray[np.uint8]  # (H, W, 3) BGR
Cover = NDArray[np.float32]  # (H, W) or (H, W, k)
Rng = np.random.Generator

USUAL = AugmentationSection()


def augment(image: Image, rng: Rng) -> Image:
    """A view of the same person by another camera, through a slightly wrong box.  uint8 (H, W, 3) → the same."""
    return augment_covered(image, np.zeros(image.shape[:2], np.float32), rng)[0]


def augment_covered(
    image: Image, cover: Cover, rng: Rng, section: AugmentationSection = USUAL
) -> tuple[Image, Cover]:
    """`augment` for a crop of which a part is hidden: its cover moves with the picture.

    Args:
        image: uint8 (H, W, 3).
        cover: float32 (H, W) or (H, W, k) in [0, 1], whatever must move with the picture.
        rng: where all chance comes from.
        section: how far it may be degraded.

    Returns:
        Both as they came, seen through another box, possibly mirrored.
    """
    image, cover = _jitter_box(image, cover, rng)
    if rng.random() < 0.5:
        image, cover = image[:, ::-1], cover[:, ::-1]
    if rng.random() < 0.8:
        image = _jitter_colour(image, rng)
    if rng.random() < section.degraded:
        image = _degrade(image, rng, section)
    return np.ascontiguousarray(image), np.ascontiguousarray(cover)


def _jitter_box(image: Image, cover: Cover, rng: Rng) -> tuple[Image, Cover]:
    """A box too large, too small, or off; now and then one that ends at the waist, as boxes behind counters do."""
    height, width = image.shape[:2]
    left, right = rng.normal(0, 0.05, 2) * width
    top, bottom = rng.normal(0, 0.04, 2) * height
    if rng.random() < 0.12:
        bottom = -rng.uniform(0.1, 0.5) * height
    across = width / (width - left + right)  # negative `bottom`: the box ends above the crop's lower edge
    down = height / (height - top + bottom)
    move = np.array([[across, 0, -left * across], [0, down, -top * down]], np.float32)
    moved = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    moved_cover = cv2.warpAffine(cover, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), np.asarray(moved_cover, np.float32)


def _jitter_colour(image: Image, rng: Rng) -> Image:
    """White balance, brightness, contrast, gamma and saturation, in one table per channel and one mix with grey."""
    levels = np.arange(256, dtype=np.float32) / 255  # (256,)
    gamma, contrast, brightness = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.05)
    curve = ((levels**gamma - 0.4) * contrast + 0.4 + brightness)[:, None]  # (256, 1)
    table = (curve * np.exp(rng.normal(0, 0.05, 3)) * 255).clip(0, 255).astype(np.uint8)  # (256, 3)
    mapped = cv2.LUT(image, table[:, None, :])
    grey = cv2.cvtColor(cv2.cvtColor(mapped, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    saturation = float(np.exp(rng.normal(0, 0.3)))
    return np.asarray(cv2.addWeighted(mapped, saturation, grey, 1 - saturation, 0), np.uint8)


def _degrade(image: Image, rng: Rng, section: AugmentationSection) -> Image:
    """Fewer pixels, a little blur in one direction, noise, and a codec's blocks: each sometimes."""
    height, width = image.shape[:2]
    if rng.random() < 0.7:
        rows = rng.integers(section.smallest_height_px, height)
        if section.mostly_small:
            rows = round(section.smallest_height_px * (height / section.smallest_height_px) ** rng.random())
        small = cv2.resize(image, (max(2, width * rows // height), int(rows)), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.4:
            small = _recompressed(small, rng)
        image = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.3:
        spread_x, spread_y = rng.uniform(0.4, 3.0), rng.uniform(0.4, 1.5)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), spread_x, sigmaY=spread_y), np.uint8)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 8), (height, width, 1)).astype(np.float32)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    return image


def _recompressed(image: Image, rng: Rng) -> Image:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
