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
from .absences import numbered_by_appearance, split_absences
from .candidates import Found, KnownIdentities
from .evidence.calibration import cohort_levels
from .evidence.constraints import compatible, gap_seconds, separate_views
from .evidence.motion import motion_evidence
from .evidence.spans import Spans, joined
from .evidence.transits import SURE, Transits
from .evidence.views import NEAREST_VIEWS, mean_of_nearest, nearest_views

KEPT_ARRAYS = (
    "sure_seconds", "identity", "written", "probability", "is_open", "similarity", "motion", "level", "compatible")
UNDECIDED = -1
FORBIDDEN = -np.inf  # log-odds of a tracklet for an identity that it cannot be
WEIGHED_SECONDS = 0.25, 60.0  # tracklets count by the root of their duration, which is at least and at most so long
SUMMARY_SECONDS = 10.0  # for how long a view of an identity in summary is taken to have been seen

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
        sure_seconds: float64 (T,), how long each surely shows a person; 0 if its mean confidence is too low.
        identity: int64 (T,), their identities; UNDECIDED without one.
        written: int64 (T,), the identities that the last links stated; UNDECIDED without a link.
        probability: float64 (T,), that the last link stated; NaN without.
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
        self.sure_seconds = np.zeros(0, np.float64)
        self.identity = np.zeros(0, np.int64)
        self.written = np.zeros(0, np.int64)
        self.probability = np.zeros(0, np.float64)
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
        sure_seconds: NDArray[np.float64],
        identity: Numbers,
        written: Numbers,
        probability: NDArray[np.float64],
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
        self.sure_seconds = np.concatenate([self.sure_seconds, sure_seconds])
        self.identity = np.concatenate([self.identity, identity])
        self.written = np.concatenate([self.written, written])
        self.probability = np.concatenate([self.probability, probability])
        self.is_open = np.concatenate([self.is_open, np.ones(len(keys), np.bool_)])

    def keep(self, kept: Mask) -> None:
        """Remove all other tracklets; bool (T,)."""
        self.keys = [key for key, stays in zip(self.keys, kept.tolist(), strict=True) if stays]
        self.spans, self.appearance, self.candidates = self.spans[kept], self.appearance[kept], self.candidates[kept]
        self.sure_seconds = self.sure_seconds[kept]
        self.identity, self.written = self.identity[kept], self.written[kept]
        self.probability, self.is_open = self.probability[kept], self.is_open[kept]
        self.level = self.level[kept]
        self.similarity, self.compatible = self.similarity[kept][:, kept], self.compatible[kept][:, kept]
        self.motion = self.motion[kept][:, kept]

    def summarise(self, old: Mask, now_seconds: float) -> None:
        """Keep these tracklets as summaries of their identities only; bool (T,)."""
        rows = np.flatnonzero(old)
        rows = rows[np.argsort(self.spans.last[rows], kind="stable")]
        if self._config.learn_transits:
            self.transits.learn(self.spans, self.identity, self.probability >= SURE, rows)
        self._known.add(self.identity[rows], self.appearance[rows], self.spans.last[rows], self.spans.end_xy[rows])
        for row in rows.tolist():
            self.candidates.take_view(int(self.identity[row]), self.similarity[:, row])
        self.keep(~old)
        self._known.forget(now_seconds, self.identity)
        self.candidates.leave_out(np.isinf(self._known.last_seen(self.candidates.numbers.ravel())))

    def are_seen_enough(self) -> Mask:
        """Whether each tracklet's identity surely was a person for so long that it is worth a number, bool (T,)."""
        numbers, place = np.unique(self.identity, return_inverse=True)
        seconds = np.bincount(place, self.sure_seconds, len(numbers))  # (l,)
        seconds[np.isfinite(self._known.last_seen(numbers))] = np.inf
        return np.asarray(seconds[place] >= self._config.min_seconds)

    def members(self, number: int) -> Rows:
        """Rows of an identity, int64 (m,)."""
        return np.flatnonzero(self.identity == number)

    def are_known(self, numbers: Numbers) -> Mask:
        """Whether each of L identities has tracklets in summary, bool (L,)."""
        return np.isfinite(self._known.last_seen(numbers))

    def options(self, rows: Rows, own: Numbers) -> tuple[Numbers, NDArray[np.float64]]:
        """Log-odds that R tracklets are L identities, by rising number: int64 (L,) and float64 (R, L).

        FORBIDDEN are identities that time or place rule out, and those with which there is nothing to compare.
        Arguments as of `measure`.
        """
        numbers, similarity, motion = self.measure(rows, own)
        return numbers, self._odds(similarity, motion)

    def measure(self, rows: Rows, own: Numbers) -> tuple[Numbers, NDArray[np.float64], NDArray[np.float64]]:
        """What speaks for R tracklets being L identities: numbers int64 (L,), similarity and motion, float64 (R, L).

        Similarity is relative to the usual level of both sides, and FORBIDDEN as in `options`; motion is the evidence
        of the identity's tracklet that is nearest in time. They do not count the tracklet itself.

        Args:
            rows: int64 (R,).
            own: int64 (R,), the identities that they have or had; what `known` holds of these was compared with the
                tracklets before.
        """
        decided, starts = self._by_identity()
        identity = self.identity[decided]
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
        refused = self._refused(rows, numbers, own)  # (R, L)
        if len(starts):
            refused[:, place] |= np.logical_or.reduceat(~self.compatible[rows[:, None], decided], starts, axis=1)
        similarity[refused] = FORBIDDEN
        return numbers, similarity, motion

    def pair_gains(self, rows: Rows, threshold: float) -> tuple[Floats, Mask]:
        """What R tracklets gain by being one person with each of all T, and whether they cannot be, (R, T) each.

        Gains are log-odds beyond a threshold, weighed by the durations of both; NaN if there is nothing to compare.
        """
        mutual = (self.similarity[rows] + self.similarity[:, rows].T) / 2  # (R, T)
        odds = self._odds(mutual - (self.level[rows, None] + self.level) / 2, self.motion[rows])
        weight = self._weights()
        clash = ~self.compatible[rows]
        gain = np.where(clash | np.isinf(odds), np.nan, (odds - threshold) * weight[rows, None] * weight)
        return gain.astype(np.float32), clash

    def known_gains(self, rows: Rows, threshold: float) -> tuple[Numbers, NDArray[np.float64], Mask]:
        """All identities that R tracklets have or may become, and what they gain by what is kept of these in summary.

        Returns:
            Numbers, int64 (K,), rising; gains as of `pair_gains`, float64 (R, K, NEAREST_VIEWS); and which identities
            are ruled out by their summary or absence, or cannot be compared, bool (R, K).
        """
        decided, starts = self._by_identity()
        present = self.identity[decided[starts]]  # (l,)
        candidates = self.candidates[rows]  # (R, k)
        odds = self._odds(candidates.views - self.level[rows, None, None] / 2, 0.0)  # (R, k, NEAREST_VIEWS)
        gained = (odds - threshold) * self._weights()[rows, None, None] * SUMMARY_SECONDS**0.5
        useful = (candidates.numbers >= 0) & (gained > 0).any(-1)  # (R, k)
        numbers = np.union1d(present, candidates.numbers[useful])  # (K,)
        gain = np.full((len(rows), len(numbers), NEAREST_VIEWS), np.nan)
        comparable = np.isin(numbers, present) & np.ones((len(rows), 1), np.bool_)  # (R, K)
        row, place = np.nonzero(np.isin(candidates.numbers, numbers))
        column = np.searchsorted(numbers, candidates.numbers[row, place])
        gain[row, column], comparable[row, column] = gained[row, place], True
        return numbers, gain, self._refused(rows, numbers, self.identity[rows]) | ~comparable

    def _weights(self) -> NDArray[np.float64]:
        """What tracklets count, float64 (T,)."""
        return np.asarray(np.sqrt((self.spans.last - self.spans.first).clip(*WEIGHED_SECONDS)), np.float64)

    def _by_identity(self) -> tuple[Rows, Rows]:
        """Decided tracklets by identity, int64 (d,), and where each identity begins among them, int64 (l,)."""
        decided = np.flatnonzero(self.identity != UNDECIDED)
        decided = decided[np.argsort(self.identity[decided], kind="stable")]
        return decided, np.flatnonzero(np.diff(self.identity[decided], prepend=UNDECIDED))

    def _refused(self, rows: Rows, numbers: Numbers, own: Numbers) -> Mask:
        """Which of L identities R tracklets cannot be, by their summaries or absence, bool (R, L)."""
        blocked = self._known.blocked(numbers, self.spans[rows]) & (numbers != own[:, None])
        return np.asarray(blocked | self._away_too_long(rows, numbers), np.bool_)

    def _odds(self, similarity: Floats, motion: Floats | float) -> Floats:
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

    def _away_too_long(self, rows: Rows, numbers: Numbers) -> Mask:
        """Whether each identity was last seen, or will next be seen, too long from a tracklet, bool (R, L)."""
        spans, limit = self.spans, self._config.max_gap_seconds
        if self._is_within(limit, numbers):
            return np.zeros((len(rows), len(numbers)), np.bool_)
        decided, starts = self._by_identity()
        gap = gap_seconds(spans[rows], spans[decided])  # (R, d)
        gap[rows[:, None] == decided] = np.inf
        nearest = spans.first[rows, None] - self._known.last_seen(numbers)  # (R, L)
        if len(starts):
            place = np.searchsorted(numbers, self.identity[decided[starts]])
            nearest[:, place] = np.minimum(nearest[:, place], np.minimum.reduceat(gap, starts, axis=1))
        return np.asarray(nearest > limit, np.bool_)

    def _is_within(self, limit_seconds: float, numbers: Numbers) -> bool:
        """Whether no absence can be too long: of the recent tracklets, and since these identities were seen before."""
        seen = self._known.last_seen(numbers)
        earliest = min(self.spans.first.min(), seen[np.isfinite(seen)].min(initial=np.inf))
        return bool(self.spans.last.max() - earliest <= limit_seconds)

    def split_absences(self, next_number: int) -> int:
        """Make new identities of those who are away for longer than the limit; returns the next free number."""
        limit = self._config.max_gap_seconds
        if not len(self) or self._is_within(limit, self.identity):
            return next_number
        last_seen = self._known.last_seen(self.identity)
        self.identity, next_number = split_absences(self.spans, self.identity, last_seen, limit, next_number)
        return next_number

    def number_by_appearance(self, first_new: int) -> int:
        """Number the new identities from `first_new` in the order of their first seconds; returns the next free one."""
        self.identity, next_number = numbered_by_appearance(self.spans, self.identity, first_new)
        return next_number


def _bordered(inner: NDArray[Any], to_new: NDArray[Any], from_new: NDArray[Any], diagonal: float) -> NDArray[Any]:
    """A matrix (T, T) with columns (T + N, N) and rows (N, T) added, and with this diagonal."""
    size, before = len(to_new), len(inner)
    matrix = np.empty((size, size), inner.dtype)
    matrix[:before, :before] = inner
    matrix[:, before:] = to_new
    matrix[before:, :before] = from_new
    np.fill_diagonal(matrix, diagonal)
    return matrix
