"""PK sampling: batches of P identities with K crops each, spread over as many cameras as possible."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from .dataset import CropSet

Rng = np.random.Generator


def identity_batches(
    crops: CropSet, identities: int, each: int, steps: int, rng: Rng, per_source: Sequence[int] | None = None
) -> Iterator[NDArray[np.intp]]:
    """Draw `steps` batches of `identities` different identities with `each` crops of each, grouped by identity.

    Every identity is drawn once before any is drawn again.  The crops of an identity are drawn from its cameras in
    turn, since the network is trained to match across cameras.  Crops are repeated if an identity has fewer than K.

    Args:
        crops: pids, camids and, for `per_source`, sources.
        identities: P.
        each: K.
        steps: number of batches.
        rng: source of randomness.
        per_source: how many of the P identities come from each joined set; None draws from all sets together.

    Yields:
        intp (P * K,), rows of the set.

    Raises:
        DatasetError: too few identities for one batch; or `per_source` does not have one number per set that sum to P.
    """
    groups = [np.unique(crops.pids)]
    sizes = [identities]
    if per_source is not None:
        sources = np.zeros(len(crops), np.int64) if crops.sources is None else crops.sources
        if len(per_source) != sources.max() + 1 or sum(per_source) != identities:
            raise DatasetError(
                f"sampling.per_folder: expected {sources.max() + 1} numbers, one per folder, that add up to "
                f"{identities}, got {list(per_source)}"
            )
        groups = [np.unique(crops.pids[sources == source]) for source in range(len(per_source))]
        sizes = list(per_source)
    for group, size in zip(groups, sizes, strict=True):
        if len(group) < size:
            raise DatasetError(f"expected at least {size} identities for one batch, got {len(group)}")
    rows_of = {int(pid): np.flatnonzero(crops.pids == pid) for pid in np.unique(crops.pids)}
    waiting: list[list[int]] = [[] for _ in groups]
    for _ in range(steps):
        drawn: list[int] = []
        for queue, group, size in zip(waiting, groups, sizes, strict=True):
            if len(queue) < size:
                queue[:] = rng.permutation(group).tolist()
            drawn += queue[:size]
            del queue[:size]
        yield np.concatenate([_draw(rows_of[pid], crops.camids, each, rng) for pid in drawn])


def _draw(rows: NDArray[np.intp], camids: NDArray[np.int64], each: int, rng: Rng) -> NDArray[np.intp]:
    """Draw `each` of one identity's rows, from its cameras in turn, and shuffle them."""
    shuffled = rng.permutation(rows)
    by_camera = [shuffled[camids[shuffled] == camid].tolist() for camid in rng.permutation(np.unique(camids[rows]))]
    in_turn = [row for round_ in zip_longest(*by_camera) for row in round_ if row is not None]
    return rng.permutation(np.resize(np.array(in_turn, np.intp), each))
