"""Apply the corrections in force to a run's links: person's links, identities and names of the set that results show.

The links of the model stay as they are, so that a correction can be undone. What is shown follows from them and from
the corrections in force, and is computed anew after every change of either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import aliased

from ....reid import Appearance, concatenate, masked_similarity
from ...linking.decisions import Decision, Numbers, Rows, Shown, obey
from ...linking.recent import UNDECIDED
from ...types import TrackKey
from ..packing import unpack_appearance
from ..schema import (
    AppearanceRow,
    Camera,
    CorrectionRow,
    CorrectionTracklet,
    Identity,
    LinkRow,
    LinkSet,
    TrackletRow,
)
from .link_rows import identity_ids, in_parts

Mode = Literal["plain", "query", "joint"]


@dataclass(frozen=True, slots=True)
class _Tracklets:
    """A run's T tracklets.

    Attributes:
        ids: int64 (T,), rising row ids.
        keys: camera and track of each.
        shown: identities, cameras and times.
    """

    ids: Rows
    keys: list[TrackKey]
    shown: Shown


def apply_corrections(connection: Connection, run: int) -> None:
    """Let the selected set of links obey the corrections in force, and name its identities."""
    link_set, mode = _selected(connection, run)
    corrections = corrections_in_force(connection, run)
    if not corrections and not _is_corrected(connection, link_set):
        return
    tracklets = _tracklets(connection, run, link_set)
    numbers = _obeying(connection, tracklets, corrections, mode)
    _write_links(connection, link_set, tracklets, numbers)
    _write_names(connection, link_set, _names(tracklets, numbers, corrections))


def withdraw_corrections(connection: Connection, link_set: int) -> None:
    """Show the links of the model alone, such as before its identities are numbered anew."""
    if not _is_corrected(connection, link_set):
        return
    run = connection.execute(select(LinkSet.run_id).where(LinkSet.id == link_set)).scalar_one()
    tracklets = _tracklets(connection, run, link_set)
    _write_links(connection, link_set, tracklets, tracklets.shown.linked)
    _write_names(connection, link_set, {})


def corrected_identities(connection: Connection, run: int, linked: Mapping[TrackKey, int]) -> dict[TrackKey, int]:
    """What the corrections in force make of the identities that a linking gives; nothing is stored.

    Args:
        connection: for reading.
        run: number of a run.
        linked: identities by tracklet.
    """
    link_set, mode = _selected(connection, run)
    corrections = corrections_in_force(connection, run)
    if not corrections:
        return dict(linked)
    stored = _tracklets(connection, run, link_set)
    numbers = np.array([linked.get(key, UNDECIDED) for key in stored.keys], np.int64)
    shown = Shown(numbers, numbers, stored.shown.camera, stored.shown.first, stored.shown.last)
    found = _obeying(connection, _Tracklets(stored.ids, stored.keys, shown), corrections, mode)
    return {key: one for key, one in zip(stored.keys, found.tolist(), strict=True) if one != UNDECIDED}


@dataclass(frozen=True, slots=True)
class CorrectionInForce:
    """A correction: its kind, the name that it gives, and row ids of its tracklets by side, int64 (N,) and (M,)."""

    kind: str
    name: str | None
    one: Rows
    other: Rows


def corrections_in_force(connection: Connection, run: int) -> list[CorrectionInForce]:
    """The corrections that were not undone, the newest first."""
    rows = connection.execute(
        select(CorrectionRow.id, CorrectionRow.kind, CorrectionRow.name).where(
            CorrectionRow.run_id == run, CorrectionRow.kind != "undo", CorrectionRow.kind != "forget")
        .order_by(CorrectionRow.id.desc())).all()
    gone = undone(connection, run)
    found = []
    for number, kind, name in rows:
        if number not in gone:
            sides = connection.execute(
                select(CorrectionTracklet.tracklet_id, CorrectionTracklet.side)
                .where(CorrectionTracklet.correction_id == number).order_by(CorrectionTracklet.tracklet_id)).all()
            one, other = (np.array([row[0] for row in sides if row[1] == side], np.int64) for side in (0, 1))
            found.append(CorrectionInForce(kind, name, one, other))
    return found


def undone(connection: Connection, run: int) -> dict[int, int]:
    """Corrections of a run that are not in force, and by which undo; an undo can itself be undone."""
    rows = connection.execute(
        select(CorrectionRow.id, CorrectionRow.undoes).where(CorrectionRow.run_id == run, CorrectionRow.kind == "undo")
        .order_by(CorrectionRow.id.desc())).all()
    found: dict[int, int] = {}
    for number, undoes in rows:  # the newest first: only older ones can be undone
        if number not in found and undoes is not None:
            found[undoes] = number
    return found


def _selected(connection: Connection, run: int) -> tuple[int, Mode]:
    """Row id of the selected set of links, and how it compares appearances."""
    link_set, config = connection.execute(
        select(LinkSet.id, LinkSet.config).where(LinkSet.run_id == run, LinkSet.selected == 1)).one()
    section = json.loads(config)
    mode = section.get("mode") if isinstance(section, dict) else None
    return link_set, cast("Mode", mode if mode in get_args(Mode) else "joint")


def _is_corrected(connection: Connection, link_set: int) -> bool:
    """Whether a set has anything by a person."""
    own = Identity.link_set_id == link_set
    by_person = select(LinkRow.id).join(Identity).where(own, LinkRow.by == "person").limit(1)
    named = select(Identity.id).where(own, Identity.name.is_not(None)).limit(1)
    return connection.scalar(by_person) is not None or connection.scalar(named) is not None


def _tracklets(connection: Connection, run: int, link_set: int) -> _Tracklets:
    linked, current = aliased(Identity), aliased(Identity)
    last = (
        select(LinkRow.tracklet_id, func.max(LinkRow.id).label("link_id")).join(Identity)
        .where(Identity.link_set_id == link_set, LinkRow.by == "model").group_by(LinkRow.tracklet_id).subquery())
    rows = connection.execute(
        select(TrackletRow.id, Camera.name, TrackletRow.track_id, linked.number, current.number, TrackletRow.camera_id,
               TrackletRow.first_seconds, TrackletRow.last_seconds)
        .select_from(TrackletRow).join(Camera)
        .outerjoin(last, last.c.tracklet_id == TrackletRow.id).outerjoin(LinkRow, LinkRow.id == last.c.link_id)
        .outerjoin(linked, linked.id == LinkRow.identity_id)
        .outerjoin(current, current.id == TrackletRow.identity_id)
        .where(Camera.run_id == run).order_by(TrackletRow.id)).all()
    numbers = np.array([[UNDECIDED if one is None else one for one in row[3:5]] for row in rows], np.int64)
    times = np.array([row[6:] for row in rows], np.float64).reshape(-1, 2)
    linked_numbers, current_numbers = numbers.reshape(-1, 2).T
    shown = Shown(
        linked_numbers, current_numbers, np.array([row[5] for row in rows], np.int64), times[:, 0], times[:, 1])
    return _Tracklets(np.array([row[0] for row in rows], np.int64), [(row[1], row[2]) for row in rows], shown)


def _obeying(
    connection: Connection, tracklets: _Tracklets, corrections: list[CorrectionInForce], mode: Mode
) -> Numbers:
    """Identities that obey, int64 (T,)."""
    decisions = [
        Decision(np.searchsorted(tracklets.ids, one.one), np.searchsorted(tracklets.ids, one.other))
        for one in corrections if len(one.one) and (one.kind == "merge" or len(one.other)) and one.kind != "rename"]
    return obey(tracklets.shown, decisions, partial(_similarity, connection, tracklets.ids, mode))


def _similarity(connection: Connection, ids: Rows, mode: Mode, one: Rows, other: Rows) -> NDArray[np.float64]:
    """Masked similarity of stored tracklets by their rows, float64 (N, M); -inf without an appearance."""
    found: dict[int, Appearance] = {}
    for some in in_parts(ids[np.union1d(one, other)].tolist()):
        rows = connection.execute(
            select(AppearanceRow.tracklet_id, AppearanceRow.embedding, AppearanceRow.mask)
            .where(AppearanceRow.kind == "tracklet", AppearanceRow.tracklet_id.in_(some)))
        found |= {row[0]: unpack_appearance(row[1], row[2]) for row in rows}
    similarity = np.full((len(one), len(other)), -np.inf)
    there = [np.array([place for place, id_ in enumerate(ids[rows].tolist()) if id_ in found], np.int64)
             for rows in (one, other)]
    if all(map(len, there)):
        query, gallery = (
            concatenate([found[id_] for id_ in ids[rows[places]].tolist()])
            for rows, places in zip((one, other), there, strict=True))
        similarity[np.ix_(*there)] = masked_similarity(query, gallery, mode)
    return similarity


def _write_links(connection: Connection, link_set: int, tracklets: _Tracklets, numbers: Numbers) -> None:
    """Replace the set's links by persons, and give tracklets their identities."""
    own = select(Identity.id).where(Identity.link_set_id == link_set)
    connection.execute(delete(LinkRow).where(LinkRow.identity_id.in_(own), LinkRow.by == "person"))
    moved = np.flatnonzero((numbers != tracklets.shown.linked) & (numbers != UNDECIDED))
    changed = np.flatnonzero(numbers != tracklets.shown.current)
    wanted = sorted({int(one) for one in numbers[np.union1d(moved, changed)] if one != UNDECIDED})
    rows_of = identity_ids(connection, link_set, wanted)
    now = datetime.now(UTC)
    if len(moved):
        connection.execute(insert(LinkRow), [
            {"tracklet_id": id_, "identity_id": rows_of[number], "by": "person", "created_at": now}
            for id_, number in zip(tracklets.ids[moved].tolist(), numbers[moved].tolist(), strict=True)])
    if len(changed):
        connection.execute(
            update(TrackletRow).where(TrackletRow.id == bindparam("tracklet")).values(identity_id=bindparam("own")),
            [{"tracklet": id_, "own": rows_of.get(number)} for id_, number in zip(
                tracklets.ids[changed].tolist(), numbers[changed].tolist(), strict=True)])


def _names(tracklets: _Tracklets, numbers: Numbers, corrections: list[CorrectionInForce]) -> dict[int, str]:
    """Names by identity: that of the newest naming of most of whose tracklets the identity holds."""
    found: dict[int, str] = {}
    for one in reversed(corrections):
        if one.kind == "rename" and len(one.one):
            own = numbers[np.searchsorted(tracklets.ids, one.one)]
            candidates, counts = np.unique(own[own != UNDECIDED], return_counts=True)
            if len(candidates):
                found[int(candidates[counts.argmax()])] = one.name or ""
    return {number: name for number, name in found.items() if name}


def _write_names(connection: Connection, link_set: int, names: Mapping[int, str]) -> None:
    connection.execute(update(Identity).where(Identity.link_set_id == link_set).values(name=None))
    if names:
        connection.execute(
            update(Identity).where(Identity.link_set_id == link_set, Identity.number == bindparam("place"))
            .values(name=bindparam("own_name")),
            [{"place": number, "own_name": name} for number, name in names.items()])
