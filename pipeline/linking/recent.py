"""The tracklets of the last minutes, with similarities and constraints of all their pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity
from ..config.linking import LinkingConfig
from ..types import TrackKey
from .calibration import cohort_levels
from .candidates import Found, KnownIdentities
from .constraints import compatible, gap_seconds, separate_views
from .motion import motion_evidence
from .spans import Spans, joined
from .transits import SURE_ODDS, Transits
from .views import NEAREST_VIEWS, mean_of_nearest, nearest_views

KEPT_ARRAYS = ("identity", "written", "stated", "own_odds", "is_open", "similarity", "motion", "level", "compatible")
UNDECIDED = -1
FORBIDDEN = -np.inf  # log-odds of a tracklet for an identity that it cannot be

Numbers = NDArray[np.int64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[Any]  # float32 or float64


class Recent:
    """T recent tracklets, one row each, in the order in which they came.

    Attributes:
        keys: their tracks.
        spans: when and where they were seen.
        appearance: T rows.
        identity: int64 (T,), their identities; UNDECIDED without one.
        written: int64 (T,), the identities that the last links stated; UNDECIDED without a link.
        stated: bool (T,), whether the last link stated evidence.
        own_odds: float64 (T,), log-odds for the rest of the tracklet's identity when it was last compared; FORBIDDEN
            without one.
        is_open: bool (T,), whether the decision can still change.
        similarity: float32 (T, T), row to column; -inf on the diagonal.
        motion: float32 (T, T), evidence of the floor positions, see `motion_evidence`, and of the time between cameras.
        level: float32 (T,), similarity to people who surely are others, less what is usual.
        compatible: bool (T, T), whether time and place allow two tracklets to be one person; true on the diagonal.
        candidates: identities of `known` that each tracklet may be.
        transits: how long people take between cameras, as far as it has been learnt.
    """

    def __init__(self, config: LinkingConfig, known: KnownIdentities, cameras: Sequence[str], dimensions: int) -> None:
        self.mode = config.mode
        self._config, self._known = config, known
        self._separate = separate_views(cameras, config.overlaps)
        self.transits = Transits(cameras, config.transits)
        self.keys: list[TrackKey] = []
        self.spans = Spans.empty()
        self.appearance = Appearance.empty(dimensions)
        self.identity = np.zeros(0, np.int64)
        self.written = np.zeros(0, np.int64)
        self.stated = np.zeros(0, np.bool_)
        self.own_odds = np.zeros(0, np.float64)
        self.is_open = np.zeros(0, np.bool_)
        self.similarity = np.zeros((0, 0), np.float32)
        self.motion = np.zeros((0, 0), np.float32)
        self.level = np.zeros(0, np.float32)
        self.compatible = np.zeros((0, 0), np.bool_)
        self.candidates = Found.nothing(0)

    def __len__(self) -> int:
        return len(self.keys)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that is kept, as arrays; a tracklet's camera is in its span."""
        spans = {f"spans.{field.name}": getattr(self.spans, field.name) for field in fields(Spans)}
        return spans | {name: getattr(self, name) for name in KEPT_ARRAYS} | {
            **{f"transits.{name}": array for name, array in self.transits.state().items()},
            "track_ids": np.array([track_id for _, track_id in self.keys], np.int64),
            "embedding": self.appearance.embedding, "mask": self.appearance.mask,
            "candidates.numbers": self.candidates.numbers, "candidates.views": self.candidates.views}

    def restore(self, state: Mapping[str, NDArray[Any]], cameras: Sequence[str]) -> None:
        """Continue from what `state` gave; `cameras` are the names by number."""
        self.spans = Spans(*(state[f"spans.{field.name}"] for field in fields(Spans)))
        self.transits.restore({name: state[f"transits.{name}"] for name in ("own", "others")})
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
        self.spans = joined(self.spans, spans)
        self.appearance = concatenate([before, appearance])
        to_new = masked_similarity(self.appearance, appearance, mode)  # (T + N, N)
        from_new = masked_similarity(appearance, before, mode) if mode == "query" else to_new[: len(before)].T
        self.similarity = _bordered(self.similarity, to_new, from_new, FORBIDDEN)
        motion = motion_evidence(self.spans, spans)
        motion = (motion + self.transits.evidence(self.spans, spans)).astype(np.float32)
        self.motion = _bordered(self.motion, motion, motion[: len(before)].T, 0.0)
        allowed = compatible(self.spans, spans, self._config.max_speed, self._separate)
        self.compatible = _bordered(self.compatible, allowed, allowed[: len(before)].T, True)
        self.level = self._levels()
        self.candidates = self.candidates.joined(self._known.search(appearance, spans))
        self.keys += keys
        self.identity = np.concatenate([self.identity, identity])
        self.written = np.concatenate([self.written, written])
        self.stated = np.concatenate([self.stated, stated])
        self.own_odds = np.concatenate([self.own_odds, np.full(len(keys), FORBIDDEN)])
        self.is_open = np.concatenate([self.is_open, np.ones(len(keys), np.bool_)])

    def keep(self, kept: Mask) -> None:
        """Remove all other tracklets; bool (T,)."""
        self.keys = [key for key, stays in zip(self.keys, kept.tolist(), strict=True) if stays]
        self.spans, self.appearance, self.candidates = self.spans[kept], self.appearance[kept], self.candidates[kept]
        self.identity, self.written = self.identity[kept], self.written[kept]
        self.stated, self.is_open = self.stated[kept], self.is_open[kept]
        self.own_odds, self.level = self.own_odds[kept], self.level[kept]
        self.similarity, self.compatible = self.similarity[kept][:, kept], self.compatible[kept][:, kept]
        self.motion = self.motion[kept][:, kept]

    def summarise(self, old: Mask, now_seconds: float) -> None:
        """Keep these tracklets as summaries of their identities only; bool (T,)."""
        rows = np.flatnonzero(old)
        rows = rows[np.argsort(self.spans.last[rows], kind="stable")]
        if self._config.learn_transits:
            self.transits.learn(self.spans, self.identity, self.own_odds >= SURE_ODDS, rows)
        self._known.add(self.identity[rows], self.appearance[rows], self.spans.last[rows], self.spans.end_xy[rows])
        for row in rows.tolist():
            self.candidates.take_view(int(self.identity[row]), self.similarity[:, row])
        self.keep(~old)
        self._known.forget(now_seconds, self.identity)
        self.candidates.leave_out(np.isinf(self._known.last_seen(self.candidates.numbers.ravel())))

    def are_seen_enough(self) -> Mask:
        """Whether each tracklet's identity was seen for so long that it is worth a number, bool (T,)."""
        numbers, place = np.unique(self.identity, return_inverse=True)
        seconds = np.bincount(place, self.spans.last - self.spans.first, len(numbers))  # (l,)
        seconds[np.isfinite(self._known.last_seen(numbers))] = np.inf
        return np.asarray(seconds[place] >= self._config.min_seconds)

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
        """Log-odds that R tracklets are L identities, by rising number: int64 (L,) and float64 (R, L).

        FORBIDDEN are identities that time or place rule out, and those with which there is nothing to compare.
        Arguments as of `measure`.
        """
        numbers, similarity, motion = self.measure(rows, own, waived)
        return numbers, self._odds(similarity, motion)

    def measure(
        self, rows: Rows, own: Numbers, waived: Mask | None = None
    ) -> tuple[Numbers, NDArray[np.float64], NDArray[np.float64]]:
        """What speaks for R tracklets being L identities: numbers int64 (L,), similarity and motion, float64 (R, L).

        Similarity is relative to the usual level of both sides, and FORBIDDEN as in `options`; motion is the evidence
        of the identity's tracklet that is nearest in time. They do not count the tracklet itself.

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
        to_decided = self.similarity[rows[:, None], decided] - self.level[decided] / 2  # (R, d)
        views[:, place, :NEAREST_VIEWS] = nearest_views(to_decided, starts)
        row, column = np.nonzero(candidates.numbers >= 0)
        there = np.searchsorted(numbers, candidates.numbers[row, column])
        views[row, there, NEAREST_VIEWS:] = candidates.views[row, column]
        similarity = mean_of_nearest(views) - self.level[rows, None] / 2  # (R, L)
        motion = np.zeros((len(rows), len(numbers)))
        motion[:, place] = self._motion_of_nearest(rows, decided, starts)
        refused = self._known.blocked(numbers, self.spans[rows]) & (numbers != own[:, None])  # (R, L)
        clashing = ~self.compatible[rows[:, None], decided]  # (R, d)
        if waived is not None:
            clashing &= ~waived[:, decided]
        if len(starts):
            refused[:, place] |= np.logical_or.reduceat(clashing, starts, axis=1)
        refused |= self._away_too_long(rows, numbers, decided, starts, place)
        similarity[refused] = FORBIDDEN
        return numbers, similarity, motion

    def pair_odds(self, rows: Rows) -> NDArray[np.float32]:
        """Log-odds that all T tracklets are the same people as R of them, float32 (T, R); FORBIDDEN on the diagonal."""
        similarity = self.similarity[:, rows] - (self.level[:, None] + self.level[rows]) / 2
        return np.asarray(self._odds(similarity, self.motion[:, rows]), np.float32)

    def _odds(self, similarity: Floats, motion: Floats) -> Floats:
        weights = self._config.calibration
        return weights.bias + weights.similarity * similarity + weights.motion * motion

    def _levels(self) -> NDArray[np.float32]:
        if not self._config.self_calibration:
            return np.zeros(len(self.similarity), np.float32)
        usual = self._config.calibration.level
        return np.asarray(cohort_levels(self.similarity, self.compatible, usual) - usual, np.float32)

    def _motion_of_nearest(self, rows: Rows, decided: Rows, starts: Rows) -> NDArray[np.float64]:
        """Motion evidence between R tracklets and each identity's tracklet that is nearest in time, float64 (R, l)."""
        if not len(starts):
            return np.zeros((len(rows), 0))
        gap = gap_seconds(self.spans[rows], self.spans[decided])  # (R, d)
        gap[rows[:, None] == decided] = np.inf
        sizes = np.diff(starts, append=len(decided))  # (l,)
        is_nearest = gap == np.repeat(np.minimum.reduceat(gap, starts, axis=1), sizes, axis=1)  # (R, d)
        motion = np.where(np.isinf(gap), 0.0, self.motion[rows[:, None], decided])
        return np.asarray(np.maximum.reduceat(np.where(is_nearest, motion, -np.inf), starts, axis=1), np.float64)

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


def _bordered(inner: NDArray[Any], to_new: NDArray[Any], from_new: NDArray[Any], diagonal: float) -> NDArray[Any]:
    """A matrix (T, T) with columns (T + N, N) and rows (N, T) added, and with this diagonal."""
    size, before = len(to_new), len(inner)
    matrix = np.empty((size, size), inner.dtype)
    matrix[:before, :before] = inner
    matrix[:, before:] = to_new
    matrix[before:, :before] = from_new
    np.fill_diagonal(matrix, diagonal)
    return matrix
