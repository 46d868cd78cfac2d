"""Decide, and decide again, to which identities the open tracklets belong: correlation clustering by local steps.

Each pair of tracklets speaks for or against being one person by its log-odds beyond what a link needs, weighed by the
root of both durations. A tracklet gains by an identity what the pairs with its three best tracklets add up to, because
one person is seen from many sides. The step that gains most is made until none gains, and none unites tracklets that
cannot be one person: an identity joins another (greedy additive edge contraction: Keuper et al., ICCV 2015), a tracklet
moves to another identity, or takes the place of one that it cannot be together with (after Kernighan and Lin, Bell
System Technical Journal, 1970). Correlation clustering: Bansal et al., Machine Learning, 2004; for tracklets of people:
Tang et al., CVPR 2017 [weights, three best, and use within a bounded memory ours].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .evidence.views import NEAREST_VIEWS
from .recent import UNDECIDED, Mask, Numbers, Recent, Rows

LEAST_GAIN = 1e-6  # of a step: sums of floats are not exact
MOST_MOVES = 4  # of a tracklet in one revision: who gains may cost others, so that moves could go round in a circle


class Step(NamedTuple):
    """Rows of open tracklets that change their identity together.

    Attributes:
        gain: what they gain together, and lose by leaving.
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
        self._recent, self._threshold = recent, threshold
        new = np.flatnonzero(recent.identity == UNDECIDED)
        recent.identity[new] = next_number + np.arange(len(new))
        self.next_number = next_number + len(new)
        self._rows = np.flatnonzero(recent.is_open)  # (R,)
        self._moves = np.zeros(len(self._rows), np.int64)
        self._pair, self._clash = recent.pair_gains(self._rows, threshold)  # (R, T)
        numbers, known, barred = recent.known_gains(self._rows, threshold)
        self._numbers = np.append(numbers, self._new())  # (K,); the last column has no tracklets: for who will be alone
        self._known = np.pad(known, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
        self._barred = np.pad(barred, ((0, 0), (0, 1)))  # (R, K), whatever moves
        self._column = np.searchsorted(numbers, recent.identity)  # (T,)
        self._gain = np.zeros(self._barred.shape, np.float64)  # (R, K)
        self._clashes = np.zeros(self._barred.shape, np.int32)  # (R, K)
        for column in range(len(numbers)):
            self._update(column)

    def run(self) -> None:
        """Make steps until none gains."""
        while len(self._rows):
            step = max(self._best_move(), self._best_merger(), key=lambda one: one.gain)
            if step.gain <= LEAST_GAIN:
                step = self._best_exchange()
            if step.gain <= LEAST_GAIN:
                break
            self._make(step)
        self._recent.identity[:] = self._numbers[self._column]

    def run_afresh(self) -> None:
        """Make steps until none gains; then again, as if all open tracklets had come now, and keep what is better.

        The first result depends on what was known when each tracklet came, which may be a bad place to go on from.
        """
        self.run()
        before = self._recent.identity.copy()
        self._recent.identity[self._rows] = UNDECIDED
        other = Revision(self._recent, self._threshold, self.next_number)
        other.run()
        self.next_number = other.next_number
        if other.gain() > self.gain() + LEAST_GAIN:
            final = np.concatenate([before[~self._recent.is_open], before[self._recent.are_known(before)]])
            self._recent.identity[:] = with_earlier_numbers(self._recent.identity, before, final)
        else:
            self._recent.identity[:] = before

    def gain(self) -> float:
        """What all open tracklets gain by their identities."""
        return float(self._own()[1].sum())

    def _own(self) -> tuple[Numbers, NDArray[np.float64]]:
        """Columns of the open tracklets, int64 (R,), and their gains by them, float64 (R,)."""
        column = self._column[self._rows]
        return column, self._gain[np.arange(len(column)), column]

    def _best_move(self) -> Step:
        """One tracklet goes to another identity, or is alone."""
        column, own = self._own()
        possible = (self._clashes == 0) & ~self._barred & (self._moves < MOST_MOVES)[:, None]
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
        free = self._moves < MOST_MOVES  # (R,)
        clash = self._clash[:, self._rows] & free[:, None] & free  # (R, R)
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
        if step.displaced >= 0:
            self._move(np.array([step.displaced]), step.refuge)
        if not (self._column == leaves).any() and not self._recent.are_known(self._numbers[[leaves]])[0]:
            if self._movable()[step.target]:
                both = [leaves, step.target]
                self._numbers[both] = np.sort(self._numbers[both])[::-1]  # the older number stays
            self._barred[:, leaves] = True  # nobody has the number any more
        if (self._column == len(self._numbers) - 1).any():  # the spare identity is used
            self._numbers = np.append(self._numbers, self._new())
            self._gain = np.pad(self._gain, ((0, 0), (0, 1)))
            self._clashes = np.pad(self._clashes, ((0, 0), (0, 1)))
            self._barred = np.pad(self._barred, ((0, 0), (0, 1)))
            self._known = np.pad(self._known, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)

    def _move(self, rows: Rows, target: int) -> None:
        """Some open tracklets of one identity go to another."""
        moved = self._rows[rows]
        before = int(self._column[moved[0]])
        self._moves[rows] += len(rows) == 1
        self._column[moved] = target
        self._update(before)
        self._update(target)

    def _update(self, column: int) -> None:
        """Compute what the open tracklets gain by an identity anew."""
        members = np.flatnonzero(self._column == column)
        self._clashes[:, column] = self._clash[:, members].sum(1)
        views = np.concatenate([self._pair[:, members], self._known[:, column]], 1)  # (R, m + NEAREST_VIEWS)
        self._gain[:, column] = np.nansum(-np.sort(-views, axis=1)[:, :NEAREST_VIEWS], 1)

    def _new(self) -> int:
        self.next_number += 1
        return self.next_number - 1


def _best(gain: NDArray[np.float64], groups: Sequence[Rows] | Rows) -> Step:
    """The step that gains most, of A groups of open tracklets to K columns; float64 (A, K)."""
    group, target = np.unravel_index(int(gain.argmax()), gain.shape)
    return Step(float(gain[group, target]), groups[int(group)], int(target))


def with_earlier_numbers(identity: Numbers, before: Numbers, final: Numbers) -> Numbers:
    """New identities with the numbers that most of their tracklets had before, int64 (T,), as far as these are free.

    Args:
        identity, before: int64 (T,).
        final: int64 (F,), identities that also have tracklets which cannot change: these keep their numbers, and nobody
            else gets them.
    """
    taken = set(final.tolist())
    found = identity.copy()
    pairs, counts = np.unique(np.stack([identity, before]), axis=1, return_counts=True)
    for place in np.argsort(-counts, kind="stable").tolist():
        now, was = pairs[:, place].tolist()
        if now not in taken and was not in taken:
            found[identity == now] = was
            taken |= {now, was}
    return found
