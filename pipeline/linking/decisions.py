"""Make identities obey a person's decisions: tracklets that must be one identity, and such that cannot be [ours].

Constrained clustering afterwards, as a repair of any linker's result: identities that hold tracklets which cannot be
one person are divided, then those that must be one person are united. A newer decision overrides older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence.constraints import is_handover
from .evidence.views import mean_of_nearest, nearest_views
from .recent import UNDECIDED

Numbers = NDArray[np.int64]
Rows = NDArray[np.int64]
Similarity = Callable[[Rows, Rows], NDArray[np.float64]]  # (N,), (M,) → (N, M); -inf without an appearance
FIRST_PART = -2  # parts of divided identities have falling numbers from here on until they get real ones


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about some tracklets.

    Attributes:
        one: int64 (N,), rows of tracklets. Without `other`, they are all one person.
        other: int64 (M,), rows of tracklets of whom nobody is anybody of `one`; may be empty.
    """

    one: Rows
    other: Rows


@dataclass(frozen=True, slots=True)
class Shown:
    """T tracklets as they are linked, and when each was seen.

    Attributes:
        linked: int64 (T,), identities as the linker has them; UNDECIDED without one.
        current: int64 (T,), identities as they are numbered now; new parts keep these numbers where they can.
        camera: int64 (T,).
        first, last: float64 (T,), UTC epoch seconds.
    """

    linked: Numbers
    current: Numbers
    camera: NDArray[np.int64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]


def obey(shown: Shown, decisions: Sequence[Decision], similarity: Similarity) -> Numbers:
    """Identities of T tracklets that obey decisions, int64 (T,).

    Of a divided identity, side `one` keeps the number; united identities keep the lowest one.

    Args:
        shown: the tracklets.
        decisions: the newest first.
        similarity: of tracklets by their rows; needed only to divide tracklets that no decision names.
    """
    if not decisions:
        return shown.linked.copy()
    groups = _Groups(decisions, len(shown.linked))
    identity = _divide(shown, groups, similarity)
    _unite(shown, groups, identity)
    return _numbered(shown, identity)


class _Groups:
    """Tracklets that must be one identity, and which of these groups cannot be one.

    Attributes:
        of: int64 (T,), the group of each tracklet; -1 for those that no decision names.
        apart: bool (G, G), symmetric: groups that are different people.
        leaning: int64 (G,), on how many more `one` sides than `other` sides a group's tracklets are.
    """

    def __init__(self, decisions: Sequence[Decision], tracklets: int) -> None:
        named = np.unique(np.concatenate([rows for one in decisions for rows in (one.one, one.other)]))  # (m,)
        group = np.arange(len(named))
        cannot = np.zeros((len(named), len(named)), np.bool_)
        leaning = np.zeros(len(named), np.int64)
        for decision in decisions:
            one, other = np.searchsorted(named, decision.one), np.searchsorted(named, decision.other)
            if len(other):
                differing = group[one][:, None] != group[other]
                cannot[np.ix_(one, other)] |= differing
                cannot[np.ix_(other, one)] |= differing.T
                np.add.at(leaning, one, 1)
                np.add.at(leaning, other, -1)
            else:
                _join(group, cannot, one)
        numbers, compact = np.unique(group, return_inverse=True)
        self.of = np.full(tracklets, -1)
        self.of[named] = compact
        self.apart = np.zeros((len(numbers), len(numbers)), np.bool_)
        rows, columns = np.nonzero(cannot)
        self.apart[compact[rows], compact[columns]] = True
        self.leaning = np.bincount(compact, leaning, len(numbers)).astype(np.int64)

    def rows(self, group: int) -> Rows:
        """Rows of a group."""
        return np.flatnonzero(self.of == group)

    def among(self, rows: Rows) -> Numbers:
        """The groups of some tracklets, each once."""
        found = np.unique(self.of[rows])
        return found[found >= 0]

    def clash(self, one: Numbers, other: Numbers) -> bool:
        """Whether anybody of some groups cannot be one with anybody of others."""
        return bool(self.apart[np.ix_(one, other)].any())


def _join(group: Numbers, cannot: NDArray[np.bool_], rows: Rows) -> None:
    """Join the groups of some tracklets, in place, except those that newer decisions keep apart."""
    kept: list[int] = []
    for number in dict.fromkeys(group[rows].tolist()):
        own = group == number
        joins = (one for one in kept if not cannot[np.ix_(group == one, own)].any())
        target = next(joins, None)
        if target is None:
            kept.append(number)
        else:
            group[own] = target


