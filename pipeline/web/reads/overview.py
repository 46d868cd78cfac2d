"""What the first page shows: cameras, people now and over time, and what waits for a decision."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from sqlalchemy import func, select

from ...storage.schema import AnalysedFrame, Camera, CropRow, Run, TrackletRow
from ...storage.store import Store
from ...storage.times import iso_time

NOW_SECONDS = 2.0  # who was seen within this time before a camera's last frame is there now
BINS = 120  # of the chart
SHORTEST_BIN = 1.0  # seconds


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


def is_running(store: Store, run: int) -> bool:
    """Whether a run goes on."""
    with store.reading() as connection:
        return connection.scalar(select(Run.status).where(Run.id == run)) == "running"


def read_live(store: Store, run: int) -> Live:
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


def read_overview(store: Store, run: int) -> Overview:
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
        "undecided": undecided}


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
