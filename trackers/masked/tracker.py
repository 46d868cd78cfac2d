"""Our tracker: motion and overlap join boxes to tracks; appearance corrects ids before they are final."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crops import CropChooser
from ..geometry import box_iou, visible_shares
from ..protocol import TIMESTAMP_SLACK_SECONDS, Detections, Embed, TrackedFrame, TrackerSettings
from ..window import Window
from .appearance import Views
from .assignment import best_columns
from .decide import INSTANT, Change, can_decide, decide, looks_different, views_after, views_needed
from .motion import Motion, join
from .stored import State, tracks_of, tracks_state
from .track import Track

DELAY_SECONDS = 2.5  # frames are held back that long, so that ids can still be corrected
LOW_CONFIDENCE_IOU = 0.5  # smallest IoU of a box of low confidence with the track that it continues
LOW_CONFIDENCE_SECONDS = 0.6  # a track that is lost for longer is not continued by such a box
LAST_PLACE_IOU = 0.3  # smallest IoU with where a track was last seen
CONFUSABLE_IOU = 0.25  # two tracks that overlap that much may swap
HIDDEN = 0.5  # a track of which less is visible may come out as somebody else
PLAIN_VIEW = 0.7  # visible share from which a view is compared
DOUBTFUL_GAP_SECONDS = 0.25  # a longer gap raises a doubt
VIEW_SECONDS = 0.15  # between two views that decide something
CONFIRMING_BOXES = 3  # a track that ends with fewer is removed
UNCONFIRMED_SECONDS = 0.3  # without a box for that long, an unconfirmed track ends


class MaskedTracker:
    """Tracks the people of one static camera by motion, overlap and masked similarity; needs neither torch nor a GPU.

    A Kalman filter predicts each track, and boxes are assigned to predictions by IoU: those of high confidence first,
    then the others (Zhang et al., ECCV 2022), then those that lie where a track was last seen; after a gap the motion
    is computed again from the box that ended it (Cao et al., CVPR 2023). Overlap cannot say who is who after a meeting:
    that is decided by appearance a moment later (see decide.py), while frames are held back [ours].
    """

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._masked = settings.appearance == "masked"
        self._tracks: list[Track] = []
        self._window = Window(DELAY_SECONDS, settings.fill_seconds)
        self._crops = CropChooser(settings)
        self._tracks_so_far = 0
        self._seconds: float | None = None

    @property
    def open_ids(self) -> AbstractSet[int]:
        """See `Tracker.open_ids`."""
        return {track.track_id for track in self._tracks} | self._window.ids

    @property
    def people(self) -> int:
        """See `Tracker.people`."""
        return len(self._present())

    def update(self, detections: Detections, seconds: float, embed: Embed) -> list[TrackedFrame]:
        """Track the people of one frame; see `Tracker.update`."""
        xyxy = np.ascontiguousarray(detections.xyxy, np.float32)
        confidence = np.ascontiguousarray(detections.confidence, np.float32)
        step = 0.0 if self._seconds is None else seconds - self._seconds
        self._seconds = seconds
        self._associate(self._predict(step, seconds), xyxy, confidence, seconds)
        self._forget_unconfirmed(seconds)
        visible = visible_shares(xyxy[[track.row for track in self._present()]])
        if self._settings.appearance != "none":
            self._question(visible, xyxy, seconds)
        self._look(visible, xyxy, seconds, embed)
        if self._settings.appearance != "none":
            self._correct(seconds)
        self._window.add(seconds, xyxy, confidence, {track.track_id: track.row for track in self._present()})
        return self._window.release(seconds)

    def finish(self) -> list[TrackedFrame]:
        """Return the frames that are still held back."""
        return self._window.release(np.inf)

    def state(self) -> State:
        """See `ResumableTracker.state`."""
        own = {"tracks_so_far": np.array(self._tracks_so_far),
               "seconds": np.array(np.nan if self._seconds is None else self._seconds)}
        parts = {"tracks": tracks_state(self._tracks), "window": self._window.state(), "crops": self._crops.state()}
        return own | {f"{part}.{name}": array for part, state in parts.items() for name, array in state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `ResumableTracker.restore`."""
        def part(name: str) -> State:
            return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}

        self._tracks_so_far = int(state["tracks_so_far"])
        self._seconds = None if np.isnan(state["seconds"]) else float(state["seconds"])
        self._tracks = tracks_of(part("tracks"))
        self._window.restore(part("window"))
        self._crops.restore(part("crops"))

    def _present(self) -> list[Track]:
        return [track for track in self._tracks if track.row >= 0]

    def _predict(self, step: float, seconds: float) -> Motion:
        """End the tracks that were lost too long ago, and predict the others, T of them."""
        oldest = seconds - self._settings.lost_seconds - TIMESTAMP_SLACK_SECONDS
        self._tracks = [track for track in self._tracks if track.last_seconds >= oldest]
        motion = join([track.motion for track in self._tracks]).predict(step)
        for row, track in enumerate(self._tracks):
            track.motion, track.row = motion[row : row + 1], -1
        return motion

    def _associate(
        self, predicted: Motion, xyxy: NDArray[np.float32], confidence: NDArray[np.float32], seconds: float
    ) -> None:
        """Continue tracks, which are predicted to this frame, with its N boxes, and start new ones."""
        if not len(xyxy):  # most frames of a quiet camera; the arithmetic on empty arrays takes as long as any
            return
        settings, tracks = self._settings, self._tracks
        iou = box_iou(predicted.xyxy, xyxy)  # (T, N)
        last = box_iou(np.array([track.xyxy for track in tracks], np.float32).reshape(-1, 4), xyxy)
        high = confidence >= settings.high_confidence
        low = ~high & (confidence >= settings.low_confidence)
        recent = np.array([seconds - track.last_seconds <= LOW_CONFIDENCE_SECONDS for track in tracks], np.bool_)
        rounds = (
            (iou * high, 1 - settings.match_cost),
            (iou * low * recent[:, None], LOW_CONFIDENCE_IOU),
            (np.maximum(iou, last) * high, LAST_PLACE_IOU),
        )
        rows = np.full(len(tracks), -1)  # of the boxes that continue them
        taken = np.zeros(len(xyxy), np.bool_)
        for score, least in rounds:
            gain = np.where((score >= max(least, INSTANT)) & (rows < 0)[:, None] & ~taken, score, 0.0)
            if gain.any():
                columns = best_columns(gain)
                found = np.flatnonzero((columns >= 0) & (gain[np.arange(len(tracks)), columns] > 0))
                rows[found] = columns[found]
                taken[columns[found]] = True
        continued = np.flatnonzero(rows >= 0)
        if len(continued):
            self._observe(continued, rows[continued], iou[continued, rows[continued]], xyxy, confidence, seconds)
        for row in np.flatnonzero(~taken & high & (confidence >= settings.new_track_confidence)).tolist():
            self._tracks.append(Track.start(self._new_id(), xyxy, row, seconds))

    def _observe(
        self, tracks: NDArray[np.int64], rows: NDArray[np.int64], iou: NDArray[np.float64], xyxy: NDArray[np.float32],
        confidence: NDArray[np.float32], seconds: float,
    ) -> None:
        """Continue K tracks with the boxes in K rows, which overlap with the predictions by `iou` (K,)."""
        seen = [self._tracks[one] for one in tracks.tolist()]
        for track, row, fit in zip(seen, rows.tolist(), iou.tolist(), strict=True):
            track.observe(xyxy[row], row, fit, seconds, DOUBTFUL_GAP_SECONDS)
        corrected = join([track.motion for track in seen]).correct(xyxy[rows], confidence[rows])
        for place, track in enumerate(seen):
            track.motion = track.observed = corrected[place : place + 1]

    def _new_id(self) -> int:
        self._tracks_so_far += 1
        return self._tracks_so_far

    def _forget_unconfirmed(self, seconds: float) -> None:
        """Remove tracks that were lost before they had enough boxes: false detections."""
        oldest = seconds - UNCONFIRMED_SECONDS
        gone = [track for track in self._tracks if track.boxes < CONFIRMING_BOXES and track.last_seconds < oldest]
        if gone:
            self._window.relabel(dict.fromkeys((track.track_id for track in gone), 0), -np.inf)
            self._tracks = [track for track in self._tracks if track not in gone]

    def _question(self, visible: NDArray[np.float32], xyxy: NDArray[np.float32], seconds: float) -> None:
        """Open doubts of the tracks that overlap with others, lost ones too, or are hidden."""
        if not self._tracks:
            return
        boxes = np.array([
            xyxy[track.row] if track.row >= 0 else track.motion.xyxy[0] for track in self._tracks]).reshape(-1, 4)
        iou = box_iou(boxes, boxes)
        np.fill_diagonal(iou, 0)
        for one, two in zip(*np.nonzero(iou > CONFUSABLE_IOU), strict=True):
            track, other = self._tracks[one], self._tracks[two].track_id
            if track.row >= 0:
                rivals = track.question(seconds, seconds).rivals
                rivals[other] = max(rivals.get(other, (0.0, 0.0)), (float(iou[one, two]), seconds))
        for track, share in zip(self._present(), visible.tolist(), strict=True):
            if share < HIDDEN:
                track.question(seconds, seconds)

    def _look(self, visible: NDArray[np.float32], xyxy: NDArray[np.float32], seconds: float, embed: Embed) -> None:
        """Embed the crops that decide something, and a steady few of everybody."""
        present = self._present()
        rows = np.array([track.row for track in present], np.int64)
        urgent = {
            track.track_id: VIEW_SECONDS for track in present
            if self._settings.appearance != "none" and track.doubt is not None
            and (track.doubt.newborn or seconds > track.doubt.ended)
            and len(views_after(track)) <= views_needed(track.doubt)}
        ids = [track.track_id for track in present]
        chosen = self._crops.choose(seconds, ids, self._crops.quality(xyxy[rows], visible), urgent)
        if not len(chosen):
            return
        embeddings, masks = embed(rows[chosen])
        for place, embedding, mask in zip(chosen.tolist(), embeddings, masks, strict=True):
            track = present[place]
            if visible[place] >= PLAIN_VIEW and self._settings.appearance != "none":
                if track.doubt is None and looks_different(track, Views([seconds], [embedding], [mask]), self._masked):
                    began = track.views.seconds[-1] + INSTANT
                    track.question(began, began).by_appearance = True
                track.views.add(seconds, embedding, mask)

    def _correct(self, seconds: float) -> None:
        """Decide the doubts for which there are enough views."""
        for track in self._present():
            doubt = track.doubt
            if doubt is not None and can_decide(track, doubt, seconds):
                others = [other for other in self._tracks if other is not track]
                change = decide(track, doubt, others, seconds, self._masked)
                track.doubt = None
                if change is not None:
                    self._apply(track, change)

    def _apply(self, track: Track, change: Change) -> None:
        """Correct ids, in the frames that are held back, too."""
        old, since, other = track.track_id, change.since, change.other
        past, views = track.views.before(since), track.views.since(since)
        if other is None:
            track.track_id, track.views, track.first_seconds = self._new_id(), views, since
            self._window.relabel({old: track.track_id}, since)
        elif change.kind == "swap":
            track.track_id, other.track_id = other.track_id, old
            self._window.relabel({old: track.track_id, track.track_id: old}, since)
            track.views, other.views = other.views.before(since) + views, past + other.views.since(since)
            other.doubt = None
        else:
            track.track_id, track.views = other.track_id, other.views + views
            track.boxes += other.boxes
            self._window.relabel({old: track.track_id}, since)
            if since <= track.first_seconds:
                self._tracks.remove(other)
            else:  # who the track was before is lost now
                other.track_id, other.views, other.last_seconds = old, past, since
