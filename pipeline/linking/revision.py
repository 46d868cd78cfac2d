"""Decide, and decide again, to which identities the open tracklets belong: local moves until none is better.

Tracklets that one camera sees at the same time are different people, so they form a round that is assigned at once: an
optimal assignment (Kuhn, 1955) to the identities, or to new ones. Between rounds, identities that turn out to be one
person are merged. Only rounds of which a similar tracklet has moved are assigned again [ours].
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .recent import UNDECIDED, Mask, Numbers, Recent, Rows

MAX_SWEEPS = 8  # moves settle after two or three sweeps; the limit only guards against a cycle
CLOSE = 0.1  # a tracklet may gain by a move if it is at most this much less similar to the moved one than a link needs
IMPOSSIBLE = -1e3  # in an assignment, which adds up gains and needs them finite


class Revision:
    """One revision of the open tracklets, beginning with the new ones.

    Attributes:
        next_number: of the next new identity.
    """

    def __init__(self, recent: Recent, threshold: float, next_number: int, new: Mask) -> None:
        self.next_number = next_number
        self._recent, self._threshold = recent, threshold
        self._stale = new.copy()  # bool (T,), whose decision may have to change
        self._changed: set[int] = set()  # identities that were not compared with the others since they changed

    def run(self) -> None:
        """Move tracklets and merge identities until nothing changes."""
        rounds = _rounds(self._recent)
        for _ in range(MAX_SWEEPS):
            for rows in rounds:
                if self._stale[rows].any():
                    self._assign(rows)
            self._merge()
            if not self._stale.any():
                return
        self._stale[:] = False

    def _assign(self, rows: Rows) -> None:
        """Assign the N tracklets of a round anew."""
        recent = self._recent
        before = recent.identity[rows]  # (N,)
        recent.identity[rows] = UNDECIDED
        options = [recent.options(row, own) for row, own in zip(rows.tolist(), before.tolist(), strict=True)]
        after = self._best(options)
        for place, (was, becomes) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
            if becomes == UNDECIDED:  # a new person, or still the one who has nobody else's tracklets
                alone = was != UNDECIDED and was not in after and recent.is_unused(was)
                after[place] = was if alone else self._new()
        recent.identity[rows] = after
        self._stale[rows] = False
        moved = before != after
        self._touch([*before[moved].tolist(), *after[moved].tolist()])
        self._stale[rows] = False

    def _best(self, options: list[tuple[Numbers, NDArray[np.float64]]]) -> Numbers:
        """The best identities of N tracklets, of which each takes one only, int64 (N,); UNDECIDED for new ones."""
        possible = [numbers[similarity > self._threshold] for numbers, similarity in options]
        numbers = np.unique(np.concatenate(possible))  # (L,)
        gain = np.full((len(options), len(numbers)), IMPOSSIBLE)  # (N, L)
        for row, (own, similarity) in enumerate(options):
            there = np.isin(own, numbers)
            gain[row, np.searchsorted(numbers, own[there])] = similarity[there] - self._threshold
        gain = np.maximum(gain, IMPOSSIBLE)
        # The last N columns are new identities: they gain nothing, but more than an identity below the threshold.
        _, columns = linear_sum_assignment(np.hstack([gain, np.zeros((len(gain), len(gain)))]), maximize=True)
        return np.concatenate([numbers, np.full(len(gain), UNDECIDED)])[columns]

    def _merge(self) -> None:
        """Merge identities that turn out to be one person, most similar first."""
        while self._changed:
            pairs = [pair for number in sorted(self._changed) for pair in self._mergers(number)]
            if not pairs:
                self._changed.clear()
                return
            _, kept, gone = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
            self._recent.identity[self._recent.members(gone)] = kept
            self._changed.discard(gone)
            self._touch([kept])

    def _mergers(self, number: int) -> list[tuple[float, int, int]]:
        """Similarity, identity that stays and identity that goes, of each possible merger with one identity."""
        recent = self._recent
        rows = recent.members(number)
        options = [recent.options(row, number) for row in rows.tolist()]
        if not options:
            return []
        common = options[0][0]
        for numbers, _ in options[1:]:
            common = np.intersect1d(common, numbers, assume_unique=True)
        common = common[common != number]
        to_others = [similarity[np.searchsorted(numbers, common)] for numbers, similarity in options]
        mean = np.mean(to_others, axis=0)  # (L,)
        found = []
        for other, similarity in zip(common[mean > self._threshold].tolist(), mean[mean > self._threshold].tolist(),
                                     strict=True):
            back = [recent.similarity_to(row, number) for row in recent.members(other).tolist()]
            mutual = min(similarity, float(np.mean(back))) if back else similarity
            free = [one for one in (number, other) if recent.is_movable(one)]
            if mutual > self._threshold and free:
                gone = max(free)
                found.append((mutual, number + other - gone, gone))
        return found

    def _touch(self, numbers: Iterable[int]) -> None:
        """Note that identities changed: of whoever is similar to their tracklets, the decision is stale."""
        changed = {number for number in numbers if number != UNDECIDED}
        if not changed:
            return
        recent = self._recent
        self._changed |= changed
        members = np.isin(recent.identity, list(changed))  # (T,)
        self._stale |= (recent.similarity[:, members] > self._threshold - CLOSE).any(1) & recent.is_open

    def _new(self) -> int:
        self.next_number += 1
        return self.next_number - 1


def _rounds(recent: Recent) -> list[Rows]:
    """Rows of open tracklets that one camera saw at the same time, in time order; each is in one round."""
    rounds: list[list[int]] = []
    current: dict[int, tuple[list[int], float]] = {}
    spans = recent.spans
    rows = np.flatnonzero(recent.is_open)
    order = rows[np.lexsort((spans.camera[rows], spans.first[rows]))]
    for row, camera, first, last in zip(
        order.tolist(), spans.camera[order].tolist(), spans.first[order].tolist(), spans.last[order].tolist(),
        strict=True,
    ):
        group, ends = current.get(camera, ([], -np.inf))
        if ends < first:
            group, ends = [], np.inf
            rounds.append(group)
        group.append(row)
        current[camera] = (group, min(ends, last))
    return [np.array(group) for group in rounds]
