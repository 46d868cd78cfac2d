"""Overlap of boxes, and how much of each is visible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_COLUMNS, GRID_ROWS = 6, 16  # sample points per box; 96 measure a covered share to about 1 %


def box_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Intersection over union in [0, 1]: boxes xyxy (N, 4) and (M, 4) → (N, M)."""
    one, other = np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None]
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clip(0).prod(-1)  # (N, M)
    union = (one[..., 2:] - one[..., :2]).clip(0).prod(-1) + (other[..., 2:] - other[..., :2]).clip(0).prod(-1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def visible_shares(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of each box that no nearer person covers.

    The person whose box ends lower in the frame is nearer, because cameras look down [ours]. Occlusion by shelves or
    bags is not measured here; the appearance mask deals with it.

    Args:
        xyxy: float32 (N, 4) pixels.

    Returns:
        float32 (N,) in [0, 1].
    """
    if len(xyxy) < 2:  # nobody else can stand in front
        return np.ones(len(xyxy), np.float32)
    columns = (np.arange(GRID_COLUMNS, dtype=np.float32) + 0.5) / GRID_COLUMNS
    rows = (np.arange(GRID_ROWS, dtype=np.float32) + 0.5) / GRID_ROWS
    left, top, right, bottom = xyxy.T
    x = left[:, None] + (right - left)[:, None] * columns  # (N, columns)
    y = top[:, None] + (bottom - top)[:, None] * rows  # (N, rows)
    in_x = (x[:, None] >= left[:, None]) & (x[:, None] <= right[:, None])  # (N, N, columns)
    in_y = (y[:, None] >= top[:, None]) & (y[:, None] <= bottom[:, None])  # (N, N, rows)
    nearer = bottom[None] > bottom[:, None]  # (N, N), entry [i, j]: j stands in front of i
    covered = (in_x[:, :, None, :] & in_y[:, :, :, None] & nearer[:, :, None, None]).any(1)  # (N, rows, columns)
    return np.asarray(1 - covered.mean((1, 2)), np.float32)
