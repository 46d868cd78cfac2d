"""Lists of different lengths as one long array and their counts, so that a tracker's state is a few arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray


def counts_of(lists: Iterable[Sized]) -> NDArray[np.int64]:
    """The length of each list, int64 (N,)."""
    return np.array([len(one) for one in lists], np.int64)


def stacked(rows: Sequence[NDArray[Any]], shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Arrays of one shape as one array (N, *shape); if there are none, (0, *shape)."""
    return np.stack(rows) if rows else np.zeros((0, *shape), dtype)


def parts(array: NDArray[Any], counts: NDArray[np.int64]) -> list[NDArray[Any]]:
    """The arrays of which `array` is the concatenation, each with its number of rows."""
    ends = np.cumsum(counts)
    return [array[end - count : end] for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]
