"""Delete pictures, embeddings and boxes that are older than they may be kept, and give their room back to the disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from ..config.schema import RetentionConfig
from .schema import AnalysedFrame, AppearanceRow, Base, Camera, CropRow, Observation, Run, TrackletRow
from .store import Store
from .writing.processes import require_no_run

DAY_SECONDS = 86_400.0
UNTIMED_BEFORE_SECONDS = 366 * DAY_SECONDS  # footage without start_time begins at the epoch, in 1970


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted (or would be), and by how many bytes the database's file became smaller.

    `freed_bytes` is 0 for databases other than SQLite, which manage their files themselves.
    """

    crops: int
    appearances: int
    observations: int
    freed_bytes: int


def prune_database(
    store: Store, retention: RetentionConfig, now: datetime | None = None, dry_run: bool = False
) -> Pruned:
    """Delete what is older than the limits; runs, cameras, tracklets, links and identities stay.

    The age of a row counts from its time in the footage; in footage without a start time, from the start of its run.
    Frames go with their boxes, so that evaluation does not count them as missed.

    Args:
        store: the database.
        retention: the limits; None keeps everything of a kind.
        now: from which ages count; the present by default.
        dry_run: only count.

    Raises:
        StoreError: a run is writing to the database, or it cannot be written.
    """
    moment = (now or datetime.now(UTC)).timestamp()
    with store.reading() if dry_run else store.writing() as connection:
        if not dry_run:
            require_no_run(connection, store.name)
        crops = appearances = observations = 0
        cameras = connection.execute(select(Camera.id, Camera.start_seconds, Run.started_at).join(Run)).all()
        for camera, start_seconds, started_at in cameras:
            clock = started_at.timestamp() if start_seconds < UNTIMED_BEFORE_SECONDS else 0.0
            of_camera = select(TrackletRow.id).where(TrackletRow.camera_id == camera)

            def before(days: float, now_seconds: float = moment - clock) -> float:
                return now_seconds - days * DAY_SECONDS

            if retention.crops_days is not None:
                crops += _remove(connection, CropRow, dry_run, CropRow.tracklet_id.in_(of_camera),
                                 CropRow.seconds < before(retention.crops_days))
            if retention.appearances_days is not None:
                appearances += _remove(connection, AppearanceRow, dry_run, AppearanceRow.tracklet_id.in_(of_camera),
                                       AppearanceRow.seconds < before(retention.appearances_days))
            if retention.observations_days is not None:
                last = connection.scalar(select(func.max(AnalysedFrame.frame_index)).where(
                    AnalysedFrame.camera_id == camera,
                    AnalysedFrame.seconds < before(retention.observations_days)))
                if last is not None:
                    observations += _remove(connection, Observation, dry_run, Observation.tracklet_id.in_(of_camera),
                                            Observation.frame_index <= last)
                    _remove(connection, AnalysedFrame, dry_run, AnalysedFrame.camera_id == camera,
                            AnalysedFrame.frame_index <= last)
    freed = 0 if dry_run else store.compact()
    return Pruned(crops, appearances, observations, freed)


def _remove(connection: Connection, kind: type[Base], dry_run: bool, *where: ColumnElement[bool]) -> int:
    """Delete the rows of a table, or only count them."""
    table = kind.__table__
    assert isinstance(table, Table)
    count = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
    if count and not dry_run:
        connection.execute(delete(table).where(*where))
    return int(count)
