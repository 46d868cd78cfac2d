"""Who is in a batch?  PK sampling: some people, some crops of each, from as many cameras as they have."""

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
    """`steps` times the rows of `identities` different people, `each` crops of each, grouped by person.

    Everybody comes up once before anybody comes up again.  A person's crops are drawn from all their cameras in turn,
    since to be found again in another camera is what they are trained for.  Who has fewer crops than asked for is
    repeated.

    Args:
        crops: pids, camids and, for `per_source`, sources.
        identities: P.
        each: K.
        steps: how many batches.
        rng: where all chance comes from.
        per_source: how many of the P people come from each joined set; None draws from all people alike.

    Yields:
        intp (P * K,): rows of the set.

    Raises:
        DatasetError: too few people for one batch; or as many numbers as sets were expected, or other people than P.
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
        yield np.concatenate([_draw(rows_of[who], crops.camids, each, rng) for who in drawn])


def _draw(rows: NDArray[np.intp], camids: NDArray[np.int64], each: int, rng: Rng) -> NDArray[np.intp]:
    """`each` of one person's rows, in random order, their cameras taken in turn."""
    shuffled = rng.permutation(rows)
    by_camera = [shuffled[camids[shuffled] == camid].tolist() for camid in rng.permutation(np.unique(camids[rows]))]
    in_turn = [row for round_ in zip_longest(*by_camera) for row in round_ if row is not None]
    return rng.permutation(np.resize(np.array(in_turn, np.intp), each))
