"""One camera's tracked boxes become tracklets: their span, their path, and the crops that are worth an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ..config.schema import AppearanceConfig
from ..types import Crop, Frame, Observations
from .observe import crop_quality, foot_points, to_floor, visible_shares

PATH_SECONDS = 0.5  # one path point in this time is enough to tell where somebody walked


@dataclass(slots=True)
class OpenTrack:
    """A track that may still go on; becomes a tracklet once its embeddings are there."""

    camera: str
    track_id: int
    first_seconds: float
    last_seconds: float
    observations: int = 0
    path: list[tuple[float, float, float]] = field(default_factory=list)
    best: Crop | None = None  # the best view since the last embedded one
    due_seconds: float = 0.0  # when the best view is handed over


class TrackletBuilder:
    """Turns one camera's detections, frame by frame, into observations, crops to embed, and finished tracks."""

    def __init__(
        self, camera: str, config: AppearanceConfig, lost_seconds: float, homography: NDArray[np.float64] | None
    ) -> None:
        self._camera = camera
        self._config = config
        self._lost_seconds = lost_seconds
        self._homography = homography
        self._open: dict[int, OpenTrack] = {}  # by the tracker's id
        self._tracks_so_far = 0

    def follow(self, frame: Frame, tracked: sv.Detections) -> tuple[Observations, list[tuple[OpenTrack, Crop]]]:
        """Take one frame's tracked people.

        Args:
            frame: the picture they are in.
            tracked: xyxy float32 (N, 4) pixels, confidence (N,), tracker_id (N,).

        Returns:
            The frame's observations, and the crops whose turn has come to be embedded, with their tracks.
        """
        height, width = frame.image.shape[:2]
        xyxy = np.asarray(tracked.xyxy, np.float32).clip(0, [width, height, width, height]).astype(np.float32)
        confidence = np.asarray(tracked.confidence, np.float32)
        visible = visible_shares(xyxy)
        quality = crop_quality(xyxy, confidence, visible, width, height)
        tall = xyxy[:, 3] - xyxy[:, 1] >= self._config.min_height_px
        useful = tall & (visible >= self._config.min_visible)
        floor = foot_points(xyxy) if self._homography is None else to_floor(foot_points(xyxy), self._homography)
        due: list[tuple[OpenTrack, Crop]] = []
        track_ids = np.zeros(len(xyxy), np.int64)
        for row, tracker_id in enumerate(np.asarray(tracked.tracker_id, np.int64).tolist()):
            track = self._step(tracker_id, frame.seconds, floor[row])
            track_ids[row] = track.track_id
            if useful[row] and (track.best is None or quality[row] > track.best.quality):
                track.best = Crop(frame.index, frame.seconds, float(quality[row]), _cut(frame, xyxy[row]))
            if track.best is not None and frame.seconds >= track.due_seconds:
                due.append(self._hand_over(track, frame.seconds))
        return Observations(self._camera, frame.index, frame.seconds, track_ids, xyxy, confidence, visible), due

    def finished(self, now_seconds: float) -> Iterator[tuple[OpenTrack, Crop | None]]:
        """Tracks that nobody has seen for `lost_seconds` before `now_seconds`, each with its last crop, if any.

        Pass `math.inf` at the end of the footage.
        """
        over = [key for key, track in self._open.items() if now_seconds - track.last_seconds > self._lost_seconds]
        for track in map(self._open.pop, over):
            best, track.best = track.best, None
            yield track, best

    def _step(self, tracker_id: int, seconds: float, floor: NDArray[np.float32]) -> OpenTrack:
        track = self._open.get(tracker_id)
        if track is None:
            # A number of our own: a tracker counts frames, and may give an id again after a hole in the footage.
            self._tracks_so_far += 1
            # The first crop waits half an interval: people are cut by the border when they walk in.
            due_seconds = seconds + self._config.interval_seconds / 2
            track = OpenTrack(self._camera, self._tracks_so_far, seconds, seconds, due_seconds=due_seconds)
            self._open[tracker_id] = track
        track.last_seconds = seconds
        track.observations += 1
        if not track.path or seconds - track.path[-1][0] >= PATH_SECONDS:
            track.path.append((seconds, float(floor[0]), float(floor[1])))
        return track

    def _hand_over(self, track: OpenTrack, seconds: float) -> tuple[OpenTrack, Crop]:
        assert track.best is not None
        crop, track.best = track.best, None
        track.due_seconds = seconds + self._config.interval_seconds
        return track, crop


def _cut(frame: Frame, xyxy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The person's part of the picture, copied, so that the picture itself need not be kept."""
    left, top = np.floor(xyxy[:2]).astype(int)
    right, bottom = np.ceil(xyxy[2:]).astype(int)
    return frame.image[top : max(bottom, top + 1), left : max(right, left + 1)].copy()
