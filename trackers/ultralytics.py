"""ultralytics' trackers behind our protocol: ByteTrack, BoT-SORT and OC-SORT."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from .protocol import TrackerSettings
from .quiet import silence_ultralytics


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
        return np.zeros_like(self.conf)  # everybody is a person

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.conf[rows])


class UltralyticsTracker:
    """One of ultralytics' trackers, for one camera that does not move.

    Sources: ByteTrack (Zhang et al., ECCV 2022), BoT-SORT (Aharon et al., 2022; without camera motion and
    without its own appearance model, because appearance is the linker's job), OC-SORT (Cao et al., CVPR 2023).
    """

    def __init__(self, algorithm: str, settings: TrackerSettings) -> None:
        silence_ultralytics()
        from ultralytics.trackers.bot_sort import BOTSORT
        from ultralytics.trackers.byte_tracker import BYTETracker
        from ultralytics.trackers.oc_sort import OCSORT

        options = SimpleNamespace(
            track_high_thresh=settings.high_confidence,
            track_low_thresh=settings.low_confidence,
            new_track_thresh=settings.new_track_confidence,
            match_thresh=settings.match_cost,
            track_buffer=settings.lost_frames,
            fuse_score=True,
            gmc_method="none", with_reid=False, proximity_thresh=0.5, appearance_thresh=0.8,  # BoT-SORT
            delta_t=3, inertia=0.2, use_byte=True,  # OC-SORT; weak boxes keep half-hidden people's tracks alive
        )
        algorithms = {"bytetrack": BYTETracker, "botsort": BOTSORT, "ocsort": OCSORT}
        self._tracker = algorithms[algorithm](options)

    def update(self, detections: sv.Detections) -> sv.Detections:
        """Follow one frame's people; see `Tracker.update`."""
        boxes = _Boxes(
            np.ascontiguousarray(detections.xyxy, np.float32),
            np.ascontiguousarray(detections.confidence, np.float32),
        )
        rows = np.asarray(self._tracker.update(boxes), np.float64).reshape(-1, 8)  # x1 y1 x2 y2 id score class row
        tracked = detections[rows[:, 7].astype(np.int64)]
        tracked.tracker_id = rows[:, 4].astype(np.int64)  # (M,)
        return tracked
