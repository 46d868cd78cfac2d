"""What the page shows: timeline, one identity, the least sure links, pictures. Every function only reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import aliased

from ...reid import concatenate, masked_similarity
from ..errors import CorrectionError, StoreError
from ..output.visits import VISIT_GAP_SECONDS
from ..relink import shown_linking
from ..storage.corrected import undone
from ..storage.packing import unpack_appearance
from ..storage.queries import iso_time
from ..storage.schema import (
    AppearanceRow,
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

MOST_REVIEWED = 100  # links in one go; afterwards the page asks again


class Visit(NamedTuple):
    """One bar of the timeline: `camera` is a row id, `probability` that of its least sure link, if any has one."""

    identity: int
    camera: int
    first_seconds: float
    last_seconds: float
    probability: float | None
    by_person: bool


class CameraOf(NamedTuple):
    """A camera of a run; `homography`, float64 (3, 3) from pixels to metres, is None if unknown."""

    id: int
    name: str
    width: int
    height: int
    fps: float
    start_seconds: float
    homography: NDArray[np.float64] | None


class LinkedTracklet(NamedTuple):
    """A tracklet with its identity and the link that gave it; what is unknown is None."""

    id: int
    camera_id: int
    camera: str
    track: int
    first_seconds: float
    last_seconds: float
    observations: int
    identity: int
    name: str | None
    similarity: float | None
    shared_mask: float | None
    gap_seconds: float | None
    probability: float | None
    by: str | None


class StoredCrop(TypedDict):
    """A stored picture of a tracklet."""

    tracklet: int
    frame: int
    seconds: float
    quality: float


class NamedCamera(TypedDict):
    """A camera of a run: row id and name."""

    id: int
    name: str


class Pair(TypedDict):
    """The two most similar crops of a tracklet and of the other tracklets of its identity."""

    own: StoredCrop
    other: StoredCrop
    similarity: float


def run_number(store: Store, run: int | None) -> int:
    """The number of a run that there is; the newest by default. Unlike `find_run`, it counts nothing.

    Raises:
        StoreError: there is no such run, or none at all.
    """
    with store.reading() as connection:
        newest = connection.scalar(select(func.max(Run.id)))
        if newest is None:
            raise StoreError(f"{store.name}: it holds no run yet: run the pipeline first")
        wanted = newest if run is None else run
        if connection.scalar(select(Run.id).where(Run.id == wanted)) is None:
            raise StoreError(f"{store.name}: there is no run {run}: the newest is {newest}")
    return int(wanted)


def run_names(store: Store) -> list[dict[str, object]]:
    """All runs, the newest first: number, status and times, but no counts, which take long."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Run.id, Run.status, Run.started_at, Run.finished_at, Run.version).order_by(Run.id.desc())).all()
    return [
        {"run": id_, "status": status, "started": iso_time(started.timestamp()),
         "finished": None if finished is None else iso_time(finished.timestamp()), "version": version}
        for id_, status, started, finished, version in rows]


