"""Blur heads: in pictures of one person, and in frames by the boxes of people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Image

HEAD_SHARE = 0.25  # of a person's height; a head has an eighth, the rest is for bent people and loose boxes
COARSE_PARTS = 4  # what is left of a head: as many squares across


def blur_head(image: Image) -> Image:
    """A copy of a picture of one person, uint8 (H, W, 3), with its head blurred."""
    height, width = image.shape[:2]
    return blur_heads(image, np.array([[0, 0, width, height]], np.float32))


def blur_heads(image: Image, xyxy: NDArray[np.float32]) -> Image:
    """A copy of a frame, uint8 (H, W, 3): the upper quarter of every box, float32 (N, 4), becomes coarse squares."""
    blurred = image.copy()
    height, width = image.shape[:2]
    for left, top, right, bottom in xyxy.tolist():
        x1, x2 = max(0, int(left)), min(width, int(np.ceil(right)))
        y1, y2 = max(0, int(top)), min(height, int(np.ceil(top + HEAD_SHARE * (bottom - top))))
        if x2 <= x1 or y2 <= y1:
            continue
        coarse = cv2.resize(blurred[y1:y2, x1:x2], (COARSE_PARTS, COARSE_PARTS), interpolation=cv2.INTER_AREA)
        blurred[y1:y2, x1:x2] = cv2.resize(coarse, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return blurred
