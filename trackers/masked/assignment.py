"""Assign rows to columns."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray


def best_columns(gain: NDArray[np.floating]) -> NDArray[np.int64]:
    """The columns with the largest sum of gains that N rows can have, no column twice (Jonker and Volgenant, 1987).

    Args:
        gain: finite (N, M). As many rows as possible get a column, so one that is worth nothing should gain 0.

    Returns:
        int64 (N,), -1 for a row without a column.
    """
    if not gain.size:
        return np.full(len(gain), -1, np.int64)
    cost = np.ascontiguousarray(gain.max() - gain, np.float64)
    _, columns, _ = lap.lapjv(cost, extend_cost=True)
    return np.asarray(columns, np.int64)
