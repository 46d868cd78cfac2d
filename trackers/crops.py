"""Choose the boxes whose appearance is worth computing, within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .protocol import TrackerSettings

BORDER_PX = 2.0  # a box this close to the frame's border is cut by it
CUT_QUALITY = 0.5  # a person cut by the border is worth half
PLAIN_VIEW = 0.7  # quality from which a view is embedded as soon as one is due
SAVED_SECONDS = 2.0  # of the budget, for moments in which many people meet


class CropChooser:
    """Chooses boxes to embed: those that decide something first, then a steady few of everybody.

    The budget is `crops_per_second` times the person-seconds that were tracked so far; it is never exceeded.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._seconds: float | None = None
        self._budget = 0.0  # crops
        self._last: dict[int, float] = {}  # by track id, when it was last embedded

    def quality(self, xyxy: NDArray[np.float32], visible: NDArray[np.float32]) -> NDArray[np.float64]:
        """How good a view of the person each box is, (N,) in [0, 1]; 0 for boxes that must not be embedded.

        Args:
            xyxy: float32 (N, 4) pixels.
            visible: float32 (N,), see `visible_shares`.
        """
        low, high = xyxy[:, :2], xyxy[:, 2:]
        useful = (visible >= self._settings.min_visible) & ((high - low)[:, 1] >= self._settings.min_height_px)
        cut = (low <= BORDER_PX).any(1)
        if self._settings.frame_wh is not None:
            cut |= (high >= np.array(self._settings.frame_wh) - BORDER_PX).any(1)
        return np.asarray(visible * useful * np.where(cut, CUT_QUALITY, 1.0), np.float64)

    def choose(
        self, seconds: float, ids: Sequence[int], quality: NDArray[np.float64], urgent: Mapping[int, float]
    ) -> NDArray[np.int64]:
        """Rows of the boxes to embed, (K,) with K <= N.

        Args:
            seconds: the frame's time.
            ids: the N tracks in it.
            quality: of their boxes, (N,), see `quality`.
            urgent: ids whose appearance decides something, and the seconds that must lie between two of their views.
        """
        step = 0.0 if self._seconds is None else seconds - self._seconds
        self._seconds = seconds
        rate = self._settings.crops_per_second
        self._budget = min(self._budget + rate * step * len(ids), max(rate * SAVED_SECONDS, 1.0) * max(len(ids), 1))
        interval = self._settings.interval_seconds
        for one in ids:  # nobody is in plain view at once: people are cut by the border when they walk in
            self._last.setdefault(one, seconds - interval / 2 if one not in urgent else -np.inf)
        waited = np.array([seconds - self._last[one] for one in ids])  # (N,)
        hurry = np.array([waited[row] >= urgent.get(one, np.inf) for row, one in enumerate(ids)], np.bool_)
        due = waited >= np.where(quality >= PLAIN_VIEW, interval, 2 * interval)
        rank = np.where(hurry & (quality >= PLAIN_VIEW), 2, due) * (quality > 0) + quality  # (N,)
        order = np.argsort(-rank, kind="stable")[: int(self._budget)]
        chosen = order[rank[order] > 1]
        self._budget -= len(chosen)
        self._last |= {ids[row]: seconds for row in chosen.tolist()}
        forgotten = seconds - 2 * interval - self._settings.lost_seconds
        self._last = {one: last for one, last in self._last.items() if last >= forgotten or one in ids}
        return chosen

    def state(self) -> dict[str, NDArray[Any]]:
        """What is left of the budget, and when tracks were last embedded, as arrays."""
        return {
            "seconds": np.array(np.nan if self._seconds is None else self._seconds),
            "budget": np.array(self._budget, np.float64),
            "last_id": np.array(list(self._last), np.int64),
            "last_seconds": np.array(list(self._last.values()), np.float64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        self._seconds = None if np.isnan(state["seconds"]) else float(state["seconds"])
        self._budget = float(state["budget"])
        self._last = dict(zip(state["last_id"].tolist(), state["last_seconds"].tolist(), strict=True))
