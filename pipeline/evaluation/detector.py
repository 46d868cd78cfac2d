"""How good a detector is: average precision against ground truth, and agreement with another detector."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ..config.schema import Config
from ..run import open_sources
from ..sources.time_order import CameraReader, in_time_order
from ..stages.detect import Detector, detect_ahead, open_detector
from ..stopwatch import Stopwatch
from ..types import Frame
from .ground_truth import Truth, read_truth, truth_files
from .tracking import overlaps

SAME = 0.5  # two boxes that overlap this much (IoU) are the same person
CERTAIN = 0.4  # boxes from here on count in an agreement
WORKING = 0.25  # what the detector under test finds from here on counts as found
REFEREE_IMAGE_SIZES = (640, 1280)  # the referee looks twice, once closer than either, and
REFEREE_CONFIDENCE = 0.05  # lets even a doubtful person excuse a box
INSIDE = 0.7  # a box around a half-hidden person may hold or lie in the referee's, by this share of the smaller one


@dataclass(frozen=True, slots=True)
class TruthScore:
    """Average precision of one camera, or of all together, at IoU 0.5.

    Attributes:
        camera: its name, or "all".
        people: boxes demanded.
        average_precision: area under the precision-recall curve, in [0, 1].
        recall: share of the demanded boxes found at confidence >= 0.25, in [0, 1].
    """

    camera: str
    people: int
    average_precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a detector agrees with a reference on one camera's footage.

    Attributes:
        camera: its name, or "all".
        reference_boxes: what the reference finds at confidence >= 0.4.
        found: share of those that the detector finds at confidence >= 0.25, in [0, 1].
        false_boxes, reference_false_boxes: boxes at confidence >= 0.4 of the detector and of the reference where a
            referee (the reference at two picture sizes, down to confidence 0.05) sees nobody.
    """

    camera: str
    reference_boxes: int
    found: float
    false_boxes: int
    reference_false_boxes: int


def score_against_truth(config: Config, folder: Path, min_visible: float) -> list[TruthScore]:
    """AP50 of a config's detector on its cameras' footage, the cameras first and all together last.

    A box is right if it fits the whole of a demanded person or what is visible of them. One that fits only somebody
    hidden more than `min_visible` allows counts neither way.
    """
    truths = {name: read_truth(path, min_visible) for name, path in truth_files(folder, config.cameras).items()}
    judged: dict[str, list[NDArray[np.float64]]] = {name: [] for name in truths}
    people = dict.fromkeys(truths, 0)
    for frame, found in _detections(config, _detector(config)):
        if frame.camera in truths:
            rows, demanded = _judge(found, truths[frame.camera], frame.index)
            judged[frame.camera].append(rows)
            people[frame.camera] += demanded
    scores = [_truth_score(name, np.concatenate(judged[name]), people[name]) for name in truths]
    everything = np.concatenate([rows for camera in judged.values() for rows in camera])
    return [*scores, _truth_score("all", everything, sum(people.values()))]


def score_agreement(config: Config, reference: str) -> list[Agreement]:
    """Agreement of a config's detector with reference weights, the cameras first and all together last."""
    detector = _detector(config)
    other = _detector(_with_detector(config, weights=reference))
    referees = [
        _detector(_with_detector(config, weights=reference, image_size=size, confidence=REFEREE_CONFIDENCE))
        for size in REFEREE_IMAGE_SIZES
    ]
    counts = {name: np.zeros(4, np.int64) for name in config.cameras}
    for frame, found in _detections(config, detector):
        (known,) = other.detect([frame.image])
        people = np.concatenate([referee.detect([frame.image])[0].xyxy for referee in referees])
        certain = known.xyxy[known.confidence >= CERTAIN]
        working = found.xyxy[found.confidence >= WORKING]
        counts[frame.camera] += [
            len(certain),
            int(_fits(certain, working).sum()),
            int((~_on_somebody(found.xyxy[found.confidence >= CERTAIN], people)).sum()),
            int((~_on_somebody(certain, people)).sum()),
        ]
    counts["all"] = np.sum(list(counts.values()), axis=0)
    return [_agreement(name, *row.tolist()) for name, row in counts.items()]


def _agreement(camera: str, known: int, found: int, false: int, other_false: int) -> Agreement:
    return Agreement(camera, known, found / max(known, 1), false, other_false)


def _with_detector(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"detector": config.detector.model_copy(update=changes)})


def _detector(config: Config) -> Detector:
    return open_detector(config.detector, config.threads or os.cpu_count() or 1)


def _detections(config: Config, detector: Detector) -> Iterator[tuple[Frame, sv.Detections]]:
    sources, _ = open_sources(config)
    clock, stop = Stopwatch(), threading.Event()
    readers = [CameraReader(source, stop, clock) for source in sources.values()]
    yield from detect_ahead(in_time_order(readers), detector, config.detector.batch, clock)


def _judge(found: sv.Detections, truth: Truth, frame: int) -> tuple[NDArray[np.float64], int]:
    """Rows (confidence, right) of the boxes that count, float64 (N, 2), and how many people are demanded."""
    here = truth.frames == frame
    demanded, excused = here & truth.demanded, here & ~truth.demanded
    ours = found.xyxy.astype(np.float64)
    whole, seen = (overlaps(ours, boxes[demanded]) for boxes in (truth.xyxy, truth.visible_xyxy))
    alike = np.maximum(whole, seen)  # (N, M), surest boxes first
    right = np.zeros(len(found), bool)
    for row in range(len(found)):
        if alike.shape[1] and alike[row].max() >= SAME:
            right[row] = True
            alike[:, alike[row].argmax()] = 0  # nobody is found twice
    pardon = np.concatenate([truth.xyxy[excused], truth.visible_xyxy[excused]])
    counts = right | ~_fits(found.xyxy, pardon)
    return np.column_stack([found.confidence, right])[counts].astype(np.float64), int(demanded.sum())


def _fits(xyxy: NDArray[np.float32], others: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of the boxes (N, 4) overlap one of the others (M, 4) enough, bool (N,)."""
    alike = overlaps(xyxy.astype(np.float64), others.astype(np.float64))
    return np.asarray(alike.max(1, initial=0) >= SAME, np.bool_)


def _on_somebody(xyxy: NDArray[np.float32], people: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the boxes (N, 4) overlap one of the people (M, 4) enough, or hold or lie in one, bool (N,)."""
    shared = np.minimum(xyxy[:, None, 2:], people[None, :, 2:]) - np.maximum(xyxy[:, None, :2], people[None, :, :2])
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (xyxy, people)]
    inside = shared.clip(0).prod(2) / np.minimum(areas[0][:, None], areas[1][None]).clip(1e-6)  # (N, M)
    return np.asarray(_fits(xyxy, people) | (inside.max(1, initial=0) >= INSIDE), np.bool_)


def _truth_score(camera: str, rows: NDArray[np.float64], people: int) -> TruthScore:
    """AP as the area under the interpolated precision-recall curve; rows are (confidence, right)."""
    from ultralytics.utils.metrics import compute_ap

    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    hits = rows[:, 1].cumsum()
    precision = hits / np.arange(1, len(rows) + 1)
    area = float(compute_ap(hits / max(people, 1), precision)[0]) if len(rows) else 0.0
    at_work = rows[rows[:, 0] >= WORKING, 1].sum()
    return TruthScore(camera, people, area, float(at_work / max(people, 1)))
