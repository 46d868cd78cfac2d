"""Write a run's results as rows, in bulk, inside the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Insert, bindparam, insert, select, update

from ...reid import Appearance
from ..credentials import without_credentials
from ..types import CameraReport, Crop, Link, Observations, TrackKey, Tracklet
from .schema import (
    AnalysedFrame,
    AppearanceRow,
    Camera,
    CropRow,
    Identity,
    LinkRow,
    Observation,
    TrackletRow,
)

BEST_CROPS = 4  # enough to judge a link by eye
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class PackedTracklet:
    """A finished tracklet with the images that are stored only, so that queued ones need little memory.

    Attributes:
        appearances: (kind, seconds, embedding as float16 bytes, mask as float16 bytes).
        crops: the best ones, best first.
    """

    key: TrackKey
    first_seconds: float
    last_seconds: float
    observations: int
    dims: int
    appearances: list[tuple[str, float, bytes, bytes]]
    crops: list[Crop]


def pack_tracklet(tracklet: Tracklet) -> PackedTracklet:
    """Reduce a tracklet to what is stored."""
    appearances = _pack("tracklet", [tracklet.first_seconds] * len(tracklet.appearance), tracklet.appearance)
    if tracklet.crop_appearance is not None:
        appearances += _pack("crop", [crop.seconds for crop in tracklet.crops], tracklet.crop_appearance)
    crops = {crop.frame_index: crop for crop in tracklet.crops}.values()  # one crop per frame is enough
    best = sorted(crops, key=lambda crop: (-crop.quality, crop.frame_index))[:BEST_CROPS]
    return PackedTracklet(
        tracklet.key, tracklet.first_seconds, tracklet.last_seconds, tracklet.observations,
        tracklet.appearance.dimensions, appearances, best)


class RowWriter:
    """Writes the rows of one run; caches the row ids of open tracklets."""

    def __init__(self, run_id: int, camera_ids: dict[str, int]) -> None:
        self._run_id = run_id
        self._camera_ids = camera_ids
        self._open: dict[TrackKey, int] = {}

    def write_observations(self, connection: Connection, frames: Sequence[Observations]) -> None:
        """Insert analysed frames, boxes, and tracklets at their first box."""
        if not frames:
            return
        connection.execute(insert(AnalysedFrame), [
            {"camera_id": self._camera_ids[frame.camera], "frame_index": frame.frame_index} for frame in frames])
        rows: list[dict[str, float]] = []
        last: dict[int, float] = {}
        for frame in frames:
            boxes = zip(frame.track_ids.tolist(), frame.xyxy.tolist(), frame.confidence.tolist(),
                        frame.visible.tolist(), frame.interpolated.tolist(), strict=True)
            for track_id, (x1, y1, x2, y2), confidence, visible, interpolated in boxes:
                tracklet_id = self._tracklet(connection, (frame.camera, track_id), frame.seconds)
                last[tracklet_id] = frame.seconds
                rows.append({
                    "tracklet_id": tracklet_id, "frame_index": frame.frame_index, "seconds": frame.seconds,
                    "x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": confidence, "visible": visible,
                    "interpolated": interpolated})
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
                 "quality": float(crop.quality), "jpeg": encode_jpeg(crop.image)}
                for crop in tracklet.crops]
        if appearances:
            connection.execute(insert(AppearanceRow), appearances)
        if crops:
            connection.execute(insert(CropRow), crops)

    def write_links(self, connection: Connection, links: Sequence[Link]) -> None:
        """Insert links, and identities at their first link."""
        now = datetime.now(UTC)
        for link in links:
            tracklet_id = self._find_tracklet(connection, (link.camera, link.track_id))
            if tracklet_id is None:
                raise ValueError(f"link: expected a stored tracklet, got {link.track_id} of {link.camera}")
            identity_id = self._identity(connection, link.identity)
            connection.execute(insert(LinkRow).values(
                tracklet_id=tracklet_id, identity_id=identity_id, similarity=link.similarity,
                shared_mask=link.shared_mask, gap_seconds=link.gap_seconds, by=link.by, created_at=now))
            connection.execute(
                update(TrackletRow).where(TrackletRow.id == tracklet_id).values(identity_id=identity_id))

    def write_reports(self, connection: Connection, reports: Sequence[CameraReport]) -> None:
        """Update the cameras with their reports."""
        for report in reports:
            connection.execute(update(Camera).where(Camera.id == self._camera_ids[report.camera]).values(
                decoded=report.decoded, analysed=report.analysed, thinned=report.thinned,
                dropped=report.dropped, damaged=report.damaged, status=report.status,
                error=without_credentials(report.error)))

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

    def _identity(self, connection: Connection, number: int) -> int:
        found = connection.scalar(
            select(Identity.id).where(Identity.run_id == self._run_id, Identity.number == number))
        if found is not None:
            return found
        return insert_row(connection, insert(Identity).values(run_id=self._run_id, number=number))


def insert_row(connection: Connection, statement: Insert) -> int:
    """Insert one row; returns its id. (MySQL has no RETURNING.)"""
    key = cast("tuple[int]", connection.execute(statement).inserted_primary_key)
    return key[0]


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (h, w, 3) BGR as a JPEG file."""
    done, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"image: expected uint8 (h, w, 3), got {image.dtype} {image.shape}")
    return bytes(buffer)


def _pack(kind: str, seconds: list[float], appearance: Appearance) -> list[tuple[str, float, bytes, bytes]]:
    embedding = appearance.embedding.astype("<f2")
    mask = appearance.mask.astype("<f2")
    return [(kind, moment, one.tobytes(), other.tobytes())
            for moment, one, other in zip(seconds, embedding, mask, strict=True)]
