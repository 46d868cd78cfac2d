"""Similarity of a tracklet to identities: the mean over their most similar views."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAREST_VIEWS = 3  # an identity is seen from many sides: only its most similar tracklets count
SPREAD = 4.0  # more than the range of similarities, [-1, 1]


class Ranked(NamedTuple):
    """Identities by rising number, and their most similar views.

    Attributes:
        numbers: int64 (L,).
        views: float64 (L, NEAREST_VIEWS), the highest similarities, falling; NaN where an identity has fewer.
    """

    numbers: NDArray[np.int64]
    views: NDArray[np.float64]

    def means(self) -> NDArray[np.float64]:
        """Similarity to each identity, float64 (L,)."""
        there = ~np.isnan(self.views)  # (L, 3)
        return np.asarray(np.where(there, self.views, 0.0).sum(1) / there.sum(1), np.float64)


def rank_views(numbers: NDArray[np.int64], similarity: NDArray[np.floating]) -> Ranked:
    """Group N views by identity, int64 (N,) and float (N,) in [-1, 1], with one sort."""
    key = np.sort(SPREAD * numbers - similarity)  # by identity, then most similar first
    identity = np.round(key / SPREAD)
    starts = np.flatnonzero(np.diff(identity, prepend=-1))  # (L,)
    sizes = np.diff(starts, append=len(key))  # (L,)
    place = starts[:, None] + np.arange(NEAREST_VIEWS)  # (L, 3)
    views = SPREAD * identity[starts, None] - key[np.minimum(place, len(key) - 1)]
    views[np.arange(NEAREST_VIEWS) >= sizes[:, None]] = np.nan
    return Ranked(identity[starts].astype(np.int64), views)
