"""Decide, and decide again, to which identities the open tracklets belong: correlation clustering by local steps.

Each pair of tracklets of one identity counts by its log-odds above what a link needs, weighed by how long both were
seen; the best identities make the sum largest, and hold no two tracklets that cannot be one person (correlation
clustering: Bansal et al., Machine Learning, 2004; for people: Tang et al., CVPR 2017). The step that gains most is made
until none gains: two identities are merged (greedy additive edge contraction: Keuper et al., ICCV 2015), a tracklet
moves to another identity, or takes the place of one that it cannot be together with (after Kernighan and Lin, Bell
System Technical Journal, 1970) [weights, and use with a bounded memory ours].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .recent import UNDECIDED, Mask, Numbers, Recent, Rows

LEAST_GAIN = 1e-3  # of a step: sums that are kept up to date are not exact
MOST_STEPS = 8  # per tracklet; a search ends long before that, as every step gains


class Step(NamedTuple):
    """Rows of open tracklets that change their identity together.

    Attributes:
        gain: by how much the sum rises.
        rows: int64 (r,), that go to the identity of column `target`.
        target: a column.
        displaced: row of a tracklet that makes place for them; -1 for none.
        refuge: the column to which it goes.
    """

    gain: float
    rows: Rows
    target: int
    displaced: int = -1
    refuge: int = -1


class Revision:
    """One revision of R open tracklets among T recent ones and K identities, each a column.

    Attributes:
        next_number: of the next new identity.
    """

    def __init__(self, recent: Recent, threshold: float, next_number: int) -> None:
        """Begin with the identities that there are; whoever has none is alone."""
        self._recent = recent
        new = np.flatnonzero(recent.identity == UNDECIDED)
        recent.identity[new] = next_number + np.arange(len(new))
        self.next_number = next_number + len(new)
        self._rows = np.flatnonzero(recent.is_open)  # (R,)
        pairs = recent.pair_gains(self._rows, threshold)
        self._pair, self._clash = pairs.gain, pairs.clash  # (R, T)
        numbers, known = recent.known_gains(self._rows, threshold)
        self._numbers = np.append(numbers, self._new())  # (K,); the last column has no tracklets: for who will be alone
        self._gain = np.hstack([known.gain, np.zeros((len(self._rows), 1))])  # float64 (R, K)
        self._barred = np.hstack([known.clash, np.zeros((len(self._rows), 1), np.bool_)])  # (R, K), whatever moves
        self._column = np.searchsorted(numbers, recent.identity)  # (T,)
        self._clashes = np.zeros(self._gain.shape, np.int32)  # (R, K)
        order = np.argsort(self._column, kind="stable")
        starts = np.flatnonzero(np.diff(self._column[order], prepend=-1))
        if len(order):
            present = self._column[order[starts]]
            self._gain[:, present] += np.add.reduceat(self._pair[:, order], starts, axis=1, dtype=np.float64)
            self._clashes[:, present] = np.add.reduceat(self._clash[:, order], starts, axis=1, dtype=np.int32)

    def run(self) -> None:
        """Make steps until none gains."""
        for _ in range(MOST_STEPS * len(self._rows)):
            step = max(self._best_move(), self._best_merger(), key=lambda one: one.gain)
            if step.gain <= LEAST_GAIN:
                step = self._best_exchange()
            if step.gain <= LEAST_GAIN:
                break
            self._make(step)
        self._recent.identity[:] = self._numbers[self._column]

    def _own(self) -> tuple[Numbers, NDArray[np.float64]]:
        """Columns of the open tracklets, int64 (R,), and their gains by them, float64 (R,)."""
        column = self._column[self._rows]
        return column, self._gain[np.arange(len(column)), column]

    def _best_move(self) -> Step:
        """One tracklet goes to another identity, or is alone."""
        column, own = self._own()
        possible = (self._clashes == 0) & ~self._barred
        possible[np.arange(len(column)), column] = False
        return _best(np.where(possible, self._gain - own[:, None], -np.inf), np.arange(len(column))[:, None])

    def _best_merger(self) -> Step:
        """All tracklets of an identity that can still change go to another one."""
        column, _ = self._own()
        movable = self._movable()
        order = np.flatnonzero(movable[column])
        order = order[np.argsort(column[order], kind="stable")]  # rows of identities that can change
        if not len(order):
            return Step(0.0, order, -1)
        starts = np.flatnonzero(np.diff(column[order], prepend=-1))
        gain = np.add.reduceat(self._gain[order], starts, axis=0)  # (a, K)
        refused = np.logical_or.reduceat(((self._clashes > 0) | self._barred)[order], starts, axis=0)
        one = column[order[starts]]
        refused[np.arange(len(one)), one] = True
        refused[:, -1] = True
        return _best(np.where(refused, -np.inf, gain), np.split(order, starts[1:]))

    def _best_exchange(self) -> Step:
        """A tracklet displaces the only one of an identity that it cannot be together with."""
        column, own = self._own()
        clash = self._clash[:, self._rows]  # (R, R)
        one, other = np.nonzero(clash & (self._clashes[:, column] == 1) & ~self._barred[:, column])
        if not len(one):
            return Step(0.0, one, -1)
        back = column[one]  # (P,), where the displaced tracklet may go
        returns = (self._clashes[other, back] == 1) & ~self._barred[other, back] & (self._gain[other, back] > 0)
        gain = self._gain[one, column[other]] - own[one] - own[other] + np.where(returns, self._gain[other, back], 0)
        best = int(gain.argmax())
        refuge = int(back[best]) if returns[best] else len(self._numbers) - 1
        return Step(float(gain[best]), one[[best]], int(column[other[best]]), int(other[best]), refuge)

    def _movable(self) -> Mask:
        """Whether each identity's tracklets are all open and none was summarised, bool (K,)."""
        closed = np.bincount(self._column[~self._recent.is_open], minlength=len(self._numbers)) > 0
        return ~closed & ~self._recent.are_known(self._numbers)

    def _make(self, step: Step) -> None:
        leaves = int(self._column[self._rows[step.rows[0]]])
        self._move(step.rows, step.target)
        if not (self._column == leaves).any() and self._movable()[[leaves, step.target]].all():
            both = [leaves, step.target]
            self._numbers[both] = np.sort(self._numbers[both])[::-1]  # the older number stays
        if step.displaced >= 0:
            self._move(np.array([step.displaced]), step.refuge)
        if (self._column == len(self._numbers) - 1).any():  # the spare identity is used
            self._numbers = np.append(self._numbers, self._new())
            count = len(self._rows)
            self._gain = np.hstack([self._gain, np.zeros((count, 1))])
            self._clashes = np.hstack([self._clashes, np.zeros((count, 1), np.int32)])
            self._barred = np.hstack([self._barred, np.zeros((count, 1), np.bool_)])

    def _move(self, rows: Rows, target: int) -> None:
        """Some open tracklets of one identity go to another."""
        moved = self._rows[rows]
        before = int(self._column[moved[0]])
        gain, clashes = self._pair[:, moved].sum(1), self._clash[:, moved].sum(1)  # (R,)
        self._gain[:, before] -= gain
        self._gain[:, target] += gain
        self._clashes[:, before] -= clashes
        self._clashes[:, target] += clashes
        self._column[moved] = target

    def _new(self) -> int:
        self.next_number += 1
        return self.next_number - 1


def _best(gain: NDArray[np.float64], groups: Sequence[Rows]) -> Step:
    """The step that gains most, of A groups of open tracklets to K columns; float64 (A, K)."""
    group, target = np.unravel_index(int(gain.argmax()), gain.shape)
    return Step(float(gain[group, target]), groups[int(group)], int(target))
