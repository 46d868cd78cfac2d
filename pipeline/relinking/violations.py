"""Find identities of a stored run that nobody can be: twice in one camera, in two places, or away for too long."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, func, select
from sqlalchemy.orm import aliased

from ..linking.evidence.constraints import FLOOR_SLACK_METRES, is_handover, metres_apart, reachable
from ..linking.evidence.spans import spans_of
from ..storage.runs import list_cameras, run_number
from ..storage.schema import Camera, Identity, TrackletRow
from ..storage.store import Store
from ..storage.tracklets import stored_tracklets
from ..types import TrackKey
from .relink import shown_linking

Pair = tuple[int, TrackKey, TrackKey]  # identity, and two of its tracklets, the earlier one first


@dataclass(frozen=True, slots=True)
class Violation:
    """An identity that violates a constraint, and the two tracklets that show it."""

    identity: int
    what: str
    one: TrackKey
    other: TrackKey


def find_violations(store: Store, run: int | None = None) -> list[Violation]:
    """Check every identity of a run, as its selected set of links has it.

    Raises:
        StoreError: there is no such run.
        ConfigError: a newer or older reidpipe wrote the settings of its links.
    """
    number = run_number(store, run)
    config = shown_linking(store, number)
    with store.reading() as connection:
        found = [
            Violation(identity, "twice in one camera at a time", one, other)
            for identity, one, other, is_brief in _at_once(connection, number, same_camera=True) if not is_brief]
        neighbours = _neighbours(connection, number)
        at_once = _at_once(connection, number, same_camera=False)
    if config.overlaps is not None:
        sharing = {frozenset(pair) for pair in config.overlaps}
        found += [
            Violation(identity, "in two cameras at a time that have no overlap", one, other)
            for identity, one, other, is_brief in at_once
            if not is_brief and frozenset((one[0], other[0])) not in sharing]
    found += [
        Violation(identity, f"away for {gap:.0f} s, longer than max_gap_seconds", one, other)
        for identity, one, other, gap in neighbours if gap > config.max_gap_seconds]
    if any(camera.homography is not None for camera in list_cameras(store, number)):
        pairs = [pair[:3] for pair in at_once] + [pair[:3] for pair in neighbours if pair[3] > 0]
        found += _on_floor(store, number, pairs, config.max_speed)
    return sorted(found, key=lambda one: (one.identity, one.one, one.other))


def _at_once(connection: Connection, run: int, same_camera: bool) -> list[tuple[int, TrackKey, TrackKey, bool]]:
    """Pairs of an identity's tracklets that overlap in time, and whether so briefly as at a handover."""
    one, other, camera = aliased(TrackletRow), aliased(TrackletRow), aliased(Camera)
    rows = connection.execute(
        select(Identity.number, Camera.name, one.track_id, camera.name, other.track_id,
               one.first_seconds, one.last_seconds, other.first_seconds, other.last_seconds)
        .select_from(one).join(Identity, Identity.id == one.identity_id)
        .join(other, (other.identity_id == one.identity_id) & (other.id != one.id))
        .join(Camera, Camera.id == one.camera_id).join(camera, camera.id == other.camera_id)
        .where(
            Identity.run_id == run, one.first_seconds <= other.last_seconds, other.first_seconds <= one.last_seconds,
            (one.first_seconds < other.first_seconds)
            | ((one.first_seconds == other.first_seconds) & (one.id < other.id)),
            (one.camera_id == other.camera_id) if same_camera else (one.camera_id != other.camera_id))).all()
    begin, end, begin_2, end_2 = np.array([tuple(row[5:]) for row in rows], np.float64).reshape(-1, 4).T
    brief = is_handover(np.maximum(begin - end_2, begin_2 - end), np.minimum(end - begin, end_2 - begin_2))
    return [
        (row[0], (row[1], row[2]), (row[3], row[4]), is_brief)
        for row, is_brief in zip(rows, brief.tolist(), strict=True)]


def _neighbours(connection: Connection, run: int) -> list[tuple[int, TrackKey, TrackKey, float]]:
    """Each identity's tracklets in time order: a tracklet, the next one, and the seconds without any between them."""
    seen_until = func.max(TrackletRow.last_seconds).over(
        partition_by=TrackletRow.identity_id, order_by=(TrackletRow.first_seconds, TrackletRow.id), rows=(None, -1))
    rows = list(connection.execute(
        select(Identity.number, Camera.name, TrackletRow.track_id, TrackletRow.first_seconds, seen_until)
        .join(Identity, Identity.id == TrackletRow.identity_id).join(Camera, Camera.id == TrackletRow.camera_id)
        .where(Identity.run_id == run)
        .order_by(Identity.number, TrackletRow.first_seconds, TrackletRow.id)).all())
    return [
        (row[0], (before[1], before[2]), (row[1], row[2]), row[3] - row[4])
        for before, row in pairwise(rows) if row[4] is not None]


def _on_floor(store: Store, run: int, pairs: list[Pair], max_speed: float) -> list[Violation]:
    """Pairs, the earlier tracklet first, that are too far from each other on the floor."""
    tracklets = stored_tracklets(store, run)
    place = {one.key: row for row, one in enumerate(tracklets)}
    spans = spans_of(tracklets, {name: number for number, name in enumerate(sorted({one.camera for one in tracklets}))})
    one = spans[np.array([place[earlier] for _, earlier, _ in pairs], np.int64)]
    other = spans[np.array([place[later] for _, _, later in pairs], np.int64)]
    seconds = other.first - one.last  # (K,)
    known = (one.points > 0) & (other.points > 0)
    too_fast = known & ~reachable(seconds, one.end_xy, other.start_xy, max_speed)
    apart = np.zeros(len(pairs), np.bool_)
    rows = np.flatnonzero(known & (seconds <= 0))
    apart[rows] = metres_apart(one[rows], other[rows]) > FLOOR_SLACK_METRES
    return [
        Violation(identity, what, earlier, later)
        for what, wrong in (("walks too fast", too_fast), ("in two places at once", apart))
        for (identity, earlier, later), bad in zip(pairs, wrong.tolist(), strict=True) if bad]
