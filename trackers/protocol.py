"""The interface of per-camera trackers, and the settings that all of them share."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

import supervision as sv


class Tracker(Protocol):
    """Tracks the people of one camera; one instance per camera, no state shared between instances."""

    @property
    def open_ids(self) -> AbstractSet[int]:
        """Ids of all tracks that later frames may continue; a confirmed track that is missing here has ended."""
        ...

    def update(self, detections: sv.Detections, seconds: float) -> sv.Detections:
        """Track the people of the next frame.

        Args:
            detections: all boxes of one frame: xyxy float32 (N, 4) pixels, confidence float32 (N,).
            seconds: the frame's time, larger at every call.

        Returns:
            The M <= N rows that belong to a confirmed track, boxes as they were detected, with
            tracker_id int64 (M,) set; ids start at 1, and one tracker never uses an id twice.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Thresholds that all trackers share.

    Attributes:
        new_track_confidence: lowest confidence of a box that starts a track.
        high_confidence: boxes of at least this confidence are matched first.
        low_confidence: boxes of at least this confidence may continue a track.
        match_cost: largest cost (1 - IoU, fused with confidence) of a match, in [0, 1].
        lost_seconds: a track that is not observed for longer than this ends.
    """

    new_track_confidence: float = 0.5
    high_confidence: float = 0.35
    low_confidence: float = 0.1
    match_cost: float = 0.8
    lost_seconds: float = 1.0
