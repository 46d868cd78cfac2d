"""What every per-camera tracker does, and the settings that all of them understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import supervision as sv


class Tracker(Protocol):
    """Follows the people of one camera; one instance per camera, no state shared between instances."""

    def update(self, detections: sv.Detections) -> sv.Detections:
        """Take the next frame's people and say which of them are followed.

        Args:
            detections: all boxes of one frame: xyxy float32 (N, 4) pixels, confidence float32 (N,).

        Returns:
            The M <= N rows that belong to a confirmed track, boxes as they were detected, with
            tracker_id int64 (M,) set; ids start at 1 and are never given twice by one tracker.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Thresholds that every tracker shares.

    Attributes:
        new_track_confidence: a box must be at least this sure to start a track.
        high_confidence: boxes from here on are matched first.
        low_confidence: boxes from here on may still continue a track.
        match_cost: largest cost (1 - IoU, fused with confidence) of a match, in [0, 1].
        lost_frames: for how many frames a track waits for its person to come back.
    """

    new_track_confidence: float = 0.5
    high_confidence: float = 0.35
    low_confidence: float = 0.1
    match_cost: float = 0.8
    lost_frames: int = 30
