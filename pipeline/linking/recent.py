"""The tracklets of the last minutes, with similarities and constraints of all their pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity
from ..config.schema import LinkingConfig
from ..types import TrackKey
from .candidates import Found, KnownIdentities
from .constraints import compatible, gap_seconds
from .spans import Spans, joined
from .views import NEAREST_VIEWS, mean_of_nearest, nearest_views

KEPT_ARRAYS = ("identity", "written", "stated", "own_similarity", "is_open", "similarity", "compatible")
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
        own_similarity: float64 (T,), to the rest of the tracklet's identity when it was last compared; FORBIDDEN
            without one.
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
        self.own_similarity = np.zeros(0, np.float64)
        self.is_open = np.zeros(0, np.bool_)
        self.similarity = np.zeros((0, 0), np.float32)
        self.compatible = np.zeros((0, 0), np.bool_)
        self.candidates = Found.nothing(0)

    def __len__(self) -> int:
        return len(self.keys)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that is kept, as arrays; a tracklet's camera is in its span."""
        spans = {f"spans.{field.name}": getattr(self.spans, field.name) for field in fields(Spans)}
        return spans | {name: getattr(self, name) for name in KEPT_ARRAYS} | {
            "track_ids": np.array([track_id for _, track_id in self.keys], np.int64),
            "embedding": self.appearance.embedding, "mask": self.appearance.mask,
            "candidates.numbers": self.candidates.numbers, "candidates.views": self.candidates.views}

    def restore(self, state: Mapping[str, NDArray[Any]], cameras: Sequence[str]) -> None:
        """Continue from what `state` gave; `cameras` are the names by number."""
        self.spans = Spans(*(state[f"spans.{field.name}"] for field in fields(Spans)))
        for name in KEPT_ARRAYS:
            setattr(self, name, state[name].copy())
        track_ids, numbers = state["track_ids"].tolist(), self.spans.camera.tolist()
        self.keys = [(cameras[number], track_id) for number, track_id in zip(numbers, track_ids, strict=True)]
        self.appearance = Appearance(state["embedding"], state["mask"])
        self.candidates = Found(state["candidates.numbers"].copy(), state["candidates.views"].copy())

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
        self.own_similarity = np.concatenate([self.own_similarity, np.full(len(keys), FORBIDDEN)])
        self.is_open = np.concatenate([self.is_open, np.ones(len(keys), np.bool_)])

    def keep(self, kept: Mask) -> None:
        """Remove all other tracklets; bool (T,)."""
        self.keys = [key for key, stays in zip(self.keys, kept.tolist(), strict=True) if stays]
        self.spans, self.appearance, self.candidates = self.spans[kept], self.appearance[kept], self.candidates[kept]
        self.identity, self.written = self.identity[kept], self.written[kept]
        self.stated, self.is_open = self.stated[kept], self.is_open[kept]
        self.own_similarity = self.own_similarity[kept]
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
        self.candidates.leave_out(np.isinf(self._known.last_seen(self.candidates.numbers.ravel())))

    def members(self, number: int) -> Rows:
        """Rows of an identity, int64 (m,)."""
        return np.flatnonzero(self.identity == number)

    def is_unused(self, number: int) -> bool:
        """Whether an identity has no tracklets, neither recent nor earlier ones."""
        return not self._known.holds(number) and not (self.identity == number).any()

    def is_movable(self, number: int) -> bool:
        """Whether all tracklets of an identity are open, so that it can become part of another one."""
        return not self._known.holds(number) and bool(self.is_open[self.identity == number].all())

    def options(self, rows: Rows, own: Numbers, waived: Mask | None = None) -> tuple[Numbers, NDArray[np.float64]]:
        """Similarity of R tracklets to L identities, by rising number, int64 (L,) and float64 (R, L).

        Similarities do not count the tracklet itself. FORBIDDEN are identities that time or place rule out, and those
        with which there is nothing to compare.

        Args:
            rows: int64 (R,).
            own: int64 (R,), the identities that they have or had; what `known` holds of these was compared with the
                tracklets before.
            waived: bool (R, T), whose presence rules out nothing.
        """
        decided = np.flatnonzero(self.identity != UNDECIDED)
        decided = decided[np.argsort(self.identity[decided], kind="stable")]  # (d,), by identity
        identity = self.identity[decided]
        starts = np.flatnonzero(np.diff(identity, prepend=UNDECIDED))  # (l,)
        candidates = self.candidates[rows]
        numbers = np.union1d(identity[starts], candidates.numbers[candidates.numbers >= 0])  # (L,)
        views = np.full((len(rows), len(numbers), 2 * NEAREST_VIEWS), np.nan)
        place = np.searchsorted(numbers, identity[starts])  # (l,)
        views[:, place, :NEAREST_VIEWS] = nearest_views(self.similarity[rows[:, None], decided], starts)
        row, column = np.nonzero(candidates.numbers >= 0)
        there = np.searchsorted(numbers, candidates.numbers[row, column])
        views[row, there, NEAREST_VIEWS:] = candidates.views[row, column]
        similarity = mean_of_nearest(views)
        refused = self._known.blocked(numbers, self.spans[rows]) & (numbers != own[:, None])  # (R, L)
        clashing = ~self.compatible[rows[:, None], decided]  # (R, d)
        if waived is not None:
            clashing &= ~waived[:, decided]
        if len(starts):
            refused[:, place] |= np.logical_or.reduceat(clashing, starts, axis=1)
        refused |= self._away_too_long(rows, numbers, decided, starts, place)
        similarity[refused] = FORBIDDEN
        return numbers, similarity

    def _away_too_long(
        self, rows: Rows, numbers: Numbers, decided: Rows, starts: Rows, place: Rows
    ) -> Mask:
        """Whether each identity was last seen, or will next be seen, too long from a tracklet, bool (R, L)."""
        spans, limit = self.spans, self._config.max_gap_seconds
        if self._is_within(limit, numbers):
            return np.zeros((len(rows), len(numbers)), np.bool_)
        gap = gap_seconds(spans[rows], spans[decided])  # (R, d)
        gap[rows[:, None] == decided] = np.inf
        nearest = spans.first[rows, None] - self._known.last_seen(numbers)  # (R, L)
        if len(starts):
            nearest[:, place] = np.minimum(nearest[:, place], np.minimum.reduceat(gap, starts, axis=1))
        return np.asarray(nearest > limit, np.bool_)

    def _is_within(self, limit_seconds: float, numbers: Numbers) -> bool:
        """Whether no absence can be too long: of the recent tracklets, and since these identities were seen before."""
        seen = self._known.last_seen(numbers)
        earliest = min(self.spans.first.min(), seen[np.isfinite(seen)].min(initial=np.inf))
        return bool(self.spans.last.max() - earliest <= limit_seconds)

    def split_absences(self, next_number: int) -> int:
        """Make new identities of those who are away for longer than the limit; returns the next free number.

        They appear when the tracklet that lay between joins another identity.
        """
        spans, limit = self.spans, self._config.max_gap_seconds
        if not len(self) or self._is_within(limit, self.identity):
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
