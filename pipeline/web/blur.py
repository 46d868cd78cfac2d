"""Blur heads: in stored pictures of people, and in frames by the boxes of people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Image

HEAD_SHARE = 0.25  # of a person's height; a head has an eighth, the rest is for bent people and loose boxes
COARSE_PARTS = 4  # what is left of a head: as many squares across


def head_blurred(content: bytes) -> bytes | None:
    """A picture of one person, a WebP or JPEG file, with its head blurred, as a WebP file; None if it is no picture."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    height, width = image.shape[:2]
    blurred = blur_heads(np.asarray(image, np.uint8), np.array([[0, 0, width, height]], np.float32))
    return cv2.imencode(".webp", blurred, [cv2.IMWRITE_WEBP_QUALITY, 85])[1].tobytes()


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
