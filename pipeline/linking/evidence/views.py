"""Similarity of a tracklet to identities: the mean over their most similar views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAREST_VIEWS = 3  # an identity is seen from many sides: only its most similar tracklets count
SPREAD = 4.0  # between the sort keys of two identities; more than the range of similarities, [-1, 1]
NOTHING = -1.5  # stands for a view that does not count

Views = NDArray[np.float64]


def nearest_views(similarity: NDArray[np.floating], starts: NDArray[np.int64]) -> Views:
    """The highest similarities of N tracklets to each of L identities, float64 (N, L, NEAREST_VIEWS).

    Args:
        similarity: float (N, V) in [-1, 1], to V views that are in the order of their identities; -inf for views that
            do not count.
        starts: int64 (L,), where each identity's views begin.

    Returns:
        Falling; NaN where there are fewer.
    """
    sizes = np.diff(starts, append=similarity.shape[1])  # (L,)
    shift = SPREAD * np.repeat(np.arange(len(starts)), sizes)  # (V,), keeps the identities apart in one sort
    falling = shift - np.sort(shift - np.maximum(similarity, NOTHING), axis=1)  # (N, V)
    place = starts[:, None] + np.arange(NEAREST_VIEWS)  # (L, NEAREST_VIEWS)
    found = falling[:, np.minimum(place, similarity.shape[1] - 1)]
    found[:, np.arange(NEAREST_VIEWS) >= sizes[:, None]] = np.nan
    found[found < (NOTHING - 1) / 2] = np.nan
    return np.asarray(found, np.float64)


def mean_of_nearest(views: Views) -> NDArray[np.float64]:
    """Mean of the highest NEAREST_VIEWS along the last axis, (..., V) → (...,); -inf where all are NaN."""
    nearest = -np.sort(-views, axis=-1)[..., :NEAREST_VIEWS]  # NaN comes last
    there = ~np.isnan(nearest)
    count = there.sum(-1)
    total = np.where(there, nearest, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)
