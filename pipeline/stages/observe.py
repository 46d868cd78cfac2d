"""Measure the people in one frame: visible share, crop quality, foot point and floor position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

BORDER_PX = 2.0  # a box this close to the frame's border is cut by it
FULL_QUALITY_HEIGHT_PX = 160.0  # taller crops add nothing to an input of 256 rows
PATH_SECONDS = 0.5  # between two points of a path; dense enough to show where somebody walked
CUT_QUALITY = 0.5  # a person cut by the border is worth half


def crop_quality(xyxy: Array, confidence: Array, visible: Array, width: int, height: int) -> Array:
    """The quality of each box as a view of the person, to choose the crops to embed.

    Args:
        xyxy: float32 (N, 4) pixels.
        confidence, visible: float32 (N,) in [0, 1].
        width, height: of the frame, pixels.

    Returns:
        float32 (N,) in [0, 1].
    """
    low, high = xyxy[:, :2], xyxy[:, 2:]
    cut = (low <= BORDER_PX).any(1) | (high >= np.array([width, height], np.float32) - BORDER_PX).any(1)  # (N,)
    large = np.minimum(1, (xyxy[:, 3] - xyxy[:, 1]) / FULL_QUALITY_HEIGHT_PX)
    quality = confidence * visible * large * np.where(cut, CUT_QUALITY, 1)
    return np.asarray(quality, np.float32)


def foot_points(xyxy: Array) -> Array:
    """Where people stand in the image, the middle of the box's lower edge: (N, 4) → (N, 2) pixels."""
    return np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1)


def to_floor(points: Array, homography: NDArray[np.float64]) -> Array:
    """Project pixels to metres on the floor by a 3x3 homography: (N, 2) → (N, 2)."""
    projected = np.column_stack([points, np.ones(len(points))]) @ homography.T  # (N, 3)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # points on the horizon are infinitely far
        return np.asarray(projected[:, :2] / projected[:, 2:], np.float32)
