"""Augment training crops: box jitter, mirroring, colour, blur, noise, compression and low resolution."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..recipe.crops import AugmentationSection

Image = NDArray[np.uint8]  # (H, W, 3) BGR
Cover = NDArray[np.float32]  # (H, W) or (H, W, k), in [0, 1]
Rng = np.random.Generator

DEFAULTS = AugmentationSection()


def augment_covered(
    image: Image, cover: Cover, rng: Rng, section: AugmentationSection = DEFAULTS
) -> tuple[Image, Cover]:
    """Augment a crop together with the map of its occluders, which is moved and mirrored with it.

    Args:
        image: uint8 (H, W, 3) BGR.
        cover: float32 (H, W) or (H, W, k) in [0, 1], one or more maps of the same crop.
        rng: source of randomness.
        section: probability and strength of the degradation.

    Returns:
        Image and cover, of the same shapes and dtypes.
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
    """Move the edges of the box; in 12 % its lower part is cut off, as in detections of people behind counters."""
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
    """Change white balance, brightness, contrast and gamma by one table per channel, and saturation by mixing grey."""
    levels = np.arange(256, dtype=np.float32) / 255  # (256,)
    gamma, contrast, brightness = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.05)
    curve = ((levels**gamma - 0.4) * contrast + 0.4 + brightness)[:, None]  # (256, 1)
    table = (curve * np.exp(rng.normal(0, 0.05, 3)) * 255).clip(0, 255).astype(np.uint8)  # (256, 3)
    mapped = cv2.LUT(image, table[:, None, :])
    grey = cv2.cvtColor(cv2.cvtColor(mapped, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    saturation = float(np.exp(rng.normal(0, 0.3)))
    return np.asarray(cv2.addWeighted(mapped, saturation, grey, 1 - saturation, 0), np.uint8)


def _degrade(image: Image, rng: Rng, section: AugmentationSection) -> Image:
    """Lower the resolution, compress, blur with different strength per axis and add noise, each with a probability."""
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
        sigma_x, sigma_y = rng.uniform(0.4, 3.0), rng.uniform(0.4, 1.5)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_x, sigmaY=sigma_y), np.uint8)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 8), (height, width, 1)).astype(np.float32)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    return image


def _recompressed(image: Image, rng: Rng) -> Image:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
