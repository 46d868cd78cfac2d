"""The runs of a database, their cameras, and which of them can be continued."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, func, select

from ..errors import StoreError
from .schema import Camera, CheckpointRow, Identity, LinkRow, LinkSet, Run, TrackletRow
from .store import Store
from .times import iso_time


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run and how much it found; times are ISO 8601 in UTC, `finished` is None while it runs.

    `links` counts each linked tracklet once, however often its link was revised.
    """

    run: int
    status: str
    started: str
    finished: str | None
    version: str
    cameras: int
    people: int
    tracklets: int
    links: int
    observations: int


@dataclass(frozen=True, slots=True)
class CameraSummary:
    """One camera of a run; `homography` is 3x3 from pixels to metres, None if unknown."""

    camera: str
    source: str
    width: int
    height: int
    fps: float
    start_seconds: float
    homography: list[list[float]] | None
    decoded: int
    analysed: int
    thinned: int
    dropped: int
    damaged: int
    status: str
    error: str
    people: int
    tracklets: int
    observations: int


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run; `inputs` is the JSON that it was started with, `seconds` (UTC epoch) how far its checkpoint is."""

    run: int
    inputs: str
    has_ended: bool
    seconds: float | None


def list_runs(store: Store) -> list[RunSummary]:
    """All runs, newest first."""
    with store.reading() as connection:
        rows = connection.execute(select(Run.__table__).order_by(Run.id.desc())).all()
        return [_summarise(connection, row) for row in rows]


def run_number(store: Store, run: int | None = None) -> int:
    """The number of a run that there is; the newest by default. It reads no large table.

    Raises:
        StoreError: there is no such run, or none at all.
    """
    with store.reading() as connection:
        newest = connection.scalar(select(func.max(Run.id)))
        if newest is None:
            raise StoreError(f"{store.name}: it holds no run yet: run the pipeline first")
        if run is None:
            return int(newest)
        if connection.scalar(select(Run.id).where(Run.id == run)) is None:
            raise StoreError(f"{store.name}: there is no run {run}: the newest is {newest}")
    return run


def find_run(store: Store, run: int | None = None) -> RunSummary:
    """One run by its number, with its counts, which take long; the newest by default.

    Raises:
        StoreError: there is no such run, or none at all.
    """
    number = run_number(store, run)
    with store.reading() as connection:
        return _summarise(connection, connection.execute(select(Run.__table__).where(Run.id == number)).one())


def run_config(store: Store, run: int | None = None) -> str:
    """The config that a run was made with, as JSON."""
    number = run_number(store, run)
    with store.reading() as connection:
        return connection.execute(select(Run.config).where(Run.id == number)).scalar_one()


def list_sources(store: Store) -> list[str]:
    """The footage of all runs, each once."""
    with store.reading() as connection:
        return list(connection.scalars(select(Camera.source).distinct()))


def list_cameras(store: Store, run: int | None = None) -> list[CameraSummary]:
    """A run's cameras, in the order of its config."""
    number = run_number(store, run)
    with store.reading() as connection:
        return [
            CameraSummary(
                row.name, row.source, row.width, row.height, row.fps, row.start_seconds,
                None if row.homography is None else json.loads(row.homography),
                row.decoded, row.analysed, row.thinned, row.dropped, row.damaged, row.status, row.error,
                *_counts(connection, Camera.id == row.id),
            )
            for row in connection.execute(
                select(Camera.__table__).where(Camera.run_id == number).order_by(Camera.id))
        ]


def homographies(store: Store, run: int) -> dict[str, NDArray[np.float64]]:
    """Homographies from pixels to floor metres, float64 (3, 3), of the cameras that have one."""
    return {camera.camera: np.array(camera.homography, np.float64)
            for camera in list_cameras(store, run) if camera.homography is not None}


def runs_with_inputs(store: Store) -> list[StoredRun]:
    """The runs that were started with their inputs, the newest first."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Run.id, Run.inputs, CheckpointRow.run_id, CheckpointRow.seconds)
            .outerjoin(CheckpointRow, CheckpointRow.run_id == Run.id)
            .where(Run.inputs.is_not(None)).order_by(Run.id.desc())).all()
    return [StoredRun(run, inputs or "", unfinished is None, seconds) for run, inputs, unfinished, seconds in rows]


def _summarise(connection: Connection, row: Row[*tuple[Any, ...]]) -> RunSummary:
    people, tracklets, observations = _counts(connection, Camera.run_id == row.id)
    cameras = connection.execute(select(func.count()).where(Camera.run_id == row.id)).scalar_one()
    links = connection.execute(
        select(func.count(LinkRow.tracklet_id.distinct())).select_from(LinkRow).join(Identity).join(LinkSet)
        .where(LinkSet.run_id == row.id, LinkSet.selected == 1)).scalar_one()
    return RunSummary(
        row.id, row.status, iso_time(row.started_at.timestamp()),
        None if row.finished_at is None else iso_time(row.finished_at.timestamp()),
        row.version, cameras, people, tracklets, links, observations)


def _counts(connection: Connection, where: ColumnElement[bool]) -> tuple[int, int, int]:
    """(people, tracklets, observations) of some cameras."""
    people, tracklets, observations = connection.execute(
        select(func.count(TrackletRow.identity_id.distinct()), func.count(), func.sum(TrackletRow.observations))
        .select_from(TrackletRow).join(Camera).where(where)).one()
    return people, tracklets, int(observations or 0)
