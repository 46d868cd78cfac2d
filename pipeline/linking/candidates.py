"""Identities that can still come back: a bounded summary of each, and the search for those that a tracklet may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, masked_similarity
from ..config.linking import LinkingConfig
from .evidence.constraints import reachable
from .evidence.spans import Spans
from .evidence.views import NEAREST_VIEWS, mean_of_nearest, nearest_views

if TYPE_CHECKING:
    from ...reid.search.candidates import Candidates

MOST_VIEWS = 8  # representative appearances kept per identity; of the two most similar, the older one goes
CANDIDATES = 8  # identities that a tracklet may become, besides those of other recent tracklets
SEARCHED_ROWS = 64  # nearest rows from which the candidates are taken
EXACT_ROWS = 4096  # with more rows, an index finds the nearest ones
DEAD_SHARE = 0.5  # of the rows; with more, they are removed and the index is built anew
INDEX_GROWTH = 4  # an index is trained again when its rows have multiplied by this
INDEX_ROWS = 16384  # rows that are added to an index at once


@dataclass(frozen=True, slots=True)
class Found:
    """The most similar identities of N tracklets, k each.

    Attributes:
        numbers: int64 (N, k), -1 where there are fewer.
        views: float64 (N, k, NEAREST_VIEWS), the highest similarities; NaN where there are fewer.
    """

    numbers: NDArray[np.int64]
    views: NDArray[np.float64]

    @classmethod
    def nothing(cls, count: int) -> Found:
        """No candidates for N tracklets."""
        return cls(np.full((count, CANDIDATES), -1, np.int64), np.full((count, CANDIDATES, NEAREST_VIEWS), np.nan))

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Found:
        return Found(self.numbers[rows], self.views[rows])

    def joined(self, other: Found) -> Found:
        """These N tracklets and M others, (N + M)."""
        return Found(np.concatenate([self.numbers, other.numbers]), np.concatenate([self.views, other.views]))

    def take_view(self, number: int, similarity: NDArray[np.floating]) -> None:
        """Count one more view of an identity, whose similarities to the tracklets are float (N,)."""
        own = self.numbers == number  # (N, k)
        with_it = own.any(1)
        rows = np.flatnonzero(with_it)
        views = np.concatenate([self.views[rows, own[rows].argmax(1)], similarity[rows, None]], 1)  # (n, views + 1)
        self.views[rows, own[rows].argmax(1)] = -np.sort(-views, axis=1)[:, :NEAREST_VIEWS]  # NaN comes last
        best = np.where(self.numbers < 0, -np.inf, self.views[:, :, 0])  # (N, k)
        worst = best.argmin(1)
        rows = np.flatnonzero(~with_it & (similarity > best[np.arange(len(best)), worst]))
        self.numbers[rows, worst[rows]] = number
        self.views[rows, worst[rows]] = np.nan
        self.views[rows, worst[rows], 0] = similarity[rows]

    def leave_out(self, gone: NDArray[np.bool_]) -> None:
        """Remove candidates, bool (N · k,), such as identities that are forgotten."""
        places = gone.reshape(self.numbers.shape)
        self.numbers[places] = -1
        self.views[places] = np.nan


class KnownIdentities:
    """What is kept of identities whose tracklets are final and no longer recent.

    Memory is bounded by how many people can still come back: each has at most `MOST_VIEWS` rows in half precision.
    """

    def __init__(self, config: LinkingConfig, dimensions: int) -> None:
        self._config = config
        # The first identity is nobody's, so that no array is ever empty: it was last seen too long ago to come back.
        self._numbers = np.array([-1])  # (A,), rising
        self._last_seconds = np.array([-np.inf])  # (A,)
        self._last_xy = np.full((1, 2), np.nan, np.float32)  # (A, 2), metres; NaN where unknown
        self._owner = np.array([-1])  # (R,), number of each row's identity; -1 if the row is dead
        self._embedding = np.eye(1, dimensions, dtype=np.float16)  # (R, D)
        self._mask = np.ones((1, dimensions), np.float16)  # (R, D)
        self._trained_rows = 0  # how many rows the index was trained on; 0 without one
        self._index: Candidates | None = None
        self._all_rows: Appearance | None = None  # in single precision, while they are few

    def __len__(self) -> int:
        return len(self._numbers) - 1

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that is kept, as arrays; the index is built again from them."""
        return {
            "numbers": self._numbers, "last_seconds": self._last_seconds, "last_xy": self._last_xy,
            "owner": self._owner, "embedding": self._embedding, "mask": self._mask,
            "trained_rows": np.array(self._trained_rows)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        self._numbers, self._last_seconds = state["numbers"], state["last_seconds"].copy()
        self._last_xy, self._owner = state["last_xy"].copy(), state["owner"].copy()
        self._embedding, self._mask = state["embedding"], state["mask"]
        self._trained_rows = int(state["trained_rows"])
        self._index, self._all_rows = None, None

    def holds(self, number: int) -> bool:
        """Whether an identity is kept here."""
        return bool(self._places(np.array([number]))[1][0])

    def last_seen(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Last seconds of any identities, float64 (L,); -inf for those that are not kept here."""
        place, known = self._places(numbers)
        return np.where(known, self._last_seconds[place], -np.inf)

    def blocked(self, numbers: NDArray[np.int64], spans: Spans) -> NDArray[np.bool_]:
        """Whether L identities cannot be N tracklets, as far as their last presence kept here shows, bool (N, L).

        Whoever began before that presence ended is refused, because what else happened then is not known any more.

        Args:
            numbers: int64 (L,), of any identities.
            spans: of N tracklets.
        """
        place, known = self._places(numbers)
        seconds = spans.first[:, None] - self._last_seconds[place]  # (N, L)
        reached = reachable(seconds, spans.start_xy[:, None], self._last_xy[place], self._config.max_speed)
        return np.asarray(known & ((seconds <= 0) | ~reached), np.bool_)

    def views(self, number: int) -> Appearance:
        """The representative appearances of an identity, at most `MOST_VIEWS` rows."""
        return self._rows(np.flatnonzero(self._owner == number))

    def add(
        self,
        numbers: NDArray[np.int64],
        appearance: Appearance,
        last_seconds: NDArray[np.float64],
        last_xy: NDArray[np.float32],
    ) -> None:
        """Add N final tracklets, in the order in which they ended.

        Args:
            numbers: int64 (N,), their identities.
            appearance: N rows.
            last_seconds: float64 (N,).
            last_xy: float32 (N, 2), metres; NaN where unknown.
        """
        new = np.setdiff1d(numbers, self._numbers)  # (n,)
        place = np.searchsorted(self._numbers, new)
        self._numbers = np.insert(self._numbers, place, new)
        self._last_seconds = np.insert(self._last_seconds, place, -np.inf)
        self._last_xy = np.insert(self._last_xy, place, np.float32(np.nan), axis=0)
        rows = np.arange(len(self._owner), len(self._owner) + len(numbers))
        self._all_rows = None
        self._owner = np.concatenate([self._owner, numbers])
        self._embedding = np.concatenate([self._embedding, appearance.embedding.astype(np.float16)])
        self._mask = np.concatenate([self._mask, appearance.mask.astype(np.float16)])
        for row, number, own, seconds in zip(
            rows, numbers, np.searchsorted(self._numbers, numbers), last_seconds, strict=True
        ):
            if seconds >= self._last_seconds[own]:
                self._last_seconds[own], self._last_xy[own] = seconds, last_xy[row - rows[0]]
            self._leave_out_a_view(int(number), int(row))

    def forget(self, now_seconds: float, needed: NDArray[np.int64]) -> None:
        """Remove who cannot come back any more, except for `needed` identities, int64 (L,)."""
        kept = now_seconds - self._last_seconds <= self._config.max_gap_seconds
        kept |= np.isin(self._numbers, needed)
        kept[0] = True
        gone = self._numbers[~kept]
        self._numbers, self._last_seconds = self._numbers[kept], self._last_seconds[kept]
        self._last_xy = self._last_xy[kept]
        self._owner[np.isin(self._owner, gone)] = -1
        dead = self._owner < 0
        if dead.mean() > DEAD_SHARE and dead.sum() > 1:
            dead[0] = False
            self._owner, self._embedding, self._mask = self._owner[~dead], self._embedding[~dead], self._mask[~dead]
            self._all_rows, self._index, self._trained_rows = None, None, 0

    def search(self, query: Appearance, spans: Spans) -> Found:
        """The most similar identities that N tracklets can be, by time and place; `query` has N rows."""
        found = Found.nothing(len(query))
        if not len(self):
            return found
        by_index = self._config.mode == "joint" and len(self._owner) > EXACT_ROWS
        similarity, rows = self._by_index(query) if by_index else self._by_matrices(query)  # (N, C), (N, C)
        place = np.searchsorted(self._numbers, self._owner[rows])
        seconds = spans.first[:, None] - self._last_seconds[place]
        possible = (seconds > 0) & (seconds <= self._config.max_gap_seconds)
        possible &= reachable(seconds, spans.start_xy[:, None], self._last_xy[place], self._config.max_speed)
        for one, usable in enumerate(possible):
            owner = self._owner[rows[one, usable]]
            if not len(owner):
                continue
            order = np.argsort(owner, kind="stable")
            starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
            views = nearest_views(similarity[one, usable][None, order], starts)[0]  # (L, NEAREST_VIEWS)
            best = np.argsort(-mean_of_nearest(views), kind="stable")[:CANDIDATES]
            found.numbers[one, : len(best)] = owner[order][starts][best]
            found.views[one, : len(best)] = views[best]
        return found

    def _places(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        place = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        return place, self._numbers[place] == numbers

    def _rows(self, rows: NDArray[np.int64]) -> Appearance:
        embedding = self._embedding[rows].astype(np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)  # half precision also rounds the length
        return Appearance(embedding, self._mask[rows].astype(np.float32))

    def _leave_out_a_view(self, number: int, new: int) -> None:
        """Keep views that differ: of too many, one of the two most similar goes, the older one."""
        rows = np.flatnonzero(self._owner[: new + 1] == number)
        if len(rows) <= MOST_VIEWS:
            return
        views = self._rows(rows)
        similarity = np.triu(masked_similarity(views, views, "joint") + 2.0, 1)  # above 0 for pairs
        self._owner[rows[int(similarity.argmax()) // len(rows)]] = -1

    def _by_matrices(self, query: Appearance) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Similarity to all rows, and their numbers, (N, R) each."""
        if self._all_rows is None:
            self._all_rows = self._rows(np.arange(len(self._owner)))
        similarity = masked_similarity(query, self._all_rows, self._config.mode)
        return similarity, np.broadcast_to(np.arange(len(self._owner)), similarity.shape)

    def _by_index(self, query: Appearance) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The nearest rows by an index over all rows, with their similarities, (N, C) each."""
        rows = self._indexed().search(query.embedding, _largest_is_one(query.mask), SEARCHED_ROWS)  # (N, C)
        rows = np.maximum(rows, 0)  # fewer were found; the first row is nobody's
        similarity = [masked_similarity(query[[one]], self._rows(own), "joint") for one, own in enumerate(rows)]
        return np.concatenate(similarity), rows

    def _indexed(self) -> Candidates:
        """The index with all rows. What it was trained on depends on the rows and their number only."""
        from ...reid.search.candidates import SAMPLE_ROWS, Candidates

        if not self._trained_rows or len(self._owner) > INDEX_GROWTH * self._trained_rows:
            self._trained_rows, self._index = len(self._owner), None
        if self._index is None:
            sample = self._rows(np.arange(0, self._trained_rows, math.ceil(self._trained_rows / SAMPLE_ROWS)))
            self._index = Candidates(sample.embedding, _largest_is_one(sample.mask))
        while self._index.size < len(self._owner):
            new = self._rows(np.arange(self._index.size, min(self._index.size + INDEX_ROWS, len(self._owner))))
            self._index.add(new.embedding, _largest_is_one(new.mask))
        return self._index


def _largest_is_one(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale every mask to a maximum of 1, as the index expects it; float32 (N, D)."""
    return np.asarray(mask / np.maximum(mask.max(1, keepdims=True), np.finfo(np.float32).tiny), np.float32)
