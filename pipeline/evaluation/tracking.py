"""How good is a run?  Tracking and identity scores against ground truth, by py-motmetrics.

Boxes are compared at IoU >= 0.5.  Only frames that the run looked at are asked for.  Truth rows that are hidden too
much are `don't care`: they are not demanded, and boxes on them are taken out before anything is counted.

MOTA and switches: Bernardin and Stiefelhagen, 2008; IDF1, IDP, IDR: Ristani et al., 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..storage.queries import analysed_frames, find_run, list_cameras, observation_rows
from ..storage.store import Store
from .ground_truth import Truth, read_truth, truth_files

if TYPE_CHECKING:
    from motmetrics import MOTAccumulator

MIN_VISIBLE = 0.3  # with less of a person in view, where the box ends is a guess
MAX_DISTANCE = 0.5  # 1 - IoU
UNMATCHABLE = 1e3  # a cost above any sum of distances in a frame

IDENTITY_METRICS = ("idf1", "idp", "idr")
TRACKING_METRICS = (
    *IDENTITY_METRICS, "mota", "num_switches", "num_misses", "num_false_positives",
    "num_frames", "num_unique_objects", "num_objects", "num_predictions")


@dataclass(frozen=True, slots=True)
class CameraScore:
    """One camera's scores; shares in [0, 1] (MOTA may be negative), None where there is nothing to divide by.

    Attributes:
        frames: how many frames were looked at.
        people, truth_boxes: how many are demanded.
        boxes: how many were compared, after those on don't-care rows were taken out.
        tracking_idf1, tracking_idp, tracking_idr: of the track ids, which live in this camera alone.
        mota, misses, false_positives: of the tracking; None with incomplete truth.
        switches: how often a person's track id changed.
        identity_idf1, identity_idp, identity_idr: of the identities, within this camera; a box without one is none.
    """

    camera: str
    frames: int
    people: int
    truth_boxes: int
    boxes: int
    tracking_idf1: float | None
    tracking_idp: float | None
    tracking_idr: float | None
    mota: float | None
    switches: int
    misses: int | None
    false_positives: int | None
    identity_idf1: float | None
    identity_idp: float | None
    identity_idr: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run's scores.

    Attributes:
        labelled_only: whether boxes that match no truth row were taken out, because the truth is incomplete.
        people: how many are demanded over all cameras.
        identities: how many identities the compared boxes have.
        cross_idf1, cross_idp, cross_idr: of the identities over all cameras at once: a person must keep one
            identity everywhere.
        without_truth: cameras that have no truth file, and are in no score.
    """

    run: int
    min_visible: float
    labelled_only: bool
    people: int
    identities: int
    cross_idf1: float | None
    cross_idp: float | None
    cross_idr: float | None
    cameras: list[CameraScore]
    without_truth: list[str]


@dataclass(frozen=True, slots=True)
class _Boxes:
    """One camera's boxes: frames, tracks, identities int64 (N,), identity 0 for none; xyxy float64 (N, 4)."""

    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    identities: NDArray[np.int64]
    xyxy: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is compared in one frame: people str (T,), tracks and identities int64 (P,), distances float64 (T, P)."""

    people: NDArray[np.str_]
    tracks: NDArray[np.int64]
    identities: NDArray[np.int64]
    distances: NDArray[np.float64]


def evaluate(
    store: Store, truth: Path, run: int | None = None, min_visible: float = MIN_VISIBLE, labelled_only: bool = False
) -> Evaluation:
    """Score a run.

    Args:
        truth: a folder with `<camera>.csv` or `<camera>.txt`, see read_truth.
        run: a run's number; the newest by default.
        min_visible: truth rows of whom a smaller share is visible are don't-care.
        labelled_only: the truth is incomplete: take out boxes that match no truth row, and give no MOTA.

    Raises:
        StoreError: there is no such run.
        ConfigError: there is no truth, or it cannot be read.
    """
    from motmetrics import MOTAccumulator

    number = find_run(store, run).run
    names = [camera.camera for camera in list_cameras(store, number)]
    files = truth_files(truth, names)
    people, identities = _Numbers(), set[int]()
    cross, frame_ids = MOTAccumulator(), count()
    scores = []
    for camera, path in files.items():
        tracking, identity = MOTAccumulator(), MOTAccumulator()
        frames = analysed_frames(store, camera, number)
        for scene in _scenes(read_truth(path, min_visible), _boxes(store, number, camera), frames, labelled_only):
            frame_id = next(frame_ids)  # every frame of every camera is one of its own
            present = [people[person] for person in scene.people.tolist()]
            named = scene.identities != 0  # (P,)
            tracking.update(present, scene.tracks, scene.distances, frame_id)
            for accumulator in (identity, cross):
                accumulator.update(present, scene.identities[named], scene.distances[:, named], frame_id)
            identities.update(scene.identities[scene.identities > 0].tolist())
        scores.append(_camera_score(camera, tracking, identity, labelled_only))
    return Evaluation(
        number, min_visible, labelled_only, len(people), len(identities),
        *_shares(_measure(cross, IDENTITY_METRICS)), scores, [name for name in names if name not in files])


class _Numbers(dict[str, int]):
    """Names to numbers, as py-motmetrics wants them."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _boxes(store: Store, run: int, camera: str) -> _Boxes:
    rows = list(observation_rows(store, run, camera))
    frames = np.array([row.frame for row in rows], np.int64)
    identities = np.array([row.identity or 0 for row in rows], np.int64)
    confidence = np.array([row.confidence for row in rows], np.float64)
    return _Boxes(
        frames, np.array([row.track for row in rows], np.int64), _once_a_frame(frames, identities, confidence),
        np.array([(row.x1, row.y1, row.x2, row.y2) for row in rows], np.float64).reshape(-1, 4))


