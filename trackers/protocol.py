"""The interface of per-camera trackers, and the settings that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

TIMESTAMP_SLACK_SECONDS = 0.002  # containers round timestamps to a millisecond

Embed = Callable[[NDArray[np.int64]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Rows (K,) of the frame's detections → embeddings of unit length and masks in [0, 1], float32 (K, D) each."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The people found in one frame, N of them.

    Attributes:
        xyxy: float32 (N, 4) pixels.
        confidence: float32 (N,) in [0, 1].
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def none(cls) -> Detections:
        """Those of an empty frame."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One frame's boxes that belong to tracks, N of them.

    Attributes:
        seconds: the frame's time, as it was given.
        xyxy: float32 (N, 4) pixels: boxes as they were detected, and interpolated ones.
        confidence: float32 (N,) in [0, 1]; 0 for interpolated boxes.
        track_ids: int64 (N,), distinct, from 1.
        rows: int64 (N,), the box's row in the frame's detections; -1 for interpolated boxes.
    """

    seconds: float
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    track_ids: NDArray[np.int64]
    rows: NDArray[np.int64]


class Tracker(Protocol):
    """Tracks the people of one camera; one instance per camera, no state shared between instances.

    A tracker may hold frames back until it is sure of their ids; it returns every frame once, in order.
    """

    @property
    def open_ids(self) -> AbstractSet[int]:
        """Ids that frames may still have that are not returned yet; a track whose id is missing here has ended."""
        ...

    @property
    def people(self) -> int:
        """How many people are tracked in the newest frame."""
        ...

    def update(self, detections: Detections, seconds: float, embed: Embed) -> list[TrackedFrame]:
        """Track the people of the next frame.

        Args:
            detections: all boxes of one frame: xyxy float32 (N, 4) pixels, confidence float32 (N,).
            seconds: the frame's time, larger at every call.
            embed: appearance of some of these boxes, computed when it is called; only during this update.

        Returns:
            The frames that are settled by now, oldest first. One tracker never uses an id for two tracks.
        """
        ...

    def finish(self) -> list[TrackedFrame]:
        """Return the frames that are still held back, at the end of the footage."""
        ...


@runtime_checkable
class ResumableTracker(Tracker, Protocol):
    """A tracker whose state can be stored, so that a run that broke off can be continued."""

    def state(self) -> dict[str, NDArray[Any]]:
        """All that decides what comes next, as arrays of numbers, to be stored between two calls of `update`."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue, with the same settings, as the tracker would have that gave this state."""
        ...


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Settings that all trackers share.

    Attributes:
        new_track_confidence: lowest confidence of a box that starts a track.
        high_confidence: boxes of at least this confidence are matched first.
        low_confidence: boxes of at least this confidence may continue a track.
        match_cost: largest cost (1 - IoU, fused with confidence) of a match, in [0, 1].
        lost_seconds: a track that is not observed for longer than this ends.
        fill_seconds: gaps of a track up to this are filled by interpolation.
        crops_per_second: most crops embedded per second and tracked person.
        interval_seconds: time between two crops of a person in plain view.
        min_height_px: lower boxes are not embedded.
        min_visible: boxes of which a smaller share is visible are not embedded.
        frame_wh: width and height of the frames in pixels, to know which boxes their border cuts; None if unknown.
        appearance: how crops are compared: by the dims reliable in both masks, by all dims, or not at all.
    """

    new_track_confidence: float = 0.5
    high_confidence: float = 0.35
    low_confidence: float = 0.1
    match_cost: float = 0.7
    lost_seconds: float = 1.0
    fill_seconds: float = 1.0
    crops_per_second: float = 2.0
    interval_seconds: float = 1.0
    min_height_px: float = 40.0
    min_visible: float = 0.3
    frame_wh: tuple[int, int] | None = None
    appearance: Literal["masked", "plain", "none"] = "masked"
