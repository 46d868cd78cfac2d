"""Read the picture of the floor that a config names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..errors import ConfigError
from ..pictures.picture_file import PictureError, decode_picture
from ..types import FloorPlan
from .cameras import FloorPlanConfig

LONGEST_PX = 2048  # of the stored copy, which the page shows about half as wide
LARGEST_FILE = 32 * 2**20  # bytes
WEBP_QUALITY = 90  # thin lines and lettering stay sharp


def read_floor_plan(config: FloorPlanConfig) -> FloorPlan | None:
    """The picture as it is stored, shrunk to LONGEST_PX; None if the config names none.

    Args:
        config: validated, with a resolved path.

    Raises:
        ConfigError: it cannot be read, or is no picture.
    """
    matrix = config.pixels_to_floor
    if config.image is None or matrix is None:
        return None
    path = Path(config.image)
    try:
        found = decode_picture(_content(path), LONGEST_PX)
    except PictureError as error:
        raise ConfigError(f"floor_plan.image: {path}: {error}") from error
    height, width = found.image.shape[:2]
    larger = np.diag([found.width / width, found.height / height, 1.0])  # from the copy's pixels to the file's
    return FloorPlan(
        cv2.imencode(".webp", found.image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1].tobytes(), width, height,
        (np.array(matrix) @ larger).tolist())


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would wait
            raise ConfigError(f"floor_plan.image: {path}: is no file: give a PNG, JPEG or WebP picture")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"floor_plan.image: {path}: {error.strerror}: give a PNG, JPEG or WebP picture") from error
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"floor_plan.image: {path}: is larger than {LARGEST_FILE >> 20} MiB: give a smaller picture")
    return content
