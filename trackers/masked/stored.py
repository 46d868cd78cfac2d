"""Our tracker's tracks as arrays, to be stored in a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ragged import counts_of, parts, stacked
from .appearance import Views
from .motion import Motion, join
from .track import Doubt, Track

State = dict[str, NDArray[Any]]


def tracks_state(tracks: Sequence[Track]) -> State:
    """T tracks as arrays: one row per track, or for its views, fits and rivals as many rows as are counted."""
    motion, observed = join([one.motion for one in tracks]), join([one.observed for one in tracks])
    return {
        "track_id": np.array([one.track_id for one in tracks], np.int64),
        "mean": motion.mean, "covariance": motion.covariance,
        "observed_mean": observed.mean, "observed_covariance": observed.covariance,
        "span": np.array([(one.first_seconds, one.last_seconds) for one in tracks], np.float64).reshape(-1, 2),
        "xyxy": stacked([one.xyxy for one in tracks], (4,), np.float32),
        "row_boxes": np.array([(one.row, one.boxes) for one in tracks], np.int64).reshape(-1, 2),
        "fit_count": counts_of(one.fits for one in tracks),
        "fits": np.array([fit for one in tracks for fit in one.fits], np.float64).reshape(-1, 2),
    } | _views_state([one.views for one in tracks]) | _doubts_state([one.doubt for one in tracks])


def tracks_of(state: Mapping[str, NDArray[Any]]) -> list[Track]:
    """The tracks that gave a state."""
    views, doubts = _views_of(state), _doubts_of(state)
    fits = parts(state["fits"], state["fit_count"])
    span, row_boxes = state["span"].tolist(), state["row_boxes"].tolist()
    return [
        Track(
            track_id=track_id,
            motion=Motion(state["mean"][[one]], state["covariance"][[one]]),
            observed=Motion(state["observed_mean"][[one]], state["observed_covariance"][[one]]),
            first_seconds=span[one][0], last_seconds=span[one][1],
            xyxy=state["xyxy"][one],
            row=row_boxes[one][0], boxes=row_boxes[one][1],
            views=views[one],
            doubt=doubts[one],
            fits=[(seconds, fit) for seconds, fit in fits[one].tolist()],
        )
        for one, track_id in enumerate(state["track_id"].tolist())]


def _views_state(views: Sequence[Views]) -> State:
    return {
        "view_count": counts_of(one.seconds for one in views),
        "view_seconds": np.array([seconds for one in views for seconds in one.seconds], np.float64),
        "view_embedding": stacked([row for one in views for row in one.embedding], (0,), np.float32),
        "view_mask": stacked([row for one in views for row in one.mask], (0,), np.float32),
    }


def _views_of(state: Mapping[str, NDArray[Any]]) -> list[Views]:
    count = state["view_count"]
    seconds, embedding, mask = (parts(state[f"view_{name}"], count) for name in ("seconds", "embedding", "mask"))
    return [Views(one.tolist(), list(rows), list(masks)) for one, rows, masks in zip(
        seconds, embedding, mask, strict=True)]


def _doubts_state(doubts: Sequence[Doubt | None]) -> State:
    rivals = [[] if one is None else [(rival, *met) for rival, met in one.rivals.items()] for one in doubts]
    flat = [rival for of_one in rivals for rival in of_one]
    return {
        "doubt": np.array([one is not None for one in doubts], np.bool_),
        "doubt_span": np.array(
            [(0.0, 0.0) if one is None else (one.began, one.ended) for one in doubts], np.float64).reshape(-1, 2),
        "doubt_kind": np.array(
            [(False, False) if one is None else (one.newborn, one.by_appearance) for one in doubts],
            np.bool_).reshape(-1, 2),
        "rival_count": counts_of(rivals),
        "rival_id": np.array([rival for rival, _, _ in flat], np.int64),
        "rival_met": np.array([met for _, *met in flat], np.float64).reshape(-1, 2),
    }


def _doubts_of(state: Mapping[str, NDArray[Any]]) -> list[Doubt | None]:
    ids, met = parts(state["rival_id"], state["rival_count"]), parts(state["rival_met"], state["rival_count"])
    rivals = [dict(zip(own.tolist(), map(tuple, of_own.tolist()), strict=True))
              for own, of_own in zip(ids, met, strict=True)]
    spans, kinds = state["doubt_span"].tolist(), state["doubt_kind"].tolist()
    return [
        Doubt(began, ended, rivals[one], newborn, by_appearance) if state["doubt"][one] else None
        for one, ((began, ended), (newborn, by_appearance)) in enumerate(zip(spans, kinds, strict=True))]
