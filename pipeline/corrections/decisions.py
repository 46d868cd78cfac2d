"""Correct identities: rename, merge, split, keep apart, undo. Every decision is audited and applied at once.

Decisions are about tracklets, so they survive linking again: every set of links obeys those in force. What a newer
decision says overrides older ones. A run that still goes on cannot be corrected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, select, update
from sqlalchemy.orm import aliased

from ..errors import CorrectionError
from ..linking.evidence.constraints import is_handover
from ..storage.schema import NAME_LENGTH, Camera, CorrectionRow, CorrectionTracklet, Identity, TrackletRow
from ..storage.store import Store
from ..storage.times import iso_time
from ..storage.writing.corrected import apply_corrections, undone
from ..types import TrackKey
from .history import Correction, history
from .recording import Member, NewCorrection, checked_author, checked_line, finished_run, members, record


def rename(store: Store, run: int | None, identity: int, name: str, who: str, why: str = "") -> Correction:
    """Name an identity.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        identity: its number.
        name: one line of at most 200 characters; empty takes the name away.
        who: who decides.
        why: a reason.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: no such identity, not a name, or another identity has it.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    name = checked_line(name, "name", NAME_LENGTH)
    with store.writing() as connection:
        tracklets = members(connection, store, number, identity)
        namesake = connection.scalar(
            select(Identity.number).join(TrackletRow, TrackletRow.identity_id == Identity.id).join(Camera)
            .where(Camera.run_id == number, Identity.name == name, Identity.number != identity))
        if name and namesake is not None:
            raise CorrectionError(f'identity {namesake} is called "{name}" already: merge them, or give another name')
        row = _decide(connection, number, NewCorrection("rename", identity, tracklets, name=name), author)
    return _correction(store, number, row)


def merge(
    store: Store, run: int | None, one: int, other: int, who: str, why: str = "", anyway: bool = False
) -> Correction:
    """Decide that two identities are one person, which keeps the lower number.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        one, other: their numbers.
        who: who decides.
        why: a reason.
        anyway: even if one camera sees both at the same time.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: no such identities, twice the same, they are seen at once, or a decision in force says that
            they are different people.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    kept, gone = _two(one, other)
    with store.writing() as connection:
        tracklets, others = (members(connection, store, number, identity) for identity in (kept, gone))
        at_once = _seen_at_once(tracklets, others)
        if at_once is not None and not anyway:
            raise CorrectionError(
                f"identities {kept} and {gone} are both in {at_once[0]} for {at_once[2]:.1f} s from "
                f"{iso_time(at_once[1])} on, as two people are: split off what is wrong first, or merge them anyway")
        against = _kept_apart(connection, number, tracklets, others)
        if against is not None:
            raise CorrectionError(f"identities {kept} and {gone} are different people by correction {against}: "
                                  "undo it first")
        row = _decide(connection, number, NewCorrection("merge", kept, [*tracklets, *others], gone), author)
    return _correction(store, number, row)


def split(
    store: Store,
    run: int | None,
    identity: int,
    who: str,
    why: str = "",
    tracklets: Sequence[TrackKey] = (),
    from_seconds: float | None = None,
) -> Correction:
    """Decide that a part of an identity's tracklets is another person: they become one new identity.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        identity: its number.
        who: who decides.
        why: a reason.
        tracklets: camera and track of those that leave; or else
        from_seconds: UTC epoch seconds: those leave that begin then or later.

    Returns:
        The correction; its `identities` are the old one and the new one.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: no such identity, it has no such tracklet, or nobody would leave or stay.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    if bool(tracklets) == (from_seconds is not None):
        raise CorrectionError("say either which tracklets leave the identity, or from when on")
    with store.writing() as connection:
        all_of_it = members(connection, store, number, identity)
        missing = set(tracklets) - {one.key for one in all_of_it}
        if missing:
            camera, track = min(missing)
            raise CorrectionError(f"identity {identity} has no track {track} of {camera}: "
                                  f"`reidpipe identities show {identity}` lists those that it has")
        leaving = [
            one for one in all_of_it
            if one.key in tracklets or (from_seconds is not None and one.first_seconds >= from_seconds)]
        if not leaving or len(leaving) == len(all_of_it):
            share = "all" if leaving else "none"
            raise CorrectionError(f"{share} of the {len(all_of_it)} tracklets of identity {identity} would leave it, "
                                  "so nothing is split: choose others")
        staying = [one for one in all_of_it if one not in leaving]
        row = _decide(connection, number, NewCorrection("split", identity, staying, other=leaving), author)
        new = connection.execute(
            select(Identity.number).join(TrackletRow, TrackletRow.identity_id == Identity.id)
            .where(TrackletRow.id == leaving[0].id)).scalar_one()
        connection.execute(update(CorrectionRow).where(CorrectionRow.id == row).values(other_identity=new))
    return _correction(store, number, row)