def cameras_of(store: Store, run: int) -> list[CameraOf]:
    """A run's cameras, in the order of its config; unlike `list_cameras`, it counts nothing."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Camera.id, Camera.name, Camera.width, Camera.height, Camera.fps, Camera.start_seconds,
                   Camera.homography).where(Camera.run_id == run).order_by(Camera.id)).all()
    return [CameraOf(*row[:6], None if row[6] is None else np.array(from_json(row[6]), np.float64)) for row in rows]


def visits_of(store: Store, run: int, identity: int) -> list[Visit]:
    """The visits of one identity, by time.

    Raises:
        CorrectionError: the run has no such identity.
    """
    tracklets = sorted(_of_identity(store, run, identity), key=lambda one: (one.camera_id, one.first_seconds))
    visits = [visit for _, own in groupby(tracklets, key=lambda one: one.camera_id) for visit in joined_visits(own)]
    return sorted(visits, key=lambda visit: visit.first_seconds)


def identity_page(store: Store, run: int, identity: int) -> dict[str, object]:
    """One identity: its tracklets with their links, its crops, and for each link the two crops that decided.

    Raises:
        StoreError: there is no such run.
        CorrectionError: it has no such identity.
    """
    number = run_number(store, run)
    tracklets = _of_identity(store, number, identity)
    crops = _crops(store, number, identity)
    pairs = _pairs(store, number, tracklets)
    return {
        "identity": identity, "name": tracklets[0].name, "run": number,
        "cameras": camera_names(store, number),
        "first_seconds": tracklets[0].first_seconds,
        "last_seconds": max(one.last_seconds for one in tracklets),
        "observations": sum(one.observations for one in tracklets),
        "tracklets": [
            {**one._asdict(), "crops": [crop for crop in crops if crop["tracklet"] == one.id],
             "pair": pairs.get(one.id)}
            for one in tracklets]}


def link_pair(store: Store, run: int, tracklet: int) -> dict[str, object]:
    """A tracklet, the tracklet of its identity with the most similar crop, and these two crops.

    Raises:
        StoreError: there is no such run.
        CorrectionError: it has no such tracklet with an identity.
    """
    own = find_tracklet(store, run, tracklet)
    tracklets = _of_identity(store, run, own.identity)
    pair = _pairs(store, run, tracklets).get(tracklet)
    other = None if pair is None else next(one for one in tracklets if one.id == pair["other"]["tracklet"])
    return {"own": own._asdict(), "other": None if other is None else other._asdict(), "pair": pair}


def find_tracklet(store: Store, run: int, tracklet: int) -> LinkedTracklet:
    """A tracklet by its row id.

    Raises:
        CorrectionError: the run has no such tracklet with an identity.
    """
    with store.reading() as connection:
        row = connection.execute(
            linked_tracklets().where(Camera.run_id == run, TrackletRow.id == tracklet)).one_or_none()
    if row is None:
        raise CorrectionError(f"run {run} has no such tracklet: load the page again")
    return LinkedTracklet._make(row)


def least_sure_links(store: Store, run: int) -> dict[str, object]:
    """The model's links with the lowest probabilities about which nobody has decided yet, the least sure first."""
    number = run_number(store, run)
    with store.reading() as connection:
        gone = undone(connection, number)
        rows = connection.execute(
            select(CorrectionRow.id, CorrectionTracklet.tracklet_id)
            .join(CorrectionTracklet, CorrectionTracklet.correction_id == CorrectionRow.id)
            .where(CorrectionRow.run_id == number, CorrectionRow.kind == "merge"))
        decided = {tracklet for correction, tracklet in rows if correction not in gone}
        links = [LinkedTracklet._make(row) for row in connection.execute(
            linked_tracklets().where(
                Camera.run_id == number, LinkRow.by == "model", LinkRow.similarity.is_not(None))
            .order_by(LinkRow.probability, LinkRow.similarity))]
    open_ = [one for one in links if one.probability is not None and one.id not in decided]
    return {
        "links": [one._asdict() for one in open_[:MOST_REVIEWED]], "total": len(open_),
        "without_probability": sum(one.probability is None for one in links)}


def crop_file(store: Store, run: int, tracklet: int, frame: int) -> bytes | None:
    """A stored crop, a WebP or JPEG file; None if there is none."""
    with store.reading() as connection:
        found: bytes | None = connection.scalar(
            select(CropRow.image).join(TrackletRow).join(Camera)
            .where(Camera.run_id == run, CropRow.tracklet_id == tracklet, CropRow.frame_index == frame))
    return found


def portrait_file(store: Store, run: int, identity: int) -> bytes | None:
    """The best stored crop of an identity; None if there is none."""
    with store.reading() as connection:
        found: bytes | None = connection.scalar(
            select(CropRow.image).join(TrackletRow).join(Camera)
            .join(Identity, Identity.id == TrackletRow.identity_id)
            .where(Camera.run_id == run, Identity.number == identity)
            .order_by(CropRow.quality.desc(), CropRow.tracklet_id).limit(1))
    return found


def linked_tracklets() -> Select[*tuple[Any, ...]]:
    """Tracklets that have an identity, as columns of LinkedTracklet."""
    former = aliased(LinkRow)
    # By the index of links, one tracklet after the other: a page shows few tracklets of a day.
    last = (
        select(func.max(former.id))
        .where(former.tracklet_id == TrackletRow.id, former.identity_id == TrackletRow.identity_id)
        .correlate(TrackletRow).scalar_subquery())
    return (
        select(TrackletRow.id, Camera.id, Camera.name, TrackletRow.track_id, TrackletRow.first_seconds,
               TrackletRow.last_seconds, TrackletRow.observations, Identity.number, Identity.name,
               LinkRow.similarity, LinkRow.shared_mask, LinkRow.gap_seconds, LinkRow.probability, LinkRow.by)
        .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
        .outerjoin(LinkRow, LinkRow.id == last))


