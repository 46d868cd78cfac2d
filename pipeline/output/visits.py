"""Combine tracklets into visits: who was in which camera's view, from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from ..stages.observe import foot_points
from ..storage.queries import last_links
from ..storage.runs import run_number
from ..storage.schema import Camera, Identity, LinkRow, Observation, TrackletRow
from ..storage.store import Store

VISIT_GAP_SECONDS = 10.0  # a shorter absence, as behind a shelf, does not end a visit


@dataclass(frozen=True, slots=True)
class Visit:
    """One identity in one camera: tracklets with less than VISIT_GAP_SECONDS between them.

    Attributes:
        enter_seconds, leave_seconds: UTC epoch seconds of the first and last box.
        tracks: the tracklets' numbers in that camera, in time order.
        observations: number of boxes of its tracks; where one takes over from another, both count for a moment.
        entry_xy, exit_xy: foot points of the first and last box, in pixels.
        similarity: mean over the links that have one; None where none has.
        probability: of the least sure link; None where none has one.
    """

    identity: int
    camera: str
    enter_seconds: float
    leave_seconds: float
    tracks: list[int]
    observations: int
    entry_xy: tuple[float, float]
    exit_xy: tuple[float, float]
    similarity: float | None
    probability: float | None

    @property
    def duration_seconds(self) -> float:
        """From the first box to the last."""
        return self.leave_seconds - self.enter_seconds


class _Stay(NamedTuple):
    """One tracklet with an identity; the corners are those of its first and its last box."""

    identity: int
    camera: str
    track: int
    first_seconds: float
    last_seconds: float
    observations: int
    similarity: float | None
    probability: float | None
    first_x1: float
    first_y1: float
    first_x2: float
    first_y2: float
    last_x1: float
    last_y1: float
    last_x2: float
    last_y2: float


def list_visits(store: Store, run: int | None = None, gap_seconds: float = VISIT_GAP_SECONDS) -> list[Visit]:
    """All visits of a run, ordered by time of entry, then camera, then identity.

    Tracklets without identity are left out.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        gap_seconds: an absence of at least this length ends a visit.

    Raises:
        StoreError: there is no such run.
    """
    visits = [
        _visit(stays)
        for _, of_one in groupby(_stays(store, run_number(store, run)), key=lambda stay: stay[:2])
        for stays in _split(of_one, gap_seconds)
    ]
    return sorted(visits, key=lambda visit: (visit.enter_seconds, visit.camera, visit.identity))


def _split(stays: Iterable[_Stay], gap_seconds: float) -> Iterator[list[_Stay]]:
    """Split where the person was absent for `gap_seconds`; tracklets may overlap, so the latest end counts."""
    together: list[_Stay] = []
    until = -np.inf
    for stay in stays:
        if together and stay.first_seconds - until >= gap_seconds:
            yield together
            together = []
        together.append(stay)
        until = max(until, stay.last_seconds)
    if together:
        yield together


def _visit(stays: list[_Stay]) -> Visit:
    first, last = stays[0], max(stays, key=lambda stay: stay.last_seconds)
    similarities = [stay.similarity for stay in stays if stay.similarity is not None]
    entry, leave = foot_points(np.array([
        [first.first_x1, first.first_y1, first.first_x2, first.first_y2],
        [last.last_x1, last.last_y1, last.last_x2, last.last_y2],
    ])).tolist()
    return Visit(
        first.identity, first.camera, first.first_seconds, last.last_seconds,
        [stay.track for stay in stays], sum(stay.observations for stay in stays),
        (entry[0], entry[1]), (leave[0], leave[1]),
        sum(similarities) / len(similarities) if similarities else None,
        min((stay.probability for stay in stays if stay.probability is not None), default=None))


def _stays(store: Store, run: int) -> Iterator[_Stay]:
    """Tracklets with an identity, ordered by identity, camera and first second."""
    first, last = aliased(Observation), aliased(Observation)
    links = last_links()
    frames = select(Observation.frame_index).where(Observation.tracklet_id == TrackletRow.id).correlate(TrackletRow)
    earliest = frames.with_only_columns(func.min(Observation.frame_index)).scalar_subquery()
    latest = frames.with_only_columns(func.max(Observation.frame_index)).scalar_subquery()
    query = (
        select(Identity.number, Camera.name, TrackletRow.track_id, TrackletRow.first_seconds,
               TrackletRow.last_seconds, TrackletRow.observations, LinkRow.similarity, LinkRow.probability,
               first.x1, first.y1, first.x2, first.y2, last.x1, last.y1, last.x2, last.y2)
        .select_from(TrackletRow).join(Camera)
        .join(Identity, TrackletRow.identity_id == Identity.id)
        .join(links, links.c.tracklet_id == TrackletRow.id)
        .join(LinkRow, LinkRow.id == links.c.link_id)
        .join(first, (first.tracklet_id == TrackletRow.id) & (first.frame_index == earliest))
        .join(last, (last.tracklet_id == TrackletRow.id) & (last.frame_index == latest))
        .where(Camera.run_id == run)
        .order_by(Identity.number, Camera.name, TrackletRow.first_seconds, TrackletRow.track_id))
    with store.reading() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            yield _Stay._make(row)
