"""The plain recipe to compare linking with: cosine of mean embeddings, agglomerative clustering, one threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from ....reid import concatenate
from ...types import TrackKey, Tracklet

SIMILARITIES = np.round(np.arange(0.1, 0.96, 0.025), 3)  # thresholds that are tried
MOST_TRACKLETS = 5000  # all pairs are compared


def clusterings(tracklets: Sequence[Tracklet]) -> Iterator[tuple[float, dict[TrackKey, int]]]:
    """Every threshold with the identities that it gives, 1-based; nothing if there are too many tracklets, or one.

    Average linkage over all cameras, without masks, time and place (Sokal and Michener, 1958).
    """
    chosen = [one for one in tracklets if len(one.appearance)]
    if not 1 < len(chosen) <= MOST_TRACKLETS:
        return
    tree = linkage(concatenate([one.appearance for one in chosen]).embedding, "average", "cosine")
    for similarity in SIMILARITIES.tolist():
        groups = fcluster(tree, 1 - similarity, "distance")
        yield similarity, {one.key: int(group) for one, group in zip(chosen, groups, strict=True)}
