"""Build tracklets from one camera's tracked boxes: time span, path, and the best of the embedded crops."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, merge_tracklet
from ...trackers import TrackedFrame, counts_of, parts, visible_shares
from ..config.stages import AppearanceConfig
from ..types import Crop, Observations, Tracklet
from .change_point import change_points
from .embed import EmbeddedCrop, SettlingFrame
from .images import images_of, images_state
from .observe import PATH_SECONDS, crop_quality, foot_points, to_floor


class _Point(NamedTuple):
    """A point of a track's path, and what was before it: the frame and time of the box, and the track up to it."""

    seconds: float
    x: float
    y: float
    frame_index: int
    observations_before: int
    confidence_before: float
    seconds_before: float


POINT_NUMBERS = len(_Point._fields)
MOST_POINTS = 1200  # ten minutes; of a longer track, older stretches become coarser, so that none grows without end


@dataclass(slots=True)
class _Track:
    """What is known of one track so far."""

    track_id: int
    first_seconds: float
    last_seconds: float
    observations: int = 0
    confidence: float = 0.0  # sum over the observations
    path: list[_Point] = field(default_factory=list)  # of the feet, in pixels
    crops: list[tuple[Crop, Appearance]] = field(default_factory=list)  # the best ones, in time order


class TrackletBuilder:
    """Turns one camera's tracked boxes, frame by frame, into observations and tracklets.

    Args:
        camera: its name.
        config: how many crops are kept.
        homography: from pixels to metres, or None.
        dimensions: D of the appearances.
        split_similarity: tracks are split where their appearance changes, see `change_points`.
    """

    def __init__(
        self,
        camera: str,
        config: AppearanceConfig,
        homography: NDArray[np.float64] | None,
        dimensions: int,
        split_similarity: float = -1.0,
    ) -> None:
        self._camera, self._homography, self._dimensions = camera, homography, dimensions
        self._max_crops, self._split_similarity = config.crops_per_tracklet, split_similarity
        self._open: dict[int, _Track] = {}  # by the tracker's id
        self._tracks_so_far = 0

    def update(self, frame: SettlingFrame, tracked: TrackedFrame) -> Observations:
        """Take one frame's tracked people, with the frame's embedded crops."""
        width, height = frame.width, frame.height
        xyxy = np.asarray(tracked.xyxy.clip(0, [width, height, width, height]), np.float32)  # (N, 4)
        visible = visible_shares(xyxy)
        quality = crop_quality(xyxy, tracked.confidence, visible, width, height)
        feet = foot_points(xyxy)
        track_ids = np.zeros(len(xyxy), np.int64)
        for row, (tracker_id, source) in enumerate(zip(tracked.track_ids.tolist(), tracked.rows.tolist(), strict=True)):
            confidence = float(tracked.confidence[row]) if source >= 0 else None
            track = self._extend(tracker_id, frame, feet[row], confidence)
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
        return [tracklet for tracker_id in ended for tracklet in self._split(self._open.pop(tracker_id))]

    def open_tracklets(self, began_by_seconds: float) -> list[Tracklet]:
        """What is known by now of the tracks that are still open, without those that began later.

        Of a track that went over from one person to another, this is the first person's part.
        """
        found: list[Tracklet] = []
        for track in self._open.values():
            if track.first_seconds <= began_by_seconds:
                cuts = self._cuts(track, change_points(self._appearance(track), self._split_similarity))
                found.append(self._build(self._part(track, 0, cuts[0]) if cuts else track))
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """The open tracks as arrays: one row per track, or for its path and crops as many rows as are counted."""
        tracks = self._open.values()
        crops = [crop for track in tracks for crop in track.crops]
        appearance = concatenate([Appearance.empty(self._dimensions), *(one for _, one in crops)])
        return {
            "tracks_so_far": np.array(self._tracks_so_far),
            "ids": np.array(
                [(own, one.track_id, one.observations) for own, one in self._open.items()], np.int64).reshape(-1, 3),
            "span": np.array(
                [(one.first_seconds, one.last_seconds, one.confidence) for one in tracks], np.float64).reshape(-1, 3),
            "path_count": counts_of(one.path for one in tracks),
            "path": np.array([point for one in tracks for point in one.path], np.float64).reshape(-1, POINT_NUMBERS),
            "crop_count": counts_of(one.crops for one in tracks),
            "crop_frame": np.array([crop.frame_index for crop, _ in crops], np.int64),
            "crop_seconds": np.array([crop.seconds for crop, _ in crops], np.float64),
            "crop_quality": np.array([crop.quality for crop, _ in crops], np.float64),
            "embedding": appearance.embedding, "mask": appearance.mask,
        } | images_state([crop.image for crop, _ in crops])

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        self._tracks_so_far = int(state["tracks_so_far"])
        kept = zip(
            state["crop_frame"].tolist(), state["crop_seconds"].tolist(), state["crop_quality"].tolist(),
            images_of(state), strict=True)
        crops = [
            (Crop(*crop), Appearance(state["embedding"][[row]], state["mask"][[row]])) for row, crop in enumerate(kept)]
        crop_rows = parts(np.arange(len(crops)), state["crop_count"])
        paths = parts(state["path"], state["path_count"])
        self._open = {}
        for row, (tracker_id, track_id, observations) in enumerate(state["ids"].tolist()):
            path = [
                _Point(seconds, x, y, int(frame_index), int(before), *others)
                for seconds, x, y, frame_index, before, *others in paths[row].tolist()]
            first_seconds, last_seconds, confidence = state["span"][row].tolist()
            own = [crops[one] for one in crop_rows[row].tolist()]
            self._open[tracker_id] = _Track(
                track_id, first_seconds, last_seconds, observations, confidence, path, own)

    def _split(self, track: _Track) -> list[Tracklet]:
        """The tracklets of a track that has ended: one, or more if it went over from one person to another."""
        cuts = self._cuts(track, change_points(self._appearance(track), self._split_similarity))
        if not cuts:
            return [self._build(track)]
        found: list[Tracklet] = []
        for first, end in pairwise([0, *cuts, len(track.path)]):
            part = self._part(track, first, end)
            built = self._build(part)
            if first:
                built = replace(built, taken_from=(found[-1].track_id, track.path[first].frame_index))
            found.append(built)
        return found

    def _cuts(self, track: _Track, crops: list[int]) -> list[int]:
        """Path points at which these crops' people begin: halfway from the crop before."""
        seconds = np.array([crop.seconds for crop, _ in track.crops])
        halfway = [(seconds[row - 1] + seconds[row]) / 2 for row in crops]
        points = np.searchsorted([point.seconds for point in track.path], halfway)
        return sorted({int(point) for point in points if 0 < point < len(track.path)})

    def _part(self, track: _Track, first: int, end: int) -> _Track:
        """A track's part from one path point to before another; the first part keeps the track's number."""
        begin, path = track.path[first], track.path[first:end]
        last_seconds, observations, confidence = track.last_seconds, track.observations, track.confidence
        if end < len(track.path):
            *_, observations, confidence, last_seconds = track.path[end]
        if first:
            self._tracks_so_far += 1
        crops = [(crop, one) for crop, one in track.crops if begin.seconds <= crop.seconds <= last_seconds]
        return _Track(
            self._tracks_so_far if first else track.track_id,
            begin.seconds,
            last_seconds,
            observations - begin.observations_before,
            confidence - begin.confidence_before,
            path,
            crops,
        )

    def _build(self, track: _Track) -> Tracklet:
        appearance = self._appearance(track)  # (T, D)
        path = np.array([point[:3] for point in track.path])  # (P, 3), float64 because epoch seconds need it
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
            appearance=merge_tracklet(appearance) if len(appearance) else appearance,
            crops=[crop for crop, _ in track.crops],
            crop_appearance=appearance,
            path=path.astype(np.float32),
            floor_path=floor_path,
            confidence=track.confidence / max(track.observations, 1),
        )

    def _appearance(self, track: _Track) -> Appearance:
        """One row per crop."""
        return concatenate([Appearance.empty(self._dimensions), *(one for _, one in track.crops)])

    def _extend(
        self, tracker_id: int, frame: SettlingFrame, foot: NDArray[np.float32], confidence: float | None
    ) -> _Track:
        """The box's track, opened if it is new, with this box added; an interpolated one has no confidence."""
        track, seconds = self._open.get(tracker_id), frame.seconds
        if track is None:
            self._tracks_so_far += 1  # a number of our own: trackers also number tracks that they never confirm
            track = self._open[tracker_id] = _Track(self._tracks_so_far, seconds, seconds)
        if not track.path or seconds - track.path[-1].seconds >= PATH_SECONDS:
            before = track.observations, track.confidence, track.last_seconds
            track.path.append(_Point(seconds, float(foot[0]), float(foot[1]), frame.index, *before))
            if len(track.path) > MOST_POINTS:
                del track.path[1::2]
        track.last_seconds = seconds
        if confidence is not None:  # an interpolated box is no observation
            track.observations += 1
            track.confidence += confidence
        return track

    def _keep(self, track: _Track, frame: SettlingFrame, embedded: EmbeddedCrop, quality: float) -> None:
        """Add a crop; the worst of too many is dropped."""
        track.crops.append((Crop(frame.index, frame.seconds, quality, embedded.image), embedded.appearance))
        if len(track.crops) > self._max_crops:
            del track.crops[int(np.argmin([crop.quality for crop, _ in track.crops]))]
