"""Build tracklets from one camera's tracked boxes: time span, path, and the best of the embedded crops."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, merge_tracklet
from ...trackers import TrackedFrame, visible_shares
from ..config.schema import AppearanceConfig
from ..types import Crop, Observations, Tracklet
from .embed import EmbeddedCrop, FrameCrops
from .observe import PATH_SECONDS, crop_quality, foot_points, to_floor


@dataclass(slots=True)
class _Track:
    """What is known of one track so far."""

    track_id: int
    first_seconds: float
    last_seconds: float
    observations: int = 0
    path: list[tuple[float, float, float]] = field(default_factory=list)  # seconds, foot x and y in pixels
    crops: list[tuple[Crop, Appearance]] = field(default_factory=list)  # the best ones, in time order


class TrackletBuilder:
    """Turns one camera's tracked boxes, frame by frame, into observations and tracklets.

    Args:
        camera: its name.
        config: how many crops are kept.
        homography: from pixels to metres, or None.
        dimensions: D of the appearances.
    """

    def __init__(
        self, camera: str, config: AppearanceConfig, homography: NDArray[np.float64] | None, dimensions: int
    ) -> None:
        self._camera, self._homography, self._dimensions = camera, homography, dimensions
        self._max_crops = config.crops_per_tracklet
        self._open: dict[int, _Track] = {}  # by the tracker's id
        self._tracks_so_far = 0

    def update(self, frame: FrameCrops, tracked: TrackedFrame) -> Observations:
        """Take one frame's tracked people, with the frame's embedded crops."""
        width, height = frame.width, frame.height
        xyxy = np.asarray(tracked.xyxy.clip(0, [width, height, width, height]), np.float32)  # (N, 4)
        visible = visible_shares(xyxy)
        quality = crop_quality(xyxy, tracked.confidence, visible, width, height)
        feet = foot_points(xyxy)
        track_ids = np.zeros(len(xyxy), np.int64)
        for row, (tracker_id, source) in enumerate(zip(tracked.track_ids.tolist(), tracked.rows.tolist(), strict=True)):
            track = self._extend(tracker_id, frame.seconds, feet[row], detected=source >= 0)
            track_ids[row] = track.track_id
            if source in frame.crops:
                self._keep(track, frame, frame.crops[source], float(quality[row]))
        return Observations(
            self._camera, frame.index, frame.seconds, track_ids, xyxy, tracked.confidence, visible)

    def close(self, open_ids: Container[int]) -> list[Tracklet]:
        """The tracklets of the tracks that have ended.

        Args:
            open_ids: the tracker's ids of those that may still be continued; none at the end of the footage.
        """
        ended = [tracker_id for tracker_id in self._open if tracker_id not in open_ids]
        return [self._build(self._open.pop(tracker_id)) for tracker_id in ended]

    def _build(self, track: _Track) -> Tracklet:
        nothing = Appearance.empty(self._dimensions)
        appearance = concatenate([nothing, *(one for _, one in track.crops)])  # (T, D)
        path = np.array(track.path)  # (P, 3), float64 because epoch seconds need it
        path[:, 0] -= track.first_seconds
        floor_path = None
        if self._homography is not None:
            floor_path = np.column_stack([path[:, :1], to_floor(path[:, 1:], self._homography)]).astype(np.float32)
        return Tracklet(
            camera=self._camera,
            track_id=track.track_id,
            first_seconds=track.first_seconds,
            last_seconds=track.last_seconds,
            observations=track.observations,
            appearance=merge_tracklet(appearance) if len(appearance) else nothing,
            crops=[crop for crop, _ in track.crops],
            crop_appearance=appearance,
            path=path.astype(np.float32),
            floor_path=floor_path,
        )

    def _extend(self, tracker_id: int, seconds: float, foot: NDArray[np.float32], detected: bool) -> _Track:
        """The box's track, opened if it is new, with this box added."""
        track = self._open.get(tracker_id)
        if track is None:
            self._tracks_so_far += 1  # a number of our own: trackers also number tracks that they never confirm
            track = self._open[tracker_id] = _Track(self._tracks_so_far, seconds, seconds)
        track.last_seconds = seconds
        track.observations += detected  # an interpolated box is no observation
        if not track.path or seconds - track.path[-1][0] >= PATH_SECONDS:
            track.path.append((seconds, float(foot[0]), float(foot[1])))
        return track

    def _keep(self, track: _Track, frame: FrameCrops, embedded: EmbeddedCrop, quality: float) -> None:
        """Add a crop; the worst of too many is dropped."""
        track.crops.append((Crop(frame.index, frame.seconds, quality, embedded.image), embedded.appearance))
        if len(track.crops) > self._max_crops:
            del track.crops[int(np.argmin([crop.quality for crop, _ in track.crops]))]
