"""The tracklets of the last minutes, with what is compared again and again: similarities and constraints of all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity
from ..config.schema import LinkingConfig
from ..types import TrackKey
from .candidates import Found, KnownIdentities
from .constraints import compatible
from .spans import Spans, joined
from .views import Ranked, rank_views

UNDECIDED = -1
FORBIDDEN = -np.inf  # similarity of a tracklet to an identity that it cannot be

Numbers = NDArray[np.int64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Recent:
    """T recent tracklets, one row each, in the order in which they came.

    Attributes:
        keys: their tracks.
        spans: when and where they were seen.
        appearance: T rows.
        identity: int64 (T,), their identities; UNDECIDED without one.
        written: int64 (T,), the identities that the last links stated; UNDECIDED without a link.
        stated: bool (T,), whether the last link stated evidence.
        is_open: bool (T,), whether the decision can still change.
        similarity: float32 (T, T), row to column; -inf on the diagonal.
        compatible: bool (T, T), whether time and place allow two tracklets to be one person; true on the diagonal.
        candidates: identities of `known` that each tracklet may be.
    """

    def __init__(self, config: LinkingConfig, known: KnownIdentities, dimensions: int) -> None:
        self.mode = config.mode
        self._config, self._known = config, known
        self.keys: list[TrackKey] = []
        self.spans = Spans.empty()
        self.appearance = Appearance.empty(dimensions)
        self.identity = np.zeros(0, np.int64)
        self.written = np.zeros(0, np.int64)
        self.stated = np.zeros(0, np.bool_)
        self.is_open = np.zeros(0, np.bool_)
        self.similarity = np.zeros((0, 0), np.float32)
        self.compatible = np.zeros((0, 0), np.bool_)
        self.candidates = Found.nothing(0)

    def __len__(self) -> int:
        return len(self.keys)

    def append(
        self,
        keys: Sequence[TrackKey],
        spans: Spans,
        appearance: Appearance,
        identity: Numbers,
        written: Numbers,
        stated: Mask,
    ) -> None:
        """Add N open tracklets; the arguments are as the attributes."""
        mode, before = self.mode, self.appearance
        to_new = masked_similarity(before, appearance, mode)  # (T, N)
        from_new = masked_similarity(appearance, before, mode) if mode == "query" else to_new.T  # (N, T)
        among_new = masked_similarity(appearance, appearance, mode)  # (N, N)
        self.similarity = np.block([[self.similarity, to_new], [from_new, among_new]])
        np.fill_diagonal(self.similarity, FORBIDDEN)
        to_new_allowed = compatible(self.spans, spans, self._config.max_speed)  # (T, N)
        among_new_allowed = compatible(spans, spans, self._config.max_speed)  # (N, N)
        self.compatible = np.block([[self.compatible, to_new_allowed], [to_new_allowed.T, among_new_allowed]])
        np.fill_diagonal(self.compatible, True)
        self.candidates = self.candidates.joined(self._known.search(appearance, spans))
        self.keys += keys
        self.spans = joined(self.spans, spans)
        self.appearance = concatenate([before, appearance])
        self.identity = np.concatenate([self.identity, identity])
        self.written = np.concatenate([self.written, written])
        self.stated = np.concatenate([self.stated, stated])
        self.is_open = np.concatenate([self.is_open, np.ones(len(keys), np.bool_)])

    def keep(self, kept: Mask) -> None:
        """Remove all other tracklets; bool (T,)."""
        self.keys = [key for key, stays in zip(self.keys, kept.tolist(), strict=True) if stays]
        self.spans, self.appearance, self.candidates = self.spans[kept], self.appearance[kept], self.candidates[kept]
        self.identity, self.written = self.identity[kept], self.written[kept]
        self.stated, self.is_open = self.stated[kept], self.is_open[kept]
        self.similarity, self.compatible = self.similarity[kept][:, kept], self.compatible[kept][:, kept]

    def summarise(self, old: Mask, now_seconds: float) -> None:
        """Keep these tracklets as summaries of their identities only; bool (T,)."""
        rows = np.flatnonzero(old)
        rows = rows[np.argsort(self.spans.last[rows], kind="stable")]
        self._known.add(self.identity[rows], self.appearance[rows], self.spans.last[rows], self.spans.end_xy[rows])
        for row in rows.tolist():
            self.candidates.take_view(int(self.identity[row]), self.similarity[:, row])
        self.keep(~old)
        self._known.forget(now_seconds, self.identity)

    def members(self, number: int) -> Rows:
        """Rows of an identity, int64 (m,)."""
        return np.flatnonzero(self.identity == number)

    def is_unused(self, number: int) -> bool:
        """Whether an identity has no tracklets, neither recent nor earlier ones."""
        return not self._known.holds(number) and not (self.identity == number).any()

    def is_movable(self, number: int) -> bool:
        """Whether all tracklets of an identity are open, so that it can become part of another one."""
        return not self._known.holds(number) and bool(self.is_open[self.identity == number].all())

    def options(self, row: int, own: int) -> tuple[Numbers, NDArray[np.float64]]:
        """The identities with which a tracklet can be compared, by rising number, int64 (L,) and float64 (L,).

        Similarities do not count the tracklet itself; FORBIDDEN are identities that time or place rule out.

        Args:
            row: of the tracklet.
            own: the identity that it has or had; what `known` holds of it was compared with the tracklet before.
        """
        candidates = self.candidates.numbers[row]  # (k,)
        numbers = np.concatenate([self.identity, np.repeat(candidates, self.candidates.views.shape[2])])
        views = np.concatenate([self.similarity[row], self.candidates.views[row].ravel()])
        usable = (numbers >= 0) & np.isfinite(views)
        ranked = rank_views(numbers[usable], views[usable])
        similarity = ranked.means()
        refusing = self.identity[~self.compatible[row]]
        refused = self._known.blocked(ranked.numbers, self.spans[[row]]) & (ranked.numbers != own)
        refused |= np.isin(ranked.numbers, refusing)
        refused |= self._away_too_long(row, ranked)
        similarity[refused] = FORBIDDEN
        return ranked.numbers, similarity

    def similarity_to(self, row: int, number: int) -> float:
        """Similarity of a tracklet to one identity, as in `options`; FORBIDDEN if there is nothing to compare."""
        numbers, similarity = self.options(row, int(self.identity[row]))
        place = int(np.searchsorted(numbers, number))
        return float(similarity[place]) if place < len(numbers) and numbers[place] == number else FORBIDDEN

    def _away_too_long(self, row: int, ranked: Ranked) -> Mask:
        """Whether each identity was last seen, or will next be seen, too long from a tracklet, bool (L,)."""
        spans, limit = self.spans, self._config.max_gap_seconds
        if spans.last.max() - spans.first.min() <= limit:
            return np.zeros(len(ranked.numbers), np.bool_)  # candidates were searched within the limit
        gap = np.maximum(spans.first[row] - spans.last, spans.first - spans.last[row])  # (T,)
        others = (self.identity >= 0) & (np.arange(len(self)) != row)
        nearest = spans.first[row] - self._known.last_seen(ranked.numbers)  # (L,)
        np.minimum.at(nearest, np.searchsorted(ranked.numbers, self.identity[others]), gap[others])
        return np.asarray(nearest > limit, np.bool_)

    def split_absences(self, next_number: int) -> int:
        """Make new identities of those who are away for longer than the limit; returns the next free number.

        They appear when the tracklet that lay between joins another identity.
        """
        spans, limit = self.spans, self._config.max_gap_seconds
        if not len(self) or spans.last.max() - spans.first.min() <= limit:
            return next_number
        order = np.lexsort((spans.first, self.identity))  # (T,)
        identity = self.identity[order]
        begins = np.diff(identity, prepend=UNDECIDED) != 0
        # Every identity has its own stretch of one long time axis, so that one running maximum serves all.
        zero = spans.first.min()
        offset = (np.cumsum(begins) - 1) * (spans.last.max() - zero + 1.0)
        seen_until = np.maximum.accumulate(spans.last[order] - zero + offset)
        gap = spans.first[order] - zero + offset - np.concatenate([[0.0], seen_until[:-1]])
        gap[begins] = (spans.first[order] - self._known.last_seen(identity))[begins]
        gap[begins & np.isinf(gap)] = 0.0
        breaks = gap > limit
        latest = np.maximum.accumulate(np.where(begins | breaks, np.arange(len(order)), 0))  # (T,)
        new = next_number + np.cumsum(breaks) - 1
        self.identity[order] = np.where(breaks[latest], new[latest], identity)
        return next_number + int(breaks.sum())

    def number_by_appearance(self, first_new: int) -> int:
        """Number the new identities from `first_new` in the order of their first seconds; returns the next free one."""
        new = np.flatnonzero(self.identity >= first_new)
        order = new[np.lexsort((new, self.spans.first[new]))]
        numbers, firsts, places = np.unique(self.identity[order], return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(firsts))  # (n,)
        self.identity[order] = first_new + rank[places]
        return first_new + len(numbers)
