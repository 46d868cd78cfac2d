"""ByteTrack, BoT-SORT and OC-SORT, as implemented by ultralytics, behind the tracker protocol."""

from __future__ import annotations

import sys
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from .crops import CropChooser
from .geometry import visible_shares
from .protocol import TIMESTAMP_SLACK_SECONDS, Detections, Embed, TrackedFrame, TrackerSettings
from .window import Window


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The four fields of ultralytics' `Boxes` that its trackers read."""

    xyxy: NDArray[np.float32]  # (N, 4)
    conf: NDArray[np.float32]  # (N,)

    @property
    def xywh(self) -> NDArray[np.float32]:
        top_left, bottom_right = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate([(top_left + bottom_right) / 2, bottom_right - top_left], axis=1)  # (N, 4)

    @property
    def cls(self) -> NDArray[np.float32]:
        return np.zeros_like(self.conf)  # all boxes are people

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.conf[rows])


class UltralyticsTracker:
    """One of ultralytics' trackers, for one static camera.

    Sources: ByteTrack (Zhang et al., ECCV 2022), BoT-SORT (Aharon et al., 2022; without camera motion compensation, and
    without its own appearance model), OC-SORT (Cao et al., CVPR 2023). They do not use appearance: crops are embedded
    for the linker only.

    ultralytics ends lost tracks after a number of frames, which is no measure of time in footage with gaps. Here tracks
    end by the frames' timestamps instead.
    """

    def __init__(self, algorithm: str, settings: TrackerSettings) -> None:
        from ultralytics.trackers.bot_sort import BOTSORT
        from ultralytics.trackers.byte_tracker import BYTETracker
        from ultralytics.trackers.oc_sort import OCSORT

        options = SimpleNamespace(
            track_high_thresh=settings.high_confidence,
            track_low_thresh=settings.low_confidence,
            new_track_thresh=settings.new_track_confidence,
            match_thresh=settings.match_cost,
            track_buffer=sys.maxsize,  # frames; see _end_tracks
            fuse_score=True,
            gmc_method="none", with_reid=False, proximity_thresh=0.5, appearance_thresh=0.8,  # BoT-SORT
            delta_t=3, inertia=0.2, use_byte=True,  # OC-SORT; low-confidence boxes continue tracks of occluded people
        )
        algorithms = {"bytetrack": BYTETracker, "botsort": BOTSORT, "ocsort": OCSORT}
        self._tracker = algorithms[algorithm](options)
        self._lost_seconds = settings.lost_seconds
        self._last_seconds: dict[int, float] = {}  # of every open track, when it was last observed
        self._window = Window(settings.fill_seconds, settings.fill_seconds)
        self._crops = CropChooser(settings)
        self._people = 0

    @property
    def open_ids(self) -> AbstractSet[int]:
        """See `Tracker.open_ids`."""
        return self._last_seconds.keys() | self._window.ids

    @property
    def people(self) -> int:
        """See `Tracker.people`."""
        return self._people

    def update(self, detections: Detections, seconds: float, embed: Embed) -> list[TrackedFrame]:
        """Track the people of one frame; see `Tracker.update`."""
        self._end_tracks(seconds)
        boxes = _Boxes(
            np.ascontiguousarray(detections.xyxy, np.float32),
            np.ascontiguousarray(detections.confidence, np.float32),
        )
        found = np.asarray(self._tracker.update(boxes), np.float64).reshape(-1, 8)  # x1 y1 x2 y2 id score class row
        ids, rows = found[:, 4].astype(np.int64).tolist(), found[:, 7].astype(np.int64)
        observed = self._last_seconds | dict.fromkeys(ids, seconds)
        open_tracks = (*self._tracker.tracked_stracks, *self._tracker.lost_stracks)
        self._last_seconds = {track.track_id: observed.get(track.track_id, seconds) for track in open_tracks}
        self._people = len(ids)
        xyxy = boxes.xyxy[rows]
        chosen = self._crops.choose(seconds, ids, self._crops.quality(xyxy, visible_shares(xyxy)), {})
        if len(chosen):
            embed(rows[chosen])
        self._window.add(seconds, boxes.xyxy, boxes.conf, dict(zip(ids, rows.tolist(), strict=True)))
        return self._window.release(seconds)

    def finish(self) -> list[TrackedFrame]:
        """Return the frames that are still held back."""
        return self._window.release(np.inf)

    def _end_tracks(self, seconds: float) -> None:
        """Forget the tracks that were last observed too long ago."""
        oldest = seconds - self._lost_seconds - TIMESTAMP_SLACK_SECONDS
        open_ids = {track_id for track_id, last_seconds in self._last_seconds.items() if last_seconds >= oldest}
        for pool in (self._tracker.tracked_stracks, self._tracker.lost_stracks):
            pool[:] = [track for track in pool if track.track_id in open_ids]