def _once_a_frame(
    frames: NDArray[np.int64], identities: NDArray[np.int64], confidence: NDArray[np.float64]
) -> NDArray[np.int64]:
    """An identity that is twice in a frame keeps its surest box; the other becomes a stranger, and so a mistake."""
    order = np.lexsort((-confidence, identities, frames))
    again = (np.diff(frames[order], prepend=-1) == 0) & (np.diff(identities[order], prepend=-1) == 0)  # (N,)
    again &= identities[order] != 0
    distinct = identities.copy()
    distinct[order[again]] = -1 - order[again]  # negative, and no two alike
    return distinct


def _scenes(truth: Truth, boxes: _Boxes, frames: set[int], labelled_only: bool) -> Iterator[_Scene]:
    """Frame by frame, what remains to be compared."""
    truth_rows, box_rows = _rows_by_frame(truth.frames), _rows_by_frame(boxes.frames)
    nothing = np.zeros(0, np.int64)
    for frame in sorted(frames):
        wanted, given = truth_rows.get(frame, nothing), box_rows.get(frame, nothing)
        demanded = truth.demanded[wanted]  # (T,)
        distances = 1 - overlaps(truth.xyxy[wanted], boxes.xyxy[given])  # (T, P)
        seen = 1 - overlaps(truth.visible_xyxy[wanted], boxes.xyxy[given])  # (T, P)
        distances[distances > MAX_DISTANCE] = np.nan
        kept = _matched(distances[demanded])  # (P,)
        if not labelled_only:
            hidden = np.fmin(distances, seen)[~demanded]  # either box will do to excuse one
            kept |= ~(hidden <= MAX_DISTANCE).any(0)
        yield _Scene(truth.identities[wanted][demanded], boxes.tracks[given][kept], boxes.identities[given][kept],
                     distances[demanded][:, kept])


def _rows_by_frame(frames: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(frames[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)) if len(frames) else {}


def _matched(distances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool (P,): which boxes find a partner, if as many as possible shall; distances (T, P), NaN where none may."""
    rows, columns = linear_sum_assignment(np.where(np.isnan(distances), UNMATCHABLE, distances))
    matched = np.zeros(distances.shape[1], np.bool_)
    matched[columns[~np.isnan(distances[rows, columns])]] = True
    return matched


def overlaps(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union, in [0, 1]: boxes xyxy (N, 4) and (M, 4) → (N, M)."""
    top_left = np.maximum(ours[:, None, :2], theirs[None, :, :2])  # (N, M, 2)
    bottom_right = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])  # (N, M, 2)
    shared = (bottom_right - top_left).clip(0).prod(2)  # (N, M)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) for boxes in (ours, theirs)]
    union = areas[0][:, None] + areas[1][None] - shared  # (N, M)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float64)


def _camera_score(
    camera: str, tracking: MOTAccumulator, identity: MOTAccumulator, labelled_only: bool
) -> CameraScore:
    tracks, names = _measure(tracking, TRACKING_METRICS), _measure(identity, IDENTITY_METRICS)
    complete = not labelled_only
    return CameraScore(
        camera, int(tracks["num_frames"]), int(tracks["num_unique_objects"]), int(tracks["num_objects"]),
        int(tracks["num_predictions"]), *_shares(tracks),
        _defined(tracks["mota"]) if complete else None, int(tracks["num_switches"]),
        int(tracks["num_misses"]) if complete else None,
        int(tracks["num_false_positives"]) if complete else None,
        *_shares(names))


def _measure(accumulator: MOTAccumulator, metrics: Sequence[str]) -> dict[str, float]:
    from motmetrics import metrics as motmetrics

    return dict(motmetrics.create().compute(accumulator, metrics=list(metrics), return_dataframe=False))


def _shares(measured: dict[str, float]) -> tuple[float | None, float | None, float | None]:
    """IDF1, IDP, IDR."""
    return _defined(measured["idf1"]), _defined(measured["idp"]), _defined(measured["idr"])


def _defined(value: float) -> float | None:
    """None for what a division by zero gave."""
    return float(value) if math.isfinite(value) else None
