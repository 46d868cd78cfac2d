"""Resize crops of any size to the input size of the networks, 256×128 pixels."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT_PX, WIDTH_PX = 256, 128


def resize_crop(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize one crop; the aspect ratio is not kept, as in training.

    Args:
        crop: uint8 (h, w, 3) BGR, h, w ≥ 1.

    Returns:
        uint8 (256, 128, 3) BGR.

    Raises:
        ValueError: not an array of that dtype and shape.
    """
    if not isinstance(crop, np.ndarray):
        raise ValueError(f"crop: expected uint8 (h, w, 3), got {type(crop).__name__}: an image that could not be read?")
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
        raise ValueError(f"crop: expected uint8 (h, w, 3) with h, w ≥ 1, got {crop.dtype} {crop.shape}")
    shrinks = crop.shape[0] > HEIGHT_PX and crop.shape[1] > WIDTH_PX
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR  # linear interpolation skips pixels when shrinking
    return np.asarray(cv2.resize(crop, (WIDTH_PX, HEIGHT_PX), interpolation=method), np.uint8)


def stack_crops(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Resize N crops of any size, uint8 (h, w, 3) BGR → uint8 (N, 256, 128, 3) BGR; N = 0 is allowed.

    Raises:
        ValueError: as `resize_crop`.
    """
    stacked = np.empty((len(crops), HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for index, crop in enumerate(crops):
        stacked[index] = resize_crop(crop)
    return stacked
