"""Score a run's tracks and identities against ground truth, with py-motmetrics.

Boxes match at IoU >= 0.5.  Only frames that the run analysed are counted.  Ground truth under 30 % visibility is
ignored: it is not counted, and detections on it are removed before scoring.

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
import supervision as sv
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..storage.queries import analysed_frames, find_run, list_cameras, observation_rows
from ..storage.store import Store
from .ground_truth import Truth, read_truth, truth_files

if TYPE_CHECKING:
    from motmetrics import MOTAccumulator

MIN_VISIBLE = 0.3  # with less of a person visible, the extent of the box is a guess
MAX_DISTANCE = 0.5  # 1 - IoU
UNMATCHABLE = 1e3  # above any sum of distances in a frame

IDENTITY_METRICS = ("idf1", "idp", "idr")
TRACKING_METRICS = (
    *IDENTITY_METRICS, "mota", "num_switches", "num_misses", "num_false_positives",
    "num_frames", "num_unique_objects", "num_objects", "num_predictions")


@dataclass(frozen=True, slots=True)
class CameraScore:
    """One camera's scores, in [0, 1] (MOTA may be negative); None where the denominator is 0.

    Attributes:
        frames: number of analysed frames.
        people, truth_boxes: counted identities and boxes of the ground truth.
        boxes: detections that were scored, without those on ignored ground truth.
        tracking_idf1, tracking_idp, tracking_idr: of the track ids, which are local to this camera.
        mota, misses, false_positives: of the tracks; None if the ground truth is incomplete.
        switches: how often the track id of a person changed.
        identity_idf1, identity_idp, identity_idr: of the identities within this camera; boxes without one are left out.
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
        labelled_only: whether boxes that match no ground truth were removed, because it is incomplete.
        people: counted identities of the ground truth over all cameras.
        identities: number of identities among the scored boxes.
        cross_idf1, cross_idp, cross_idr: of the identities over all cameras at once: a person must keep one
            identity everywhere.
        without_truth: cameras without a ground truth file; they are in no score.
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
    """One camera's detections: frames, tracks, identities int64 (N,), identity 0 for none; xyxy float64 (N, 4)."""

    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    identities: NDArray[np.int64]
    xyxy: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is scored in one frame: people str (T,), tracks and identities int64 (P,), distances float64 (T, P)."""

    people: NDArray[np.str_]
    tracks: NDArray[np.int64]
    identities: NDArray[np.int64]
    distances: NDArray[np.float64]


def evaluate_run(
    store: Store, truth: Path, run: int | None = None, min_visible: float = MIN_VISIBLE, labelled_only: bool = False
) -> Evaluation:
    """Score a run.

    Args:
        truth: a folder with `<camera>.csv` or `<camera>.txt`, see read_truth.
        run: number of the run; the newest by default.
        min_visible: ground truth with a smaller visible share is ignored.
        labelled_only: the ground truth is incomplete: remove boxes that match none of it, and compute no MOTA.

    Raises:
        StoreError: there is no such run.
        ConfigError: there is no ground truth, or it cannot be read.
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
            frame_id = next(frame_ids)  # unique over all cameras
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
    """Consecutive numbers for names, as py-motmetrics needs them."""

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
    """Keep an identity's most confident box per frame; its other boxes get ids of their own, and so are errors."""
    order = np.lexsort((-confidence, identities, frames))
    again = (np.diff(frames[order], prepend=-1) == 0) & (np.diff(identities[order], prepend=-1) == 0)  # (N,)
    again &= identities[order] != 0
    distinct = identities.copy()
    distinct[order[again]] = -1 - order[again]  # negative and unique
    return distinct


def _scenes(truth: Truth, boxes: _Boxes, frames: set[int], labelled_only: bool) -> Iterator[_Scene]:
    """What remains to be scored, frame by frame."""
    truth_rows, box_rows = _rows_by_frame(truth.frames), _rows_by_frame(boxes.frames)
    nothing = np.zeros(0, np.int64)
    for frame in sorted(frames):
        expected, found = truth_rows.get(frame, nothing), box_rows.get(frame, nothing)
        counted = truth.counted[expected]  # (T,)
        distances = 1 - box_iou(truth.xyxy[expected], boxes.xyxy[found])  # (T, P)
        visible_distances = 1 - box_iou(truth.visible_xyxy[expected], boxes.xyxy[found])  # (T, P)
        distances[distances > MAX_DISTANCE] = np.nan
        kept = _matched(distances[counted])  # (P,)
        if not labelled_only:
            ignored = np.fmin(distances, visible_distances)[~counted]  # a match with either box is enough
            kept |= ~(ignored <= MAX_DISTANCE).any(0)
        yield _Scene(truth.identities[expected][counted], boxes.tracks[found][kept], boxes.identities[found][kept],
                     distances[counted][:, kept])


def _rows_by_frame(frames: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(frames[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)) if len(frames) else {}


def _matched(distances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes a maximum matching covers, bool (P,); distances (T, P), NaN where no match is allowed."""
    rows, columns = linear_sum_assignment(np.where(np.isnan(distances), UNMATCHABLE, distances))
    matched = np.zeros(distances.shape[1], np.bool_)
    matched[columns[~np.isnan(distances[rows, columns])]] = True
    return matched


def box_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union, in [0, 1]: boxes xyxy (N, 4) and (M, 4) → (N, M)."""
    return np.asarray(sv.box_iou_batch(first, second), np.float64)


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
    """None for the result of a division by zero."""
    return float(value) if math.isfinite(value) else None
