"""Tracking metrics of a scene: IDF1, HOTA and CLEAR MOT.

IDF1 (Ristani et al., 2016) and HOTA (Luiten et al., IJCV 2021) are computed here on whole arrays, because a sweep
scores hundreds of settings; tests compare them with py-motmetrics and TrackEval. CLEAR MOT (Bernardin and Stiefelhagen,
2008) is py-motmetrics'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from .scene import Floats, Ints, Scene, best_matching

HOTA_THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # of the IoU; HOTA is the mean over them
EPSILON = float(np.finfo(float).eps)  # an IoU of exactly a threshold is a match


@dataclass(frozen=True, slots=True)
class IdentityScore:
    """Global matching of ids to people, in [0, 1]; None where the denominator is 0."""

    idf1: float | None
    idp: float | None
    idr: float | None


@dataclass(frozen=True, slots=True)
class HotaScore:
    """Means over 19 thresholds of the IoU, in [0, 1]; None without people and boxes.

    Attributes:
        hota: geometric mean of detection and association accuracy.
        deta: detection accuracy, TP / (TP + FN + FP).
        assa: association accuracy: how well the ids of matched boxes agree with people over time.
        loca: localisation accuracy, the IoU of matched boxes; None without a match.
    """

    hota: float | None
    deta: float | None
    assa: float | None
    loca: float | None


@dataclass(frozen=True, slots=True)
class ClearScore:
    """CLEAR MOT at IoU 0.5.

    Attributes:
        mota: 1 - (misses + false positives + switches) / people's boxes; None without people.
        switches: how often the id of a person changed.
        fragments: how often a person was lost and found again.
        misses, false_positives: boxes.
    """

    mota: float | None
    switches: int
    fragments: int
    misses: int
    false_positives: int


def identity_score(scene: Scene, ids: Ints) -> IdentityScore:
    """IDF1, precision and recall of ids, int64 (P,); boxes with id 0 are left out."""
    named = ids != 0
    truths, boxes = len(scene.people), int(named.sum())
    pairs = scene.close & named[scene.box_rows]
    people, person = np.unique(scene.people[scene.truth_rows[pairs]], return_inverse=True)
    known, identity = np.unique(ids[scene.box_rows[pairs]], return_inverse=True)
    shared = np.zeros((len(people), len(known)))
    np.add.at(shared, (person, identity), 1)
    matched = shared[linear_sum_assignment(shared, maximize=True)].sum()
    return IdentityScore(_ratio(2 * matched, truths + boxes), _ratio(matched, boxes), _ratio(matched, truths))


def hota_score(scene: Scene, ids: Ints) -> HotaScore:
    """HOTA of ids, int64 (P,); boxes with id 0 are left out."""
    scene, ids = scene.only(ids != 0), ids[ids != 0]
    truths, boxes = len(scene.people), len(ids)
    if not truths + boxes:
        return HotaScore(None, None, None, None)
    _, identity = np.unique(ids, return_inverse=True)
    person = scene.people
    key = person[scene.truth_rows] * (boxes + 1) + identity[scene.box_rows]
    _, cell = np.unique(key, return_inverse=True)  # (K,): which pair of a person and an id
    # The number of frames of a person and an id, at each overlap.
    frames = np.bincount(person, minlength=1)[person[scene.truth_rows]] + (
        np.bincount(identity, minlength=1)[identity[scene.box_rows]])  # (K,)
    matched = best_matching(scene, _alignment(scene, cell, frames) * scene.iou)
    iou, cell, frames = scene.iou[matched], cell[matched], frames[matched]
    found = iou >= HOTA_THRESHOLDS[:, None] - EPSILON  # (19, M)
    hits = found.sum(1)  # (19,)
    deta = hits / (truths + boxes - hits)
    association = np.zeros(len(hits))
    for row, here in enumerate(found):
        together = np.bincount(cell[here], minlength=1)[cell[here]]  # hits of the same person and id
        association[row] = (together / (frames[here] - together)).sum()
    assa = association / hits.clip(1)
    loca = np.where(hits > 0, (iou * found).sum(1) / hits.clip(1), 1)
    return HotaScore(
        float(np.sqrt(deta * assa).mean()), float(deta.mean()), float(assa.mean()),
        float(loca.mean()) if hits.any() else None)


def _alignment(scene: Scene, cell: Ints, frames: Ints) -> Floats:
    """How much each person and id coincide over all frames, float64 (K,) in [0, 1] (section 5.2 of the paper)."""
    of_truth = np.bincount(scene.truth_rows, scene.iou, minlength=1)[scene.truth_rows]
    of_box = np.bincount(scene.box_rows, scene.iou, minlength=1)[scene.box_rows]
    shared = np.bincount(cell, scene.iou / (of_truth + of_box - scene.iou), minlength=1)[cell]  # (K,)
    return np.asarray(shared / (frames - shared), np.float64)


def clear_score(scene: Scene, ids: Ints) -> ClearScore:
    """CLEAR MOT of ids, int64 (P,), which are unique within a frame."""
    from motmetrics import MOTAccumulator
    from motmetrics import metrics as motmetrics

    accumulator = MOTAccumulator()
    truth_ends = np.searchsorted(scene.truth_frames, np.arange(scene.frame_count + 1))
    box_ends = np.searchsorted(scene.box_frames, np.arange(scene.frame_count + 1))
    pair_ends = np.searchsorted(scene.truth_frames[scene.truth_rows], np.arange(scene.frame_count + 1))
    distances = np.where(scene.close, 1 - scene.iou, np.nan)
    for frame in range(scene.frame_count):
        truths, boxes, pairs = (slice(*ends[frame : frame + 2]) for ends in (truth_ends, box_ends, pair_ends))
        table = np.full((truths.stop - truths.start, boxes.stop - boxes.start), np.nan)
        table[scene.truth_rows[pairs] - truths.start, scene.box_rows[pairs] - boxes.start] = distances[pairs]
        accumulator.update(scene.people[truths], ids[boxes], table, frame)
    names = ("mota", "num_switches", "num_fragmentations", "num_misses", "num_false_positives")
    found = motmetrics.create().compute(accumulator, metrics=list(names), return_dataframe=False)
    mota, *counts = (found[name] for name in names)
    return ClearScore(float(mota) if math.isfinite(mota) else None, *map(int, counts))


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
