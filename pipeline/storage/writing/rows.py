"""Write a run's results as rows, in bulk, inside the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Insert, bindparam, func, insert, select, update

from ....reid import Appearance
from ...credentials import without_credentials
from ...types import CameraReport, Crop, Observations, TrackKey, Tracklet
from ..packing import encode_crop, pack_appearance
from ..schema import (
    AnalysedFrame,
    AppearanceRow,
    Camera,
    CropRow,
    Observation,
    TrackletRow,
)

BEST_CROPS = 2  # enough to judge a link by eye; pictures take most of the database's room


@dataclass(frozen=True, slots=True)
class PackedTracklet:
    """A finished tracklet with the images that are stored only, so that queued ones need little memory.

    Attributes:
        appearances: (kind, seconds, embedding, mask), the last two as packed bytes.
        crops: the best ones, best first.
    """

    key: TrackKey
    first_seconds: float
    last_seconds: float
    observations: int
    dims: int
    appearances: list[tuple[str, float, bytes, bytes]]
    crops: list[Crop]
    taken_from: tuple[int, int] | None = None


def pack_tracklet(tracklet: Tracklet) -> PackedTracklet:
    """Reduce a tracklet to what is stored."""
    appearances = _pack("tracklet", [tracklet.first_seconds] * len(tracklet.appearance), tracklet.appearance)
    if tracklet.crop_appearance is not None:
        appearances += _pack("crop", [crop.seconds for crop in tracklet.crops], tracklet.crop_appearance)
    crops = {crop.frame_index: crop for crop in tracklet.crops}.values()  # one crop per frame is enough
    best = sorted(crops, key=lambda crop: (-crop.quality, crop.frame_index))[:BEST_CROPS]
    return PackedTracklet(
        tracklet.key, tracklet.first_seconds, tracklet.last_seconds, tracklet.observations,
        tracklet.appearance.dimensions, appearances, best, tracklet.taken_from)


class RowWriter:
    """Writes the rows of one run; caches the row ids of open tracklets."""

    def __init__(self, camera_ids: dict[str, int]) -> None:
        self._camera_ids = camera_ids
        self._open: dict[TrackKey, int] = {}
        self._newest: dict[str, int] = {}  # index of the last frame stored, by camera

    def write_observations(self, connection: Connection, frames: Sequence[Observations]) -> None:
        """Insert analysed frames, boxes, and tracklets at their first box."""
        if not frames:
            return
        self._write_frames(connection, frames)
        rows: list[dict[str, float]] = []
        last: dict[int, float] = {}
        for frame in frames:
            boxes = zip(frame.track_ids.tolist(), frame.xyxy.tolist(), frame.confidence.tolist(),
                        frame.visible.tolist(), frame.interpolated.tolist(), strict=True)
            for track_id, (x1, y1, x2, y2), confidence, visible, interpolated in boxes:
                tracklet_id = self._tracklet(connection, (frame.camera, track_id), frame.seconds)
                last[tracklet_id] = max(frame.seconds, last.get(tracklet_id, frame.seconds))
                rows.append({
                    "tracklet_id": tracklet_id, "frame_index": frame.frame_index,
                    "x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": confidence, "visible": visible,
                    "interpolated": int(interpolated)})
        if not rows:
            return
        connection.execute(insert(Observation), rows)
        counts = Counter(row["tracklet_id"] for row in rows if not row["interpolated"])
        connection.execute(
            update(TrackletRow).where(TrackletRow.id == bindparam("tracklet")).values(
                last_seconds=bindparam("last"), observations=TrackletRow.observations + bindparam("more")),
            [{"tracklet": key, "last": seconds, "more": counts[key]} for key, seconds in last.items()])

    def write_tracklets(self, connection: Connection, tracklets: Sequence[PackedTracklet]) -> None:
        """Insert appearances and best crops of finished tracklets."""
        appearances: list[dict[str, object]] = []
        crops: list[dict[str, object]] = []
        for tracklet in tracklets:
            tracklet_id = self._tracklet(connection, tracklet.key, tracklet.first_seconds)
            self._take_boxes(connection, tracklet, tracklet_id)
            self._open.pop(tracklet.key, None)
            connection.execute(update(TrackletRow).where(TrackletRow.id == tracklet_id).values(
                first_seconds=tracklet.first_seconds, last_seconds=tracklet.last_seconds,
                observations=tracklet.observations))
            appearances += [
                {"tracklet_id": tracklet_id, "kind": kind, "seconds": seconds, "dims": tracklet.dims,
                 "embedding": embedding, "mask": mask}
                for kind, seconds, embedding, mask in tracklet.appearances]
            crops += [
                {"tracklet_id": tracklet_id, "frame_index": crop.frame_index, "seconds": crop.seconds,
                 "quality": float(crop.quality), "image": encode_crop(crop.image)}
                for crop in tracklet.crops]
        if appearances:
            connection.execute(insert(AppearanceRow), appearances)
        if crops:
            connection.execute(insert(CropRow), crops)

    def write_reports(self, connection: Connection, reports: Sequence[CameraReport]) -> None:
        """Update the cameras with their reports."""
        for report in reports:
            connection.execute(update(Camera).where(Camera.id == self._camera_ids[report.camera]).values(
                decoded=report.decoded, analysed=report.analysed, thinned=report.thinned,
                dropped=report.dropped, damaged=report.damaged, status=report.status,
                error=without_credentials(report.error)))

    def _take_boxes(self, connection: Connection, tracklet: PackedTracklet, tracklet_id: int) -> None:
        """Move the boxes that were stored before it was known whose they are."""
        if tracklet.taken_from is None:
            return
        track_id, frame_index = tracklet.taken_from
        other = self._find_tracklet(connection, (tracklet.key[0], track_id))
        connection.execute(update(Observation).where(
            Observation.tracklet_id == other, Observation.frame_index >= frame_index).values(tracklet_id=tracklet_id))
        connection.execute(update(TrackletRow).where(TrackletRow.id == tracklet_id).values(taken_from=other))

    def _write_frames(self, connection: Connection, frames: Sequence[Observations]) -> None:
        """Insert the frames that are not stored yet; interpolated boxes come later than the boxes of their frame."""
        new: list[dict[str, float]] = []
        for frame in frames:
            camera_id = self._camera_ids[frame.camera]
            if frame.camera not in self._newest:
                stored = select(func.max(AnalysedFrame.frame_index)).where(AnalysedFrame.camera_id == camera_id)
                newest = connection.scalar(stored)
                self._newest[frame.camera] = -1 if newest is None else newest
            if frame.frame_index > self._newest[frame.camera]:
                self._newest[frame.camera] = frame.frame_index
                new.append({"camera_id": camera_id, "frame_index": frame.frame_index, "seconds": frame.seconds})
        if new:
            connection.execute(insert(AnalysedFrame), new)

    def _tracklet(self, connection: Connection, key: TrackKey, first_seconds: float) -> int:
        """The row id of a tracklet, inserted if there is none."""
        known = self._open.get(key)
        if known is not None:
            return known
        found = self._find_tracklet(connection, key)
        if found is None:
            found = insert_row(connection, insert(TrackletRow).values(
                camera_id=self._camera_ids[key[0]], track_id=key[1], first_seconds=first_seconds,
                last_seconds=first_seconds, observations=0))
        self._open[key] = found
        return found

    def _find_tracklet(self, connection: Connection, key: TrackKey) -> int | None:
        return self._open.get(key) or connection.scalar(select(TrackletRow.id).where(
            TrackletRow.camera_id == self._camera_ids[key[0]], TrackletRow.track_id == key[1]))


def insert_row(connection: Connection, statement: Insert) -> int:
    """Insert one row; returns its id. (MySQL has no RETURNING.)"""
    key = cast("tuple[int]", connection.execute(statement).inserted_primary_key)
    return key[0]


def _pack(kind: str, seconds: list[float], appearance: Appearance) -> list[tuple[str, float, bytes, bytes]]:
    packed = pack_appearance(appearance) if len(appearance) else []
    return [(kind, moment, embedding, mask) for moment, (embedding, mask) in zip(seconds, packed, strict=True)]
