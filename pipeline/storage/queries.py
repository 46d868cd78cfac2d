"""Query the database; results are plain dataclasses and tuples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeVarTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, select

from ...reid import Appearance
from ..errors import StoreError
from .packing import unpack_appearance
from .schema import (
    AnalysedFrame,
    AppearanceRow,
    Camera,
    CropRow,
    Identity,
    LinkRow,
    LinkSet,
    Observation,
    Run,
    TrackletRow,
)
from .store import Store

Columns = TypeVarTuple("Columns")

ROWS_AT_ONCE = 5000  # per fetch; more is not faster


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


class ObservationRow(NamedTuple):
    """One box in one frame; `identity`, `similarity` and `probability` are None if there is none."""

    identity: int | None
    camera: str
    track: int
    seconds: float
    frame: int
    x1: float
    y1: float
    x2: float
    y2: float
    confidence: float
    visible: float
    interpolated: bool
    similarity: float | None
    probability: float | None


class TrackletSummary(NamedTuple):
    """One tracklet with its valid link; the last five are None without an identity."""

    camera: str
    track: int
    first_seconds: float
    last_seconds: float
    observations: int
    identity: int | None
    similarity: float | None
    shared_mask: float | None
    gap_seconds: float | None
    by: str | None


class CropImage(NamedTuple):
    """One stored crop of a tracklet, as a WebP file (JPEG in databases of reidpipe 0.1)."""

    identity: int | None
    camera: str
    track: int
    frame: int
    seconds: float
    quality: float
    image: bytes


class StoredAppearance(NamedTuple):
    """One stored appearance row and its tracklet."""

    identity: int | None
    camera: str
    track: int
    seconds: float
    appearance: Appearance


def iso_time(seconds: float) -> str:
    """UTC epoch seconds as `2026-01-31T12:00:00.250Z`."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def observation_rows(store: Store, run: int | None = None, camera: str | None = None) -> Iterator[ObservationRow]:
    """Every box of a run (or of one camera), by seconds, then camera, then track; streamed.

    Nobody has two boxes in a frame: where one track of a person takes over from another, the older one's boxes have no
    identity.
    """
    last = last_links()
    query = _of_run(
        select(Identity.number, Camera.name, TrackletRow.track_id, AnalysedFrame.seconds, Observation.frame_index,
               Observation.x1, Observation.y1, Observation.x2, Observation.y2,
               Observation.confidence, Observation.visible, Observation.interpolated, LinkRow.similarity,
               LinkRow.probability)
        .select_from(Observation).join(TrackletRow).join(Camera).join(AnalysedFrame, frame_of_box())
        .outerjoin(Identity, TrackletRow.identity_id == Identity.id)
        .outerjoin(last, last.c.tracklet_id == TrackletRow.id)
        .outerjoin(LinkRow, LinkRow.id == last.c.link_id),
        run_number(store, run), camera)
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
            query.order_by(AnalysedFrame.seconds, Camera.name, TrackletRow.track_id))
        found = (
            ObservationRow._make((*values, bool(interpolated), similarity, probability))
            for *values, interpolated, similarity, probability in rows)
        for _, of_frame in groupby(found, key=lambda row: (row.seconds, row.camera)):
            yield from _newest_track_only(list(of_frame))


def _newest_track_only(boxes: list[ObservationRow]) -> list[ObservationRow]:
    """One camera's boxes at one time, by track: of several with one identity, only the last one keeps it."""
    newest = {box.identity: box.track for box in boxes}
    if len(newest) == len(boxes):
        return boxes
    return [box if newest[box.identity] == box.track else
            box._replace(identity=None, similarity=None, probability=None) for box in boxes]


def tracklet_rows(store: Store, run: int | None = None) -> Iterator[TrackletSummary]:
    """Every tracklet of a run with its valid link, by first second, then camera, then track; streamed."""
    last = last_links()
    query = _of_run(
        select(Camera.name, TrackletRow.track_id, TrackletRow.first_seconds, TrackletRow.last_seconds,
               TrackletRow.observations, Identity.number, LinkRow.similarity, LinkRow.shared_mask,
               LinkRow.gap_seconds, LinkRow.by)
        .select_from(TrackletRow).join(Camera)
        .outerjoin(Identity, TrackletRow.identity_id == Identity.id)
        .outerjoin(last, last.c.tracklet_id == TrackletRow.id)
        .outerjoin(LinkRow, LinkRow.id == last.c.link_id),
        run_number(store, run))
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
            query.order_by(TrackletRow.first_seconds, Camera.name, TrackletRow.track_id))
        yield from map(TrackletSummary._make, rows)


def crop_images(store: Store, run: int | None = None, identity: int | None = None) -> Iterator[CropImage]:
    """The stored crops of a run (or of one person), by camera and track, best first; streamed."""
    query = _of_run(
        select(Identity.number, Camera.name, TrackletRow.track_id, CropRow.frame_index, CropRow.seconds,
               CropRow.quality, CropRow.image)
        .select_from(CropRow).join(TrackletRow).join(Camera)
        .outerjoin(Identity, TrackletRow.identity_id == Identity.id),
        run_number(store, run))
    if identity is not None:
        query = query.where(Identity.number == identity)
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=16).execute(query.order_by(
            Camera.name, TrackletRow.track_id, CropRow.quality.desc(), CropRow.frame_index))
        yield from map(CropImage._make, rows)


def stored_appearances(
    store: Store, run: int | None = None, kind: Literal["tracklet", "crop"] = "tracklet"
) -> Iterator[StoredAppearance]:
    """Appearance rows of a run's tracklets or of their crops, by time; streamed."""
    query = _of_run(
        select(Identity.number, Camera.name, TrackletRow.track_id, AppearanceRow.seconds,
               AppearanceRow.embedding, AppearanceRow.mask)
        .select_from(AppearanceRow).join(TrackletRow).join(Camera)
        .outerjoin(Identity, TrackletRow.identity_id == Identity.id)
        .where(AppearanceRow.kind == kind),
        run_number(store, run))
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=256).execute(
            query.order_by(AppearanceRow.seconds, AppearanceRow.id))
        for identity, camera, track, seconds, embedding, mask in rows:
            yield StoredAppearance(identity, camera, track, seconds, unpack_appearance(embedding, mask))


def analysed_frames(store: Store, camera: str, run: int | None = None) -> set[int]:
    """The indices of the analysed frames of one camera."""
    query = _of_run(select(AnalysedFrame.frame_index).join(Camera), run_number(store, run), camera)
    with store.reading() as connection:
        return set(connection.scalars(query))


def _of_run(query: Select[*Columns], run: int, camera: str | None = None) -> Select[*Columns]:
    """Restrict a query that joins the cameras to one run, and to one camera if given."""
    query = query.where(Camera.run_id == run)
    return query if camera is None else query.where(Camera.name == camera)


def frame_of_box() -> ColumnElement[bool]:
    """The condition that joins a tracklet's boxes with their frames, which have the time."""
    return (AnalysedFrame.camera_id == TrackletRow.camera_id) & (AnalysedFrame.frame_index == Observation.frame_index)


def last_links() -> Subquery:
    """(tracklet_id, link_id): the valid link of every tracklet with an identity."""
    return (
        select(LinkRow.tracklet_id, func.max(LinkRow.id).label("link_id"))
        .join(TrackletRow, (TrackletRow.id == LinkRow.tracklet_id) & (TrackletRow.identity_id == LinkRow.identity_id))
        .group_by(LinkRow.tracklet_id).subquery())


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
