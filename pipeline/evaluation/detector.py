"""Evaluate a person detector: average precision against ground truth, and agreement with another detector."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ...trackers import Detections
from ..config.schema import Config
from ..errors import WeightsError
from ..running.prepare import network_threads, open_cameras
from ..sources.time_order import CameraReader, in_time_order
from ..stages.detection.detect import Detector, detect_ahead, open_detector
from ..stopwatch import Stopwatch
from ..types import Frame
from .ground_truth import Truth, read_truth, truth_files
from .scene import box_iou

MATCH_IOU = 0.5
AGREEMENT_CONFIDENCE = 0.4  # boxes below it do not count in an agreement
RECALL_CONFIDENCE = 0.25  # of the detector under test: the pipeline's working point
REFEREE_IMAGE_SIZES = (640, 1280)  # the referee runs at two scales, one of them larger than usual, and
REFEREE_CONFIDENCE = 0.05  # at a low threshold: a weak detection is enough for a box not to be false
MIN_INSIDE = 0.7  # intersection over the smaller box; boxes of partly occluded people differ in extent


@dataclass(frozen=True, slots=True)
class TruthScore:
    """Average precision of one camera, or of all together, at IoU 0.5.

    Attributes:
        camera: its name, or "all".
        people: counted boxes of the ground truth.
        average_precision: area under the precision-recall curve, in [0, 1].
        recall: share of the counted boxes found at confidence >= 0.25, in [0, 1].
    """

    camera: str
    people: int
    average_precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a detector with a reference detector on one camera's footage.

    Attributes:
        camera: its name, or "all".
        reference_boxes: detections of the reference at confidence >= 0.4.
        found: share of those that the detector finds at confidence >= 0.25, in [0, 1].
        false_boxes, reference_false_boxes: boxes of the detector and of the reference at confidence >= 0.4 where the
            referee (the reference at two image sizes, down to confidence 0.05) finds nobody.
    """

    camera: str
    reference_boxes: int
    found: float
    false_boxes: int
    reference_false_boxes: int


def score_against_truth(
    config: Config, folder: Path, min_visible: float, trust_weights: bool = False
) -> list[TruthScore]:
    """AP50 of a config's detector on its cameras' footage: one score per camera, then one over all.

    A detection is correct if it matches the full box of a counted person or the visible part of it.  One that matches
    only ignored ground truth (visible share below `min_visible`) is neither correct nor a false positive.
    """
    truths = {name: read_truth(path, min_visible) for name, path in truth_files(folder, config.cameras).items()}
    matches: dict[str, list[NDArray[np.float64]]] = {name: [] for name in truths}
    people = dict.fromkeys(truths, 0)
    for frame, found in _detections(config, _detector(config, trust_weights)):
        if frame.camera in truths:
            rows, counted = _match(found, truths[frame.camera], frame.index)
            matches[frame.camera].append(rows)
            people[frame.camera] += counted
    scores = [_truth_score(name, np.concatenate(matches[name]), people[name]) for name in truths]
    everything = np.concatenate([rows for camera in matches.values() for rows in camera])
    return [*scores, _truth_score("all", everything, sum(people.values()))]


def score_agreement(config: Config, reference: str, trust_weights: bool = False) -> list[Agreement]:
    """Agreement of a config's detector with reference weights: one row per camera, then one over all."""
    detector = _detector(config, trust_weights)
    try:
        other = _detector(_with_detector(config, weights=reference), trust_weights)
    except WeightsError as error:
        raise WeightsError(str(error).replace("detector.weights", "--reference", 1)) from error
    referees = [
        _detector(
            _with_detector(config, weights=reference, image_size=size, confidence=REFEREE_CONFIDENCE), trust_weights
        )
        for size in REFEREE_IMAGE_SIZES
    ]
    counts = {name: np.zeros(4, np.int64) for name in config.cameras}
    for frame, found in _detections(config, detector):
        (expected,) = other.detect([frame.image])
        people = np.concatenate([referee.detect([frame.image])[0].xyxy for referee in referees])
        reference_xyxy = expected.xyxy[expected.confidence >= AGREEMENT_CONFIDENCE]
        counts[frame.camera] += [
            len(reference_xyxy),
            int(_overlap_any(reference_xyxy, found.xyxy[found.confidence >= RECALL_CONFIDENCE]).sum()),
            int((~_on_somebody(found.xyxy[found.confidence >= AGREEMENT_CONFIDENCE], people)).sum()),
            int((~_on_somebody(reference_xyxy, people)).sum()),
        ]
    counts["all"] = np.sum(list(counts.values()), axis=0)
    return [_agreement(name, *row.tolist()) for name, row in counts.items()]


