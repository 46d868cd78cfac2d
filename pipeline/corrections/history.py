"""The audit of corrections: who decided what about a run's identities, when, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from ..storage.runs import run_number
from ..storage.schema import CorrectionRow
from ..storage.store import Store
from ..storage.times import iso_time
from ..storage.writing.corrected import undone


@dataclass(frozen=True, slots=True)
class Correction:
    """One decision by a person.

    Attributes:
        number: what `undo` takes; unique in the database.
        run: number of its run.
        created: ISO 8601, UTC.
        who: who decided.
        why: a reason; may be empty.
        kind: rename, merge, split, different, forget or undo.
        what: one line, such as `identity 5 is identity 3`.
        identities: their numbers at that time: of a merge those kept and gone, of a split the old and the new one.
        undoes: number of the correction that this one undoes, if it is an undo.
        undone_by: number of the undo, if this one is no longer in force.
    """

    number: int
    run: int
    created: str
    who: str
    why: str
    kind: str
    what: str
    identities: list[int]
    undoes: int | None
    undone_by: int | None


def history(store: Store, run: int | None = None) -> list[Correction]:
    """All corrections of a run, the newest first.

    Args:
        store: the database.
        run: the run's number; the newest by default.

    Raises:
        StoreError: there is no such run.
    """
    number = run_number(store, run)
    with store.reading() as connection:
        gone = undone(connection, number)
        table = CorrectionRow.__table__.c
        rows = connection.execute(
            select(table.id, table.created_at, table.who, table.why, table.kind, table.identity, table.other_identity,
                   table.name, table.undoes)
            .where(table.run_id == number).order_by(table.id.desc())).all()
    found = []
    for row in rows:
        identities = [one for one in (row.identity, row.other_identity) if one is not None]
        what = _what(row.kind, identities, row.name, row.undoes)
        found.append(Correction(
            row.id, number, iso_time(row.created_at.timestamp()), row.who, row.why, row.kind, what, identities,
            row.undoes, gone.get(row.id)))
    return found


def _what(kind: str, identities: list[int], name: str | None, undoes: int | None) -> str:
    """One line about a correction; forgotten people have no name here any more."""
    first = identities[0] if identities else 0
    if kind == "undo":
        return f"correction {undoes} is undone"
    if kind == "forget":
        return f"identity {first} is forgotten"
    if kind == "rename":
        called = {None: "was named", "": "has no name"}.get(name, f'is called "{name}"')
        return f"identity {first} {called}"
    if kind == "merge" and len(identities) == 1:
        return f"tracklets of identity {first} are one person"
    other = identities[1] if len(identities) > 1 else 0
    if kind == "merge":
        return f"identity {other} is identity {first}"
    if kind == "split":
        return f"a part of identity {first} is another person, identity {other}"
    return f"identities {first} and {other} are different people"
