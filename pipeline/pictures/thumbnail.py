"""Shrink pictures of people to the size in which they are kept."""

from __future__ import annotations

import cv2
import numpy as np

from ..types import Image

LONGEST_SIDE_PX = 160  # enough to judge a link by eye


def thumbnail(image: Image) -> Image:
    """A picture, uint8 (h, w, 3), of at most LONGEST_SIDE_PX in height and width; one that is as small as it is."""
    height, width = image.shape[:2]
    factor = min(1.0, LONGEST_SIDE_PX / max(height, width))
    if factor == 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
