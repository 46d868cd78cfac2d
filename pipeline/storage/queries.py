"""Query the rows of a run: boxes, tracklets, crops, appearances; results are named tuples, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Literal, NamedTuple, TypeVarTuple

from sqlalchemy import ColumnElement, Select, Subquery, func, select

from ...reid import Appearance
from ..types import TrackKey
from .packing import unpack_appearance
from .runs import run_number
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
from .store import Store

Columns = TypeVarTuple("Columns")

ROWS_AT_ONCE = 5000  # per fetch; more is not faster


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


def tracklet_crops(store: Store, run: int, key: TrackKey) -> list[tuple[CropImage, Appearance | None]]:
    """The stored crops of one tracklet, the best first, each with its appearance; None where that is not stored."""
    query = (
        select(Identity.number, Camera.name, TrackletRow.track_id, CropRow.frame_index, CropRow.seconds,
               CropRow.quality, CropRow.image, AppearanceRow.embedding, AppearanceRow.mask)
        .select_from(CropRow).join(TrackletRow).join(Camera)
        .outerjoin(Identity, TrackletRow.identity_id == Identity.id).outerjoin(AppearanceRow, appearance_of_crop())
        .where(Camera.run_id == run, Camera.name == key[0], TrackletRow.track_id == key[1])
        .order_by(CropRow.quality.desc(), CropRow.frame_index))
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [(CropImage._make(row[:7]), None if row[7] is None else unpack_appearance(row[7], row[8])) for row in rows]


def analysed_frames(store: Store, camera: str, run: int | None = None) -> set[int]:
    """The indices of the analysed frames of one camera."""
    query = _of_run(select(AnalysedFrame.frame_index).join(Camera), run_number(store, run), camera)
    with store.reading() as connection:
        return set(connection.scalars(query))


def _of_run(query: Select[*Columns], run: int, camera: str | None = None) -> Select[*Columns]:
    """Restrict a query that joins the cameras to one run, and to one camera if given."""
    query = query.where(Camera.run_id == run)
    return query if camera is None else query.where(Camera.name == camera)


def appearance_of_crop() -> ColumnElement[bool]:
    """The condition that joins a stored crop with its appearance: those of crops without a picture are stored, too."""
    return ((AppearanceRow.tracklet_id == CropRow.tracklet_id) & (AppearanceRow.kind == "crop")
            & (AppearanceRow.seconds == CropRow.seconds))


def frame_of_box() -> ColumnElement[bool]:
    """The condition that joins a tracklet's boxes with their frames, which have the time."""
    return (AnalysedFrame.camera_id == TrackletRow.camera_id) & (AnalysedFrame.frame_index == Observation.frame_index)


def last_links() -> Subquery:
    """(tracklet_id, link_id): the valid link of every tracklet with an identity."""
    return (
        select(LinkRow.tracklet_id, func.max(LinkRow.id).label("link_id"))
        .join(TrackletRow, (TrackletRow.id == LinkRow.tracklet_id) & (TrackletRow.identity_id == LinkRow.identity_id))
        .group_by(LinkRow.tracklet_id).subquery())
