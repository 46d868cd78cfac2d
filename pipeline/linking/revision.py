"""Decide, and decide again, to which identities the open tracklets belong: local moves until none is better.

Tracklets that one camera sees at the same time are different people, so they form a round that is assigned at once: an
optimal assignment (Kuhn, 1955) to the identities, or to new ones. Then identities that turn out to be one person are
merged, and the rounds of tracklets that would now rather be somebody else are assigned again [ours].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...trackers import best_columns
from .recent import FORBIDDEN, UNDECIDED, Mask, Numbers, Recent, Rows

MOST_COMPARED = 16  # tracklets of an identity, the latest ones, when it is compared with other identities
MAX_SWEEPS = 8  # moves settle after two or three sweeps; the limit only guards against a cycle
CLOSE = 1.5  # a tracklet may gain by a move if its log-odds for the moved one are at most this much below a link's
IMPOSSIBLE = -1e3  # in an assignment, which adds up gains and needs them finite


class Revision:
    """One revision of the open tracklets, beginning with the new ones.

    Attributes:
        next_number: of the next new identity.
    """

    def __init__(self, recent: Recent, threshold: float, next_number: int, new: Mask) -> None:
        self.next_number = next_number
        self._recent, self._threshold = recent, threshold
        self._rounds, self._round_of = _rounds(recent)
        self._stale = np.zeros(len(recent), np.bool_)  # (T,), whose decision may have to change
        self._changed: set[int] = set()  # identities that were not compared with the others since they changed
        self._due = sorted({int(number) for number in self._round_of[new]})  # rounds to assign

    def run(self) -> None:
        """Move tracklets and merge identities until nothing changes."""
        for _ in range(MAX_SWEEPS):
            for number in self._due:
                self._assign(self._rounds[number])
            self._merge()
            self._due = self._dissatisfied()
            if not self._due:
                return

    def _assign(self, rows: Rows) -> None:
        """Assign the N tracklets of a round anew."""
        recent = self._recent
        before = recent.identity[rows]  # (N,)
        recent.identity[rows] = UNDECIDED
        numbers, odds = recent.options(rows, before)  # (L,), (N, L)
        after = self._best(numbers, odds)
        for place, (was, becomes) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
            if becomes == UNDECIDED:  # a new person, or still the one who has nobody else's tracklets
                alone = was != UNDECIDED and was not in after and recent.is_unused(was)
                after[place] = was if alone else self._new()
        recent.identity[rows] = after
        chosen = np.minimum(np.searchsorted(numbers, after), max(len(numbers) - 1, 0))
        if len(numbers):
            own = odds[np.arange(len(rows)), chosen]
            recent.own_odds[rows] = np.where(numbers[chosen] == after, own, FORBIDDEN)
        for row, was, becomes in zip(rows.tolist(), before.tolist(), after.tolist(), strict=True):
            if was != becomes:
                self._note_move(row, was, becomes)

    def _best(self, numbers: Numbers, odds: NDArray[np.float64]) -> Numbers:
        """The best of L identities for N tracklets, one for each, int64 (N,); UNDECIDED for new ones.

        Args:
            numbers: int64 (L,).
            odds: log-odds, float64 (N, L).
        """
        useful = (odds > self._threshold).any(0)  # (L,)
        gain = np.maximum(odds[:, useful] - self._threshold, IMPOSSIBLE)  # (N, l)
        # The last N columns are new identities: they gain nothing, but more than an identity below the threshold.
        columns = best_columns(np.hstack([gain, np.zeros((len(gain), len(gain)))]))
        choices = np.concatenate([numbers[useful], np.full(len(gain), UNDECIDED)])
        return np.asarray(choices[columns], np.int64)

    def _note_move(self, row: int, was: int, becomes: int) -> None:
        """Note whose decision is stale after one tracklet moved from one identity to another."""
        recent = self._recent
        self._changed |= {number for number in (was, becomes) if number != UNDECIDED}
        least = np.maximum(recent.own_odds, self._threshold) - CLOSE  # (T,)
        gaining = recent.pair_odds(np.array([row]))[:, 0] > least  # may join it
        left = recent.members(was) if was != UNDECIDED else np.zeros(0, np.int64)
        freed = ~recent.compatible[:, row]  # may take its former place
        freed &= (recent.pair_odds(left) > least[:, None]).any(1)
        losing = (recent.identity == was) & (was != UNDECIDED)  # was similar to it
        self._stale |= ((gaining & (recent.identity != becomes)) | freed | losing) & recent.is_open

    def _dissatisfied(self) -> list[int]:
        """Rounds with a tracklet that would rather have another identity, if its own round did not stand in the way."""
        recent = self._recent
        rows = np.flatnonzero(self._stale)
        self._stale[:] = False
        if not len(rows):
            return []
        waived = self._round_of[rows, None] == self._round_of  # (R, T)
        own = recent.identity[rows]
        numbers, odds = recent.options(rows, own, waived)
        is_own = numbers == own[:, None]  # (R, L)
        to_own = np.where(is_own, odds, FORBIDDEN).max(1)
        recent.own_odds[rows] = to_own
        to_other = np.where(is_own, FORBIDDEN, odds).max(1)
        moving = (to_other > np.maximum(to_own, self._threshold)) | ((to_own < self._threshold) & np.isfinite(to_own))
        return sorted({int(number) for number in self._round_of[rows[moving]]})

    def _merge(self) -> None:
        """Merge identities that turn out to be one person, most likely first."""
        recent = self._recent
        while self._changed:
            pairs = self._mergers(np.array(sorted(self._changed)))
            self._changed.clear()
            if pairs:
                _, kept, gone = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
                rows = recent.members(gone)
                recent.identity[rows] = kept
                self._stale |= (recent.pair_odds(rows) > self._threshold - CLOSE).any(1) & recent.is_open
                self._changed |= {number for pair in pairs for number in pair[1:] if number != gone} | {kept}

    def _mergers(self, changed: Numbers) -> list[tuple[float, int, int]]:
        """Log-odds, identity that stays and identity that goes, of each possible merger with C changed identities."""
        recent = self._recent
        numbers, mean = self._mean_odds(changed)  # (L,), (C, L)
        found = []
        for place, column in np.argwhere(mean > self._threshold).tolist():
            one, other = int(changed[place]), int(numbers[column])
            free = [number for number in (one, other) if recent.is_movable(number)]
            if one == other or not free:
                continue
            mutual = float(mean[place, column])
            if len(recent.members(other)):
                others, back = self._mean_odds(np.array([other]))
                there = int(np.searchsorted(others, one))
                mutual = min(mutual, float(back[0, there]))
            if mutual > self._threshold:
                found.append((mutual, one + other - max(free), max(free)))
        return found

    def _mean_odds(self, identities: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
        """Mean log-odds of the latest tracklets of C identities for all L: int64 (L,) and float64 (C, L)."""
        recent = self._recent
        members = [recent.members(number)[-MOST_COMPARED:] for number in identities.tolist()]
        rows = np.concatenate(members)
        numbers, odds = recent.options(rows, recent.identity[rows])
        sizes = np.array([len(own) for own in members])
        mean = np.full((len(identities), len(numbers)), FORBIDDEN)
        filled = np.flatnonzero(sizes)
        starts = np.cumsum(sizes) - sizes
        if len(filled):
            mean[filled] = np.add.reduceat(odds, starts[filled], axis=0) / sizes[filled, None]
        return numbers, mean

    def _new(self) -> int:
        self.next_number += 1
        return self.next_number - 1


def _rounds(recent: Recent) -> tuple[list[Rows], Rows]:
    """Rows of open tracklets that one camera saw at the same time, in time order; each is in one round.

    Any two of a round are different people. Also the number of each tracklet's round, int64 (T,); -1 for final ones.
    """
    rounds: list[list[int]] = []
    current: dict[int, list[int]] = {}
    rows = np.flatnonzero(recent.is_open)
    order = rows[np.lexsort((recent.spans.camera[rows], recent.spans.first[rows]))]
    for row, camera in zip(order.tolist(), recent.spans.camera[order].tolist(), strict=True):
        group = current.get(camera)
        if group is None or recent.compatible[row, group].any():
            group = current[camera] = []
            rounds.append(group)
        group.append(row)
    round_of = np.full(len(recent), -1)
    for number, group in enumerate(rounds):
        round_of[group] = number
    return [np.array(group) for group in rounds], round_of
