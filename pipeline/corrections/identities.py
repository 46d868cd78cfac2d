"""The identities of a run as they are now, corrections included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import func, select

from ..errors import CorrectionError
from ..storage.queries import last_links
from ..storage.runs import run_number
from ..storage.schema import Camera, Identity, LinkRow, TrackletRow
from ..storage.store import Store
from ..types import TrackKey


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """One person over all cameras of a run; times are UTC epoch seconds.

    Attributes:
        identity: its number.
        name: that a person gave it.
        cameras: where it was seen, in the order of the first time.
        tracklets, observations: how many.
        first_seconds, last_seconds: when it was seen.
        corrected: whether it has its name or any of its tracklets by a person's decision.
    """

    identity: int
    name: str | None
    cameras: list[str]
    tracklets: int
    observations: int
    first_seconds: float
    last_seconds: float
    corrected: bool


class TrackletOf(NamedTuple):
    """One tracklet of an identity, and why it belongs to it; evidence is None for its first one and by persons."""

    camera: str
    track: int
    first_seconds: float
    last_seconds: float
    observations: int
    similarity: float | None
    shared_mask: float | None
    gap_seconds: float | None
    probability: float | None
    by: str | None

    @property
    def key(self) -> TrackKey:
        """What identifies the tracklet within a run."""
        return self.camera, self.track


def list_identities(store: Store, run: int | None = None) -> list[IdentitySummary]:
    """The identities of a run, by number.

    Args:
        store: the database.
        run: the run's number; the newest by default.

    Raises:
        StoreError: there is no such run.
    """
    number = run_number(store, run)
    last = last_links()
    of_run = Camera.run_id == number
    with store.reading() as connection:
        rows = connection.execute(
            select(Identity.number, Identity.name, func.count(), func.sum(TrackletRow.observations),
                   func.min(TrackletRow.first_seconds), func.max(TrackletRow.last_seconds))
            .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
            .where(of_run).group_by(Identity.id).order_by(Identity.number)).all()
        places = connection.execute(
            select(Identity.number, Camera.name)
            .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
            .where(of_run).group_by(Identity.number, Camera.name)
            .order_by(Identity.number, func.min(TrackletRow.first_seconds), Camera.name)).all()
        by_person = set(connection.scalars(
            select(Identity.number).distinct()
            .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
            .join(last, last.c.tracklet_id == TrackletRow.id).join(LinkRow, LinkRow.id == last.c.link_id)
            .where(of_run, LinkRow.by == "person")))
    cameras: dict[int, list[str]] = {}
    for identity, camera in places:
        cameras.setdefault(identity, []).append(camera)
    return [
        IdentitySummary(identity, name, cameras[identity], tracklets, int(observations), first, latest,
                        name is not None or identity in by_person)
        for identity, name, tracklets, observations, first, latest in rows]


def identity_names(store: Store, run: int | None = None) -> dict[int, str]:
    """Names of those identities of a run that have one.

    Raises:
        StoreError: there is no such run.
    """
    number = run_number(store, run)
    with store.reading() as connection:
        rows = connection.execute(
            select(Identity.number, Identity.name).join(TrackletRow, TrackletRow.identity_id == Identity.id).distinct()
            .where(Identity.run_id == number, Identity.name.is_not(None)).order_by(Identity.number)).all()
    return {identity: name for identity, name in rows if name is not None}


def identity_tracklets(store: Store, run: int | None, identity: int) -> list[TrackletOf]:
    """The tracklets of an identity, by first second.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        identity: its number.

    Raises:
        StoreError: there is no such run.
        CorrectionError: it has no such identity.
    """
    number = run_number(store, run)
    last = last_links()
    with store.reading() as connection:
        rows = connection.execute(
            select(Camera.name, TrackletRow.track_id, TrackletRow.first_seconds, TrackletRow.last_seconds,
                   TrackletRow.observations, LinkRow.similarity, LinkRow.shared_mask, LinkRow.gap_seconds,
                   LinkRow.probability, LinkRow.by)
            .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
            .outerjoin(last, last.c.tracklet_id == TrackletRow.id).outerjoin(LinkRow, LinkRow.id == last.c.link_id)
            .where(Camera.run_id == number, Identity.number == identity)
            .order_by(TrackletRow.first_seconds, Camera.name, TrackletRow.track_id)).all()
    if not rows:
        raise CorrectionError(f"{store.name}: run {number} has no identity {identity}: "
                              "`reidpipe identities list` shows those that it has")
    return [TrackletOf._make(row) for row in rows]
