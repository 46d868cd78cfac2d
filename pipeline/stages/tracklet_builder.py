"""Build tracklets from one camera's tracked boxes: time span, path, and the crops worth embedding."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ...reid import Appearance, merge_tracklet
from ..config.schema import AppearanceConfig
from ..types import Crop, Frame, Observations, Tracklet
from .observe import PATH_SECONDS, crop_quality, foot_points, to_floor, visible_shares


@dataclass(slots=True)
class _Track:
    """What is known of one track so far."""

    track_id: int
    first_seconds: float
    last_seconds: float
    due_seconds: float  # when the best crop is embedded
    observations: int = 0
    path: list[tuple[float, float, float]] = field(default_factory=list)  # seconds, foot x and y in pixels
    best: Crop | None = None  # since the last embedded one


class TrackletBuilder:
    """Turns one camera's tracked boxes, frame by frame, into observations, crops to embed, and tracklets.

    A track is open while the tracker may continue it, then closed until its crops are embedded, then a tracklet.
    """

    def __init__(self, camera: str, config: AppearanceConfig, homography: NDArray[np.float64] | None) -> None:
        self._camera = camera
        self._config = config
        self._homography = homography
        self._open: dict[int, _Track] = {}  # by the tracker's id
        self._closed: dict[int, _Track] = {}  # by our own
        self._tracks_so_far = 0

    def update(self, frame: Frame, tracked: sv.Detections) -> tuple[Observations, list[tuple[int, Crop]]]:
        """Take one frame's tracked people.

        Args:
            frame: the frame they are in.
            tracked: xyxy float32 (N, 4) pixels, confidence (N,), tracker_id (N,).

        Returns:
            The frame's observations, and the crops that are due to be embedded, with their track ids.
        """
        height, width = frame.image.shape[:2]
        xyxy = np.asarray(tracked.xyxy, np.float32).clip(0, [width, height, width, height]).astype(np.float32)
        confidence = np.asarray(tracked.confidence, np.float32)
        visible = visible_shares(xyxy)
        quality = crop_quality(xyxy, confidence, visible, width, height)
        tall = xyxy[:, 3] - xyxy[:, 1] >= self._config.min_height_px
        useful = tall & (visible >= self._config.min_visible)
        feet = foot_points(xyxy)
        due: list[tuple[int, Crop]] = []
        track_ids = np.zeros(len(xyxy), np.int64)
        for row, tracker_id in enumerate(np.asarray(tracked.tracker_id, np.int64).tolist()):
            track = self._extend(tracker_id, frame.seconds, feet[row])
            track_ids[row] = track.track_id
            if useful[row] and (track.best is None or quality[row] > track.best.quality):
                track.best = Crop(frame.index, frame.seconds, float(quality[row]), _cut(frame, xyxy[row]))
            if track.best is not None and frame.seconds >= track.due_seconds:
                due.append((track.track_id, track.best))
                track.best, track.due_seconds = None, frame.seconds + self._config.interval_seconds
        return Observations(self._camera, frame.index, frame.seconds, track_ids, xyxy, confidence, visible), due

    def close(self, open_ids: Container[int]) -> list[tuple[int, Crop | None]]:
        """Close the tracks that have ended.

        Args:
            open_ids: the tracker's ids of those that may still be continued; none at the end of the footage.

        Returns:
            The closed tracks' ids, each with its last crop to embed, if any.
        """
        ended = [tracker_id for tracker_id in self._open if tracker_id not in open_ids]
        closed = [self._open.pop(tracker_id) for tracker_id in ended]
        self._closed |= {track.track_id: track for track in closed}
        return [(track.track_id, track.best) for track in closed]

    def build(self, track_id: int, crops: list[Crop], crop_appearance: Appearance) -> Tracklet:
        """Build the tracklet of a closed track.

        Args:
            track_id: as `close` returned it.
            crops: its T embedded crops, in time order.
            crop_appearance: their T rows.
        """
        track = self._closed.pop(track_id)
        path = np.array(track.path)  # (P, 3), float64 because epoch seconds need it
        path[:, 0] -= track.first_seconds
        floor_path = None
        if self._homography is not None:
            floor_path = np.column_stack([path[:, :1], to_floor(path[:, 1:], self._homography)]).astype(np.float32)
        return Tracklet(
            camera=self._camera,
            track_id=track_id,
            first_seconds=track.first_seconds,
            last_seconds=track.last_seconds,
            observations=track.observations,
            appearance=merge_tracklet(crop_appearance) if len(crop_appearance) else crop_appearance,
            crops=crops,
            crop_appearance=crop_appearance,
            path=path.astype(np.float32),
            floor_path=floor_path,
        )

    def _extend(self, tracker_id: int, seconds: float, foot: NDArray[np.float32]) -> _Track:
        """The box's track, opened if it is new, with this observation added."""
        track = self._open.get(tracker_id)
        if track is None:
            self._tracks_so_far += 1  # a number of our own: trackers also number tracks that they never confirm
            # The first crop waits half an interval: people are cut by the border when they walk in.
            due_seconds = seconds + self._config.interval_seconds / 2
            track = self._open[tracker_id] = _Track(self._tracks_so_far, seconds, seconds, due_seconds)
        track.last_seconds = seconds
        track.observations += 1
        if not track.path or seconds - track.path[-1][0] >= PATH_SECONDS:
            track.path.append((seconds, float(foot[0]), float(foot[1])))
        return track


def _cut(frame: Frame, xyxy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The person's part of the frame, copied so that the frame need not be kept."""
    left, top = np.floor(xyxy[:2]).astype(int)
    right, bottom = np.ceil(xyxy[2:]).astype(int)
    return frame.image[top : max(bottom, top + 1), left : max(right, left + 1)].copy()