def _agreement(camera: str, expected: int, found: int, false: int, reference_false: int) -> Agreement:
    return Agreement(camera, expected, found / max(expected, 1), false, reference_false)


def _with_detector(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"detector": config.detector.model_copy(update=changes)})


def _detector(config: Config, trust_weights: bool) -> Detector:
    return open_detector(config.detector, network_threads(config), trust_weights)


def _detections(config: Config, detector: Detector) -> Iterator[tuple[Frame, Detections]]:
    sources, _ = open_cameras(config)
    clock, stop = Stopwatch(), threading.Event()
    readers = [CameraReader(source, stop, clock) for source in sources.values()]
    yield from detect_ahead(in_time_order(readers), detector, config.detector.batch, clock)


def _match(found: Detections, truth: Truth, frame: int) -> tuple[NDArray[np.float64], int]:
    """Match one frame's detections, given in order of falling confidence, with its ground truth.

    Returns:
        Rows (confidence, correct) of the detections that count, float64 (N, 2), and the number of counted people.
    """
    here = truth.frames == frame
    counted, ignored = here & truth.counted, here & ~truth.counted
    full, visible = (box_iou(found.xyxy, boxes[counted]) for boxes in (truth.xyxy, truth.visible_xyxy))
    iou = np.maximum(full, visible)  # (N, M)
    correct = np.zeros(len(found), bool)
    for row in range(len(found)):
        if iou.shape[1] and iou[row].max() >= MATCH_IOU:
            correct[row] = True
            iou[:, iou[row].argmax()] = 0  # a person is matched once
    ignored_xyxy = np.concatenate([truth.xyxy[ignored], truth.visible_xyxy[ignored]])
    scored = correct | ~_overlap_any(found.xyxy, ignored_xyxy)
    return np.column_stack([found.confidence, correct])[scored].astype(np.float64), int(counted.sum())


def _overlap_any(xyxy: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of the boxes (N, 4) match at least one of the others (M, 4), bool (N,)."""
    return np.asarray(box_iou(xyxy, others).max(1, initial=0) >= MATCH_IOU, np.bool_)


def _on_somebody(xyxy: NDArray[np.floating], people: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of the boxes (N, 4) match one of the people (M, 4), contain one or lie inside one, bool (N,)."""
    inside = sv.box_iou_batch(xyxy, people, sv.OverlapMetric.IOS)  # (N, M)
    return np.asarray(_overlap_any(xyxy, people) | (inside.max(1, initial=0) >= MIN_INSIDE), np.bool_)


def _truth_score(camera: str, rows: NDArray[np.float64], people: int) -> TruthScore:
    """AP as the area under the interpolated precision-recall curve; rows (N, 2) are (confidence, correct)."""
    from ultralytics.utils.metrics import compute_ap

    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    hits = rows[:, 1].cumsum()  # (N,)
    precision = hits / np.arange(1, len(rows) + 1)  # (N,)
    area = float(compute_ap(hits / max(people, 1), precision)[0]) if len(rows) else 0.0
    found = rows[rows[:, 0] >= RECALL_CONFIDENCE, 1].sum()
    return TruthScore(camera, people, area, float(found / max(people, 1)))
