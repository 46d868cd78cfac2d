"""What the first page shows: cameras, people now and over the time, and what waits for a decision."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import av
import av.error
import cv2
import numpy as np
from sqlalchemy import func, select

from ..storage.corrected import undone
from ..storage.queries import iso_time
from ..storage.schema import (
    AnalysedFrame,
    Camera,
    CorrectionRow,
    CorrectionTracklet,
    CropRow,
    Identity,
    LinkRow,
    Run,
    TrackletRow,
)
from ..storage.store import Store
from .reads import linked_tracklets

NOW_SECONDS = 2.0  # who was seen within this time before a camera's last frame is there now
BINS = 120  # of the chart
SHORTEST_BIN = 1.0  # seconds
UNSURE = 0.75  # links with a lower probability are worth a look; the timeline hatches them
PREVIEW_WIDTH, PREVIEW_QUALITY = 480, 80


class LiveCamera(TypedDict):
    """A camera now: `last_seconds` of its newest analysed frame, UTC epoch, None before the first one."""

    id: int
    name: str
    status: str
    error: str
    frames: int
    last_seconds: float | None
    people: int


class Live(TypedDict):
    """The state of a run now, as events send it."""

    run: int
    status: str
    started: str
    finished: str | None
    people: int
    tracklets: int
    now_seconds: float | None
    people_now: int
    cameras: list[LiveCamera]


class Overview(TypedDict):
    """The first page, beside what is live: people per bin of time, and the newest crop of each camera."""

    chart: dict[str, object]
    newest: dict[str, dict[str, object]]
    undecided: int
    unsure: int


def is_running(store: Store, run: int) -> bool:
    """Whether a run goes on."""
    with store.reading() as connection:
        return connection.scalar(select(Run.status).where(Run.id == run)) == "running"


def live(store: Store, run: int) -> Live:
    """The state of a run now; cheap enough for every second."""
    with store.reading() as connection:
        row = connection.execute(
            select(Run.status, Run.started_at, Run.finished_at).where(Run.id == run)).one()
        cameras = connection.execute(
            select(Camera.id, Camera.name, Camera.status, Camera.error).where(Camera.run_id == run)
            .order_by(Camera.id)).all()
        found: list[LiveCamera] = []
        in_view: set[tuple[int, int]] = set()  # somebody seen by two cameras counts once
        for id_, name, status, error in cameras:
            newest = connection.scalar(
                select(func.max(AnalysedFrame.frame_index)).where(AnalysedFrame.camera_id == id_))
            seconds = None if newest is None else connection.scalar(select(AnalysedFrame.seconds).where(
                AnalysedFrame.camera_id == id_, AnalysedFrame.frame_index == newest))
            there = [] if seconds is None else connection.execute(
                select(TrackletRow.identity_id, TrackletRow.id).where(
                    TrackletRow.camera_id == id_, TrackletRow.last_seconds >= seconds - NOW_SECONDS)).all()
            in_view.update((0, tracklet) if identity is None else (identity, 0) for identity, tracklet in there)
            found.append({
                "id": id_, "name": name, "status": status, "error": error,
                "frames": 0 if newest is None else newest + 1, "last_seconds": seconds, "people": len(there)})
        people, tracklets = connection.execute(
            select(func.count(TrackletRow.identity_id.distinct()), func.count())
            .select_from(TrackletRow).join(Camera).where(Camera.run_id == run)).one()
    last = [one["last_seconds"] for one in found if one["last_seconds"] is not None]
    return {
        "run": run, "status": row.status, "started": iso_time(row.started_at.timestamp()),
        "finished": None if row.finished_at is None else iso_time(row.finished_at.timestamp()),
        "people": people, "tracklets": tracklets, "now_seconds": max(last, default=None),
        "people_now": len(in_view), "cameras": found}


def overview(store: Store, run: int) -> Overview:
    """All of the first page."""
    with store.reading() as connection:
        spans = np.array(connection.execute(
            select(TrackletRow.identity_id, TrackletRow.first_seconds, TrackletRow.last_seconds)
            .join(Camera).where(Camera.run_id == run, TrackletRow.identity_id.is_not(None))).all(), np.float64)
        undecided = connection.scalar(select(func.count()).select_from(TrackletRow).join(Camera).where(
            Camera.run_id == run, TrackletRow.identity_id.is_(None))) or 0
        newest = connection.execute(
            select(TrackletRow.camera_id, func.max(TrackletRow.last_seconds), TrackletRow.id, CropRow.frame_index)
            .select_from(TrackletRow).join(Camera).join(CropRow, CropRow.tracklet_id == TrackletRow.id)
            .where(Camera.run_id == run).group_by(TrackletRow.camera_id)).all()
    return {
        "chart": _chart(spans.reshape(-1, 3)),
        "newest": {str(camera): {"tracklet": tracklet, "frame": frame} for camera, _, tracklet, frame in newest},
        "undecided": undecided, "unsure": unsure_links(store, run)}


def unsure_links(store: Store, run: int) -> int:
    """How many of the model's links have a probability below UNSURE and no decision by a person."""
    with store.reading() as connection:
        gone = undone(connection, run)
        rows = connection.execute(
            select(CorrectionRow.id, CorrectionTracklet.tracklet_id)
            .join(CorrectionTracklet, CorrectionTracklet.correction_id == CorrectionRow.id)
            .where(CorrectionRow.run_id == run, CorrectionRow.kind == "merge"))
        decided = {tracklet for correction, tracklet in rows if correction not in gone}
        unsure = set(connection.scalars(linked_tracklets().with_only_columns(TrackletRow.id).where(
            Camera.run_id == run, LinkRow.by == "model", LinkRow.similarity.is_not(None),
            LinkRow.probability < UNSURE, Identity.run_id == run)))
    return len(unsure - decided)


def preview(path: Path, seconds: float) -> bytes | None:
    """A frame of an MP4 file as a JPEG file: the last one until a second after its beginning; None if there is none."""
    image = None
    try:
        with av.open(str(path.absolute()), format="mp4", metadata_errors="replace") as container:
            stream = container.streams.video[0]
            container.seek(max(0, int(seconds * av.time_base)), backward=True)
            for frame in container.decode(stream):
                if image is not None and frame.time is not None and frame.time > seconds + 1e-3:
                    break
                image = frame
    except (OSError, IndexError, av.error.FFmpegError):
        return None
    if image is None:
        return None
    scale = min(1.0, PREVIEW_WIDTH / image.width)
    small = image.to_ndarray(format="bgr24", width=round(image.width * scale), height=round(image.height * scale))
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])[1].tobytes()


def _chart(spans: np.ndarray) -> dict[str, object]:
    """People per bin, from spans float64 (T, 3): identity, first and last second."""
    if not len(spans):
        return {"begin": None, "step": SHORTEST_BIN, "people": []}
    begin, end = spans[:, 1].min(), spans[:, 2].max()
    step = max(SHORTEST_BIN, (end - begin) / BINS)
    first = ((spans[:, 1] - begin) / step).astype(np.int64)  # (T,)
    last = ((spans[:, 2] - begin) / step).astype(np.int64)  # (T,)
    length = last - first + 1
    bins = np.repeat(first - np.cumsum(length) + length, length) + np.arange(length.sum())  # (sum of lengths,)
    there = np.unique(np.stack([np.repeat(spans[:, 0].astype(np.int64), length), bins]), axis=1)[1]
    return {"begin": float(begin), "step": float(step), "people": np.bincount(there).tolist()}
