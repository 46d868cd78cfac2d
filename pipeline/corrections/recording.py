"""What every decision about identities needs: a run that has ended, an author, the tracklets, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from ..errors import CorrectionError, StoreError
from ..storage.runs import run_number
from ..storage.schema import NAME_LENGTH, Camera, CorrectionRow, CorrectionTracklet, Identity, Run, TrackletRow
from ..storage.store import Store
from ..storage.writing.rows import insert_row
from ..types import TrackKey

WHY_LENGTH = 2000  # characters


@dataclass(frozen=True, slots=True)
class Member:
    """One tracklet of an identity: its row id, key, and first and last UTC epoch second."""

    id: int
    key: TrackKey
    first_seconds: float
    last_seconds: float


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """A correction to be stored: who is one person, and who is not that person."""

    kind: str
    identity: int | None
    one: Sequence[Member] = ()
    other_identity: int | None = None
    other: Sequence[Member] = field(default=())
    name: str | None = None
    undoes: int | None = None


def finished_run(store: Store, run: int | None) -> int:
    """The number of a run that can be corrected.

    Raises:
        StoreError: there is no such run, or it still goes on.
    """
    number = run_number(store, run)
    with store.reading() as connection:
        status = connection.scalar(select(Run.status).where(Run.id == number))
    if status == "running":
        raise StoreError(f"{store.name}: run {number} still goes on: correct it when it is complete")
    return number


def checked_author(who: str, why: str) -> tuple[str, str]:
    """Who decides, and why.

    Raises:
        CorrectionError: nobody, or not one line each.
    """
    who = checked_line(who, "who decides", NAME_LENGTH)
    if not who:
        raise CorrectionError("a correction needs somebody who decides: give a name")
    return who, checked_line(why, "the reason", WHY_LENGTH)


def checked_line(text: str, what: str, longest: int) -> str:
    """A text without outer blanks.

    Raises:
        CorrectionError: it is longer than allowed, or has characters that cannot be printed, such as line breaks.
    """
    text = text.strip()
    if len(text) > longest:
        raise CorrectionError(f"{what}: expected at most {longest} characters, got {len(text)}")
    if not text.isprintable():
        raise CorrectionError(f"{what}: expected one line of printable characters, got {text!r}")
    return text


def members(connection: Connection, store: Store, run: int, identity: int) -> list[Member]:
    """The tracklets of an identity, by first second.

    Raises:
        CorrectionError: the run has no such identity.
    """
    rows = connection.execute(
        select(TrackletRow.id, Camera.name, TrackletRow.track_id, TrackletRow.first_seconds, TrackletRow.last_seconds)
        .select_from(TrackletRow).join(Camera).join(Identity, Identity.id == TrackletRow.identity_id)
        .where(Camera.run_id == run, Identity.number == identity)
        .order_by(TrackletRow.first_seconds, Camera.name, TrackletRow.track_id)).all()
    if not rows:
        raise CorrectionError(f"{store.name}: run {run} has no identity {identity}: "
                              "`reidpipe identities list` shows those that it has")
    return [Member(row[0], (row[1], row[2]), row[3], row[4]) for row in rows]


def record(connection: Connection, run: int, decision: NewCorrection, author: tuple[str, str]) -> int:
    """Store a correction without applying it; returns its number."""
    row = insert_row(connection, insert(CorrectionRow).values(
        run_id=run, created_at=datetime.now(UTC), who=author[0], why=author[1], kind=decision.kind,
        identity=decision.identity, other_identity=decision.other_identity, name=decision.name,
        undoes=decision.undoes))
    sides = [(side, one.id) for side, rows in ((0, decision.one), (1, decision.other)) for one in rows]
    if sides:
        connection.execute(insert(CorrectionTracklet), [
            {"correction_id": row, "tracklet_id": id_, "side": side} for side, id_ in sides])
    return row
