"""Compare boxes with ground truth: which boxes and people are scored, and which overlap.

Everything is a flat array over all frames, so that scoring another set of ids, as a sweep does, costs little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .ground_truth import Boxes, Truth

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAX_DISTANCE = 0.5  # 1 - IoU; a larger one is no match
BEFORE_ANY_IOU = 1e3  # weight of one more match: above any sum of IoUs in a frame


@dataclass(frozen=True, slots=True)
class Scene:
    """The scored people and boxes of one or more cameras: T people's boxes, P boxes, K overlaps.

    Attributes:
        frame_count: number of frames, with people or without.
        truth_frames: int64 (T,) rising, 0-based, distinct over cameras.
        people: int64 (T,), the same in all cameras.
        box_frames: int64 (P,) rising, as truth_frames.
        tracks: int64 (P,), rows of track_keys.
        identities: int64 (P,), the same in all cameras; 0 for none.
        confidence: float64 (P,) in [0, 1].
        truth_rows, box_rows: int64 (K,), a person and a box that overlap, in the order of truth_rows.
        iou: float64 (K,) in (0, 1].
        track_keys: camera and track id of every track.
    """

    frame_count: int
    truth_frames: Ints
    people: Ints
    box_frames: Ints
    tracks: Ints
    identities: Ints
    confidence: Floats
    truth_rows: Ints
    box_rows: Ints
    iou: Floats
    track_keys: list[tuple[str, int]]

    @property
    def close(self) -> Bools:
        """Which overlaps are large enough for a match, bool (K,)."""
        return 1 - self.iou <= MAX_DISTANCE

    def only(self, kept: Bools) -> Scene:
        """The same without some boxes; kept is bool (P,)."""
        pairs = kept[self.box_rows]  # (K,)
        return replace(
            self, box_frames=self.box_frames[kept], tracks=self.tracks[kept], identities=self.identities[kept],
            confidence=self.confidence[kept], truth_rows=self.truth_rows[pairs],
            box_rows=(np.cumsum(kept) - 1)[self.box_rows[pairs]], iou=self.iou[pairs])

    def matched_people(self) -> Ints:
        """Whom each box shows by a one-to-one matching at IoU >= 0.5, int64 (P,); -1 for nobody."""
        people = np.full(len(self.box_frames), -1, np.int64)
        matched = best_matching(self, np.where(self.close, BEFORE_ANY_IOU + self.iou, 0.0))
        people[self.box_rows[matched]] = self.people[self.truth_rows[matched]]
        return people


def camera_scene(
    camera: str, truth: Truth, boxes: Boxes, frames: Iterable[int], numbers: dict[str, int], labelled_only: bool
) -> Scene:
    """What is scored of one camera.

    Boxes on people who do not count are removed, unless they match somebody who does.

    Args:
        camera: its name.
        truth: its ground truth.
        boxes: its boxes.
        frames: the frames that were analysed; others are not scored.
        numbers: the numbers of known people; new ones are added.
        labelled_only: remove every box that matches nobody, because the ground truth is incomplete.
    """
    analysed = np.array(sorted(frames), np.int64)
    truth_order = _rows_in(truth.frames, analysed)
    box_order = _rows_in(boxes.frames, analysed)
    truth_frames, box_frames = truth.frames[truth_order], boxes.frames[box_order]
    truth_rows, box_rows = _same_frame(truth_frames, box_frames)
    xyxy = boxes.xyxy[box_order][box_rows]  # (K, 4)
    iou = paired_iou(truth.xyxy[truth_order][truth_rows], xyxy)
    visible_iou = paired_iou(truth.visible_xyxy[truth_order][truth_rows], xyxy)
    counted = truth.counted[truth_order]  # (T,)
    ignored = ~counted[truth_rows] & (1 - np.maximum(iou, visible_iou) <= MAX_DISTANCE)  # either box is enough
    on_ignored = np.zeros(len(box_frames), np.bool_)
    on_ignored[box_rows[ignored]] = True

    scored = counted[truth_rows] & (iou > 0)
    for name in dict.fromkeys(truth.identities[truth_order][counted].tolist()):
        numbers.setdefault(name, len(numbers))
    names, people = np.unique(truth.identities[truth_order], return_inverse=True)
    tracks, track_rows = np.unique(boxes.tracks[box_order], return_inverse=True)
    scene = Scene(
        len(analysed), np.searchsorted(analysed, truth_frames[counted]),
        np.array([numbers.get(name, -1) for name in names.tolist()], np.int64)[people][counted],
        np.searchsorted(analysed, box_frames), track_rows, boxes.identities[box_order], boxes.confidence[box_order],
        (np.cumsum(counted) - 1)[truth_rows[scored]], box_rows[scored], iou[scored],
        [(camera, track) for track in tracks.tolist()])
    matched = scene.matched_people() >= 0
    return scene.only(matched if labelled_only else matched | ~on_ignored)


def join(scenes: Sequence[Scene]) -> Scene:
    """All cameras as one scene: their frames follow each other."""
    frames = _offsets(one.frame_count for one in scenes)
    truths, boxes = _offsets(len(one.people) for one in scenes), _offsets(len(one.tracks) for one in scenes)
    tracks = _offsets(len(one.track_keys) for one in scenes)

    def chain(parts: Iterable[Ints]) -> Ints:
        return np.concatenate([np.zeros(0, np.int64), *parts])

    return Scene(
        sum(one.frame_count for one in scenes),
        chain(one.truth_frames + start for one, start in zip(scenes, frames, strict=True)),
        chain(one.people for one in scenes),
        chain(one.box_frames + start for one, start in zip(scenes, frames, strict=True)),
        chain(one.tracks + start for one, start in zip(scenes, tracks, strict=True)),
        chain(one.identities for one in scenes),
        np.concatenate([np.zeros(0), *(one.confidence for one in scenes)]),
        chain(one.truth_rows + start for one, start in zip(scenes, truths, strict=True)),
        chain(one.box_rows + start for one, start in zip(scenes, boxes, strict=True)),
        np.concatenate([np.zeros(0), *(one.iou for one in scenes)]),
        [key for one in scenes for key in one.track_keys])


def best_matching(scene: Scene, weight: Floats) -> Bools:
    """The one-to-one matching of people and boxes with the largest sum of weights, frame by frame (Kuhn, 1955).

    Args:
        weight: float64 (K,) >= 0; overlaps of weight 0 are not matched.

    Returns:
        bool (K,), the matched overlaps.
    """
    candidates = weight > 0
    truth_count = np.bincount(scene.truth_rows[candidates], minlength=len(scene.people))
    box_count = np.bincount(scene.box_rows[candidates], minlength=len(scene.tracks))
    contested = candidates & ((truth_count[scene.truth_rows] > 1) | (box_count[scene.box_rows] > 1))
    matched = candidates & ~contested  # most people overlap with one box, and that box with nobody else
    pairs = np.flatnonzero(contested)
    frames = scene.truth_frames[scene.truth_rows[pairs]]
    truth_ranks = scene.truth_rows[pairs] - np.searchsorted(scene.truth_frames, frames)  # within the frame
    box_ranks = scene.box_rows[pairs] - np.searchsorted(scene.box_frames, frames)
    ends = np.flatnonzero(np.diff(frames, append=-1)) + 1
    for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=False):
        rows, columns = truth_ranks[start:end], box_ranks[start:end]
        table = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
        table[rows, columns] = weight[pairs[start:end]]
        chosen = np.zeros(table.shape, np.bool_)
        chosen[linear_sum_assignment(table, maximize=True)] = True
        matched[pairs[start:end]] = chosen[rows, columns]
    return matched


def once_a_frame(scene: Scene, ids: Ints) -> Ints:
    """Keep an id's most confident box per frame; its other boxes get ids of their own, and so are errors.

    Args:
        ids: int64 (P,) >= 0, 0 for none.

    Returns:
        int64 (P,); the new ids are negative.
    """
    order = np.lexsort((-scene.confidence, ids, scene.box_frames))
    again = (np.diff(scene.box_frames[order], prepend=-1) == 0) & (np.diff(ids[order], prepend=-1) == 0)  # (P,)
    again &= ids[order] != 0
    distinct = ids.copy()
    distinct[order[again]] = -1 - order[again]
    return distinct


def newest_track_only(scene: Scene, ids: Ints) -> Ints:
    """Where several boxes of a frame have one id, only that of the newest track keeps it, int64 (P,): others get 0.

    As `observation_rows` does where one track takes over from another.
    """
    number = np.array([track for _, track in scene.track_keys], np.int64)[scene.tracks]
    order = np.lexsort((-number, ids, scene.box_frames))
    again = (np.diff(scene.box_frames[order], prepend=-1) == 0) & (np.diff(ids[order], prepend=-1) == 0)  # (P,)
    kept = ids.copy()
    kept[order[again]] = 0
    return kept


def paired_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Intersection over union of boxes xyxy, broadcast over all but the last axis, in [0, 1]; 0 for empty boxes."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clip(0).prod(-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(union.shape), where=union > 0), np.float64)


def box_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Intersection over union, in [0, 1]: boxes xyxy (N, 4) and (M, 4) → (N, M)."""
    return paired_iou(np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None])


def _rows_in(frames: Ints, analysed: Ints) -> Ints:
    """The rows that lie in analysed frames, in their order."""
    rows = np.flatnonzero(np.isin(frames, analysed))
    return rows[np.argsort(frames[rows], kind="stable")]


def _same_frame(truth_frames: Ints, box_frames: Ints) -> tuple[Ints, Ints]:
    """All pairs of a person and a box in one frame, as rows (K,) and (K,); both inputs are rising."""
    first = np.searchsorted(box_frames, truth_frames, "left")
    counts = np.searchsorted(box_frames, truth_frames, "right") - first  # (T,)
    truth_rows = np.repeat(np.arange(len(truth_frames)), counts)
    within = np.arange(len(truth_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return truth_rows, first[truth_rows] + within


def _offsets(counts: Iterable[int]) -> list[int]:
    """Where each of several parts starts when they follow each other."""
    return [0, *np.cumsum(list(counts), dtype=np.int64).tolist()][:-1]
