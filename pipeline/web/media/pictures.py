"""Stored pictures as files: which kind they are, and with their heads blurred."""

from __future__ import annotations

import cv2
import numpy as np

from ...types import Image
from .blur import blur_head

WEBP_QUALITY = 85


def picture_type(content: bytes) -> str | None:
    """The media type of a WebP or JPEG file; None of everything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/jpeg" if content[:3] == b"\xff\xd8\xff" else None


def webp_file(image: Image) -> bytes:
    """A picture, uint8 (H, W, 3) BGR, as a WebP file."""
    return cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])[1].tobytes()


def head_blurred(content: bytes) -> bytes | None:
    """A picture of one person, a WebP or JPEG file, with its head blurred, as a WebP file; None if it is no picture."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else webp_file(blur_head(np.asarray(image, np.uint8)))