def camera_names(store: Store, run: int) -> list[NamedCamera]:
    """A run's cameras, in the order of its config, by which the page colours them."""
    with store.reading() as connection:
        rows = connection.execute(select(Camera.id, Camera.name).where(Camera.run_id == run).order_by(Camera.id)).all()
    return [{"id": id_, "name": name} for id_, name in rows]


def _of_identity(store: Store, run: int, identity: int) -> list[LinkedTracklet]:
    with store.reading() as connection:
        rows = connection.execute(
            linked_tracklets().where(Camera.run_id == run, Identity.number == identity)
            .order_by(TrackletRow.first_seconds, Camera.id, TrackletRow.track_id)).all()
    if not rows:
        raise CorrectionError(f"run {run} has no identity {identity}: it may have been merged or forgotten")
    return [LinkedTracklet._make(row) for row in rows]


def joined_visits(tracklets: Iterable[LinkedTracklet]) -> Iterable[Visit]:
    """Visits of one identity to one camera; a short absence does not end one."""
    visit: Visit | None = None
    for one in tracklets:
        by_person = one.by == "person"
        if visit is None or one.first_seconds - visit.last_seconds >= VISIT_GAP_SECONDS:
            if visit is not None:
                yield visit
            visit = Visit(one.identity, one.camera_id, one.first_seconds, one.last_seconds, one.probability, by_person)
            continue
        known = [p for p in (visit.probability, one.probability) if p is not None]
        visit = visit._replace(
            last_seconds=max(visit.last_seconds, one.last_seconds), probability=min(known, default=None),
            by_person=visit.by_person or by_person)
    if visit is not None:
        yield visit


def _crops(store: Store, run: int, identity: int) -> list[StoredCrop]:
    """The crops of an identity, the best first."""
    with store.reading() as connection:
        rows = connection.execute(
            select(CropRow.tracklet_id, CropRow.frame_index, CropRow.seconds, CropRow.quality)
            .select_from(CropRow).join(TrackletRow).join(Camera)
            .join(Identity, Identity.id == TrackletRow.identity_id)
            .where(Camera.run_id == run, Identity.number == identity)
            .order_by(CropRow.quality.desc(), CropRow.tracklet_id, CropRow.frame_index)).all()
    return [_crop(row) for row in rows]


def _crop(row: Row[*tuple[int, int, float, float]]) -> StoredCrop:
    return {"tracklet": row[0], "frame": row[1], "seconds": row[2], "quality": row[3]}


def _pairs(store: Store, run: int, tracklets: Sequence[LinkedTracklet]) -> dict[int, Pair]:
    """By tracklet, its most similar crop to those of the other tracklets; none without stored embeddings of crops."""
    numbers = [one.identity for one in tracklets[:1]]
    with store.reading() as connection:
        rows = connection.execute(
            select(CropRow.tracklet_id, CropRow.frame_index, CropRow.seconds, CropRow.quality,
                   AppearanceRow.embedding, AppearanceRow.mask)
            .select_from(CropRow).join(TrackletRow).join(Camera)
            .join(Identity, Identity.id == TrackletRow.identity_id)
            .join(AppearanceRow, (AppearanceRow.tracklet_id == CropRow.tracklet_id)
                  & (AppearanceRow.kind == "crop") & (AppearanceRow.seconds == CropRow.seconds))
            .where(Camera.run_id == run, Identity.number.in_(numbers))
            .order_by(CropRow.tracklet_id, CropRow.frame_index)).all()
    if not rows:
        return {}
    crops: list[StoredCrop] = [
        {"tracklet": row[0], "frame": row[1], "seconds": row[2], "quality": row[3]} for row in rows]
    own = concatenate([unpack_appearance(row[4], row[5]) for row in rows])
    of = np.array([row[0] for row in rows])  # (N,)
    similarity = masked_similarity(own, own, shown_linking(store, run).mode)  # (N, N)
    similarity[of[:, None] == of] = -np.inf
    best = similarity.argmax(1)  # (N,)
    found: dict[int, Pair] = {}
    for row in np.flatnonzero(np.isfinite(similarity[np.arange(len(rows)), best])).tolist():
        value = float(similarity[row, best[row]])
        former = found.get(crops[row]["tracklet"])
        if former is None or value > former["similarity"]:
            found[crops[row]["tracklet"]] = {"own": crops[row], "other": crops[int(best[row])], "similarity": value}
    return found
