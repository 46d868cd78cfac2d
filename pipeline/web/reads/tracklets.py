"""Tracklets with their identities and links, and the visits that the timeline makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from ....reid.similarity import informative_share
from ...errors import CorrectionError
from ...output.visits import VISIT_GAP_SECONDS
from ...storage.schema import Camera, Identity, LinkRow, LinkSet, TrackletRow
from ...storage.store import Store


class Visit(NamedTuple):
    """One bar of the timeline: `camera` is a row id, `probability` that of its least sure link, if any has one."""

    identity: int
    camera: int
    first_seconds: float
    last_seconds: float
    probability: float | None
    by_person: bool


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


@cache  # making the statement takes longer than executing it
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


def of_identity(run: int, identity: int) -> ColumnElement[bool]:
    """The condition that a tracklet is of an identity of the links that results show.

    It names the identity's row, so that the index of tracklets by identity is used, and a day's others are not read.
    """
    return TrackletRow.identity_id == (
        select(Identity.id).join(LinkSet)
        .where(LinkSet.run_id == run, LinkSet.selected == 1, Identity.number == identity).scalar_subquery())


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


def tracklets_of(store: Store, run: int, identity: int) -> list[LinkedTracklet]:
    """The tracklets of one identity, by time.

    Raises:
        CorrectionError: the run has no such identity.
    """
    with store.reading() as connection:
        rows = connection.execute(
            linked_tracklets().where(of_identity(run, identity))
            .order_by(TrackletRow.first_seconds, Camera.id, TrackletRow.track_id)).all()
    if not rows:
        raise CorrectionError(f"run {run} has no identity {identity}: it may have been merged or forgotten")
    found = [LinkedTracklet._make(row) for row in rows]
    return [one._replace(shared_mask=informative_share(one.shared_mask)) for one in found]


def visits_of(store: Store, run: int, identity: int) -> list[Visit]:
    """The visits of one identity, by time.

    Raises:
        CorrectionError: the run has no such identity.
    """
    tracklets = sorted(tracklets_of(store, run, identity), key=lambda one: (one.camera_id, one.first_seconds))
    visits = [visit for _, own in groupby(tracklets, key=lambda one: one.camera_id) for visit in joined_visits(own)]
    return sorted(visits, key=lambda visit: visit.first_seconds)


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