def _divide(shown: Shown, groups: _Groups, similarity: Similarity) -> Numbers:
    """Identities, int64 (T,), of which none holds groups that are apart; new parts count down from FIRST_PART."""
    identity = shown.linked.copy()
    next_part = FIRST_PART
    for number in np.unique(identity[(groups.of >= 0) & (identity != UNDECIDED)]).tolist():
        rows = np.flatnonzero(identity == number)
        present = groups.among(rows)
        torn = present[groups.apart[np.ix_(present, present)].any(1)]
        if not len(torn):
            continue
        first = np.array([shown.first[rows[groups.of[rows] == group]].min() for group in torn.tolist()])
        parts = _parts(torn[np.lexsort((torn, first, -groups.leaning[torn]))].tolist(), rows, groups, similarity)
        place = _nearest_part(rows, parts, groups, similarity)  # (r,)
        for part in range(1, len(parts)):
            identity[rows[place == part]] = next_part
            next_part -= 1
    return identity


def _parts(torn: Iterable[int], rows: Rows, groups: _Groups, similarity: Similarity) -> list[list[int]]:
    """Distribute groups over as few parts as they come to: each to the most similar one that may hold it."""
    parts: list[list[int]] = []
    for group in torn:
        free = [part for part in parts if not groups.apart[group, part].any()]
        if not free:
            parts.append([group])
        elif len(free) == 1:
            free[0].append(group)
        else:
            own = rows[groups.of[rows] == group]
            means = [float(similarity(own, rows[np.isin(groups.of[rows], part)]).mean()) for part in free]
            free[int(np.argmax(means))].append(group)
    return parts


def _nearest_part(rows: Rows, parts: list[list[int]], groups: _Groups, similarity: Similarity) -> Numbers:
    """The part of each of an identity's tracklets, int64 (r,): its group's, or else that of the most similar people."""
    place = np.full(len(rows), -1)
    for part, members in enumerate(parts):
        place[np.isin(groups.of[rows], members)] = part
    others = np.flatnonzero(place < 0)
    if not len(others):
        return place
    known = np.flatnonzero(place >= 0)
    known = known[np.argsort(place[known], kind="stable")]
    starts = np.searchsorted(place[known], np.arange(len(parts)))
    to_part = mean_of_nearest(nearest_views(similarity(rows[others], rows[known]), starts))  # (o, parts)
    own_group = groups.of[rows[others]]
    for group in np.unique(own_group[own_group >= 0]).tolist():  # a group stays together
        to_part[own_group == group] = to_part[own_group == group].mean(0)
    place[others] = to_part.argmax(1)
    return place


def _unite(shown: Shown, groups: _Groups, identity: Numbers) -> None:
    """Unite identities whose tracklets must be one person, in place: whole, or if they cannot be, only these tracklets.

    What may not be united are groups that are apart, and tracklets that one camera saw at the same time.
    """
    new_part = int(identity.min(initial=FIRST_PART)) - 1
    sizes = np.bincount(groups.of[groups.of >= 0], minlength=len(groups.apart))
    for group in np.flatnonzero(sizes > 1).tolist():
        own = groups.rows(group)
        numbers = sorted(set(identity[own].tolist()) - {UNDECIDED}, key=lambda one: (one < 0, abs(one)))
        rest = {number: np.flatnonzero((identity == number) & (groups.of != group)) for number in numbers}
        target = next((number for number in numbers if _may_unite(shown, groups, own, rest[number])), None)
        if target is None:
            target, new_part = new_part, new_part - 1
        for number in numbers:
            whole, there = np.flatnonzero(identity == number), np.flatnonzero(identity == target)
            if number != target and _may_unite(shown, groups, whole, there):
                identity[whole] = target
        identity[own] = target


def _may_unite(shown: Shown, groups: _Groups, one: Rows, other: Rows) -> bool:
    if groups.clash(groups.among(one), groups.among(other)):
        return False
    at_once = shown.camera[one, None] == shown.camera[other]  # (N, M)
    gap = np.maximum(shown.first[one, None] - shown.last[other], shown.first[other] - shown.last[one, None])  # (N, M)
    shorter = np.minimum((shown.last - shown.first)[one, None], (shown.last - shown.first)[other])
    at_once &= (gap <= 0) & ~is_handover(gap, shorter)
    decided = (groups.of[one, None] == groups.of[other]) & (groups.of[other] >= 0)
    return not (at_once & ~decided).any()


def _numbered(shown: Shown, identity: Numbers) -> Numbers:
    """Give new parts a number: the linker's if nobody else has it, or that which they have now, or else a new one."""
    taken = set(identity[identity >= 0].tolist())
    linked = set(shown.linked.tolist())  # of whoever was united with others: not given to anybody else
    next_number = max(taken | linked | set(shown.current.tolist()) | {0}) + 1
    for part in np.unique(identity[identity <= FIRST_PART])[::-1].tolist():
        rows = identity == part
        number = _most_frequent(shown.linked[rows])
        if number == UNDECIDED or number in taken:
            number = _most_frequent(shown.current[rows])
            if number == UNDECIDED or number in taken | linked:
                number, next_number = next_number, next_number + 1
        taken.add(number)
        identity[rows] = number
    return identity


def _most_frequent(numbers: Numbers) -> int:
    """The number that most tracklets have; UNDECIDED if none has any."""
    found, counts = np.unique(numbers[numbers > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else UNDECIDED