def not_the_same(store: Store, run: int | None, one: int, other: int, who: str, why: str = "") -> Correction:
    """Decide that two identities are different people, whatever a later linking finds.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        one, other: their numbers.
        who: who decides.
        why: a reason.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: no such identities, or twice the same.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    first, second = _two(one, other)
    with store.writing() as connection:
        sides = [members(connection, store, number, identity) for identity in (first, second)]
        row = _decide(connection, number, NewCorrection("different", first, sides[0], second, sides[1]), author)
    return _correction(store, number, row)


def confirm(
    store: Store, run: int | None, identity: int, tracklets: Sequence[TrackKey], who: str, why: str = ""
) -> Correction:
    """Decide that some tracklets of one identity are one person, as it has them, whatever a later linking finds.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        identity: its number.
        tracklets: camera and track of at least two of its tracklets.
        who: who decides.
        why: a reason.

    Returns:
        The correction, of kind `merge`; its `identities` are the one identity.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: no such identity, or it has not two of these tracklets.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    with store.writing() as connection:
        same = [one for one in members(connection, store, number, identity) if one.key in tracklets]
        if len(same) < max(2, len(set(tracklets))):
            raise CorrectionError(f"identity {identity} has not all of these tracklets, or they are one: nothing is "
                                  "decided")
        row = _decide(connection, number, NewCorrection("merge", identity, same), author)
    return _correction(store, number, row)


def undo(store: Store, run: int | None, who: str, why: str = "", correction: int | None = None) -> Correction:
    """Undo a correction: what is shown becomes what it would be without it. An undo can be undone, too.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        who: who decides.
        why: a reason.
        correction: its number; by default, the last one in force.

    Raises:
        StoreError: there is no such run, it still goes on, or the database cannot be written.
        CorrectionError: there is no such correction, it is undone already, or it is `forget`, which is for good.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    with store.writing() as connection:
        gone = undone(connection, number)
        rows = connection.execute(
            select(CorrectionRow.id, CorrectionRow.kind).where(CorrectionRow.run_id == number)
            .order_by(CorrectionRow.id.desc())).all()
        kinds = {row.id: row.kind for row in rows}
        if correction is None:
            in_force = [row for row, kind in kinds.items() if kind not in ("undo", "forget") and row not in gone]
            if not in_force:
                raise CorrectionError(f"run {number} has no correction that could be undone")
            correction = in_force[0]
        if correction not in kinds:
            raise CorrectionError(f"run {number} has no correction {correction}: "
                                  "`reidpipe identities history` lists those that it has")
        if kinds[correction] == "forget":
            raise CorrectionError(f"correction {correction} has deleted a person's data for good: it cannot be undone")
        if correction in gone:
            raise CorrectionError(f"correction {correction} is undone already, by correction {gone[correction]}")
        row = _decide(connection, number, NewCorrection("undo", None, undoes=correction), author)
    return _correction(store, number, row)


def _decide(connection: Connection, run: int, decision: NewCorrection, author: tuple[str, str]) -> int:
    row = record(connection, run, decision, author)
    apply_corrections(connection, run)
    return row


def _correction(store: Store, run: int, row: int) -> Correction:
    return next(one for one in history(store, run) if one.number == row)


def _two(one: int, other: int) -> tuple[int, int]:
    if one == other:
        raise CorrectionError(f"identity {one} is itself: give two different identities")
    return min(one, other), max(one, other)


def _seen_at_once(one: Sequence[Member], other: Sequence[Member]) -> tuple[str, float, float] | None:
    """Where one camera sees two identities at once for longest: camera, first second, and how many seconds.

    Handovers between two tracks do not count.
    """
    camera = [np.array([member.key[0] for member in side], object) for side in (one, other)]
    first = [np.array([member.first_seconds for member in side]) for side in (one, other)]
    last = [np.array([member.last_seconds for member in side]) for side in (one, other)]
    begins = np.maximum(first[0][:, None], first[1])  # (N, M)
    shared = np.minimum(last[0][:, None], last[1]) - begins  # (N, M)
    shorter = np.minimum((last[0] - first[0])[:, None], last[1] - first[1])
    shared = np.where((camera[0][:, None] == camera[1]) & ~is_handover(-shared, shorter), shared, -np.inf)
    row, column = np.unravel_index(shared.argmax(), shared.shape)
    longest = float(shared[row, column])
    return None if longest < 0 else (one[int(row)].key[0], float(begins[row, column]), longest)


def _kept_apart(connection: Connection, run: int, one: Sequence[Member], other: Sequence[Member]) -> int | None:
    """The newest correction in force by which tracklets of two identities are different people."""
    gone = undone(connection, run)
    left, right = aliased(CorrectionTracklet), aliased(CorrectionTracklet)
    rows = connection.execute(
        select(CorrectionRow.id, left.tracklet_id, right.tracklet_id)
        .join(left, left.correction_id == CorrectionRow.id).join(right, right.correction_id == CorrectionRow.id)
        .where(CorrectionRow.run_id == run, left.side == 0, right.side == 1).order_by(CorrectionRow.id.desc()))
    ids = {member.id for member in one}, {member.id for member in other}
    for row, first, second in rows:
        if row not in gone and ((first in ids[0] and second in ids[1]) or (first in ids[1] and second in ids[0])):
            return int(row)
    return None
