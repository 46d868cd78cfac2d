"""Forget a person: delete tracklets, boxes, crops, embeddings, links and name for good."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from ..storage.schema import (
    AppearanceRow,
    CheckpointPart,
    CheckpointRow,
    CorrectionRow,
    CorrectionTracklet,
    CropRow,
    Identity,
    LinkRow,
    Observation,
    TrackletRow,
)
from ..storage.store import Store
from ..storage.writing.corrected import apply_corrections
from ..storage.writing.link_rows import drop_empty_identities, in_parts
from ..storage.writing.processes import require_no_run
from .history import Correction, history
from .recording import NewCorrection, checked_author, finished_run, members, record

OfTracklet = type[CropRow | AppearanceRow | Observation | LinkRow | CorrectionTracklet]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted: the entry of the audit, and how many rows of each kind."""

    correction: Correction
    tracklets: int
    crops: int
    appearances: int
    observations: int


def forget(store: Store, run: int | None, identity: int, who: str, why: str = "") -> Forgotten:
    """Delete all that is stored about a person of a run, for good; there is no undo.

    Deleted are the identity's tracklets with their boxes, crops, embeddings and links by every set of links, its name,
    and the checkpoint of an unfinished run, which then cannot be resumed. The audit keeps that somebody was forgotten;
    reasons of earlier corrections of these tracklets alone are blanked. An SQLite file is overwritten and rewritten, so
    that its bytes hold nothing of it either. Files that were exported before, and the footage, are not touched.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        identity: its number.
        who: who decides.
        why: a reason, which is kept.

    Raises:
        StoreError: there is no such run, a run is writing to the database, or it cannot be written; or the rows are
            deleted but another program that reads the file keeps old bytes of it alive.
        CorrectionError: no such identity.
    """
    number, author = finished_run(store, run), checked_author(who, why)
    with store.writing() as connection:
        require_no_run(connection, store.name)
        ids = [one.id for one in members(connection, store, number, identity)]
        _blank_audit(connection, number, set(ids))
        counts = [sum(_delete(connection, kind, some) for some in in_parts(ids))
                  for kind in (CropRow, AppearanceRow, Observation)]
        for some in in_parts(ids):
            for kind in (LinkRow, CorrectionTracklet):
                _delete(connection, kind, some)
            connection.execute(delete(TrackletRow).where(TrackletRow.id.in_(some)))
        drop_empty_identities(connection, Identity.run_id == number)  # in all sets of links
        for part in (CheckpointPart, CheckpointRow):  # the state of an unfinished run holds embeddings and crops, too
            connection.execute(delete(part).where(part.run_id == number))
        row = record(connection, number, NewCorrection("forget", identity), author)
        apply_corrections(connection, number)
    store.compact(completely=True)
    entry = next(one for one in history(store, number) if one.number == row)
    return Forgotten(entry, len(ids), *counts)


def _delete(connection: Connection, kind: OfTracklet, tracklets: list[int]) -> int:
    """Delete the rows of some tracklets; returns how many."""
    where = kind.tracklet_id.in_(tracklets)
    count = connection.execute(select(func.count()).select_from(kind).where(where)).scalar_one()
    connection.execute(delete(kind).where(where))
    return int(count)


def _blank_audit(connection: Connection, run: int, ids: set[int]) -> None:
    """Blank names and reasons of the corrections that are about these tracklets alone."""
    about: dict[int, set[int]] = {}
    rows = connection.execute(
        select(CorrectionRow.id, CorrectionTracklet.tracklet_id)
        .join(CorrectionTracklet, CorrectionTracklet.correction_id == CorrectionRow.id)
        .where(CorrectionRow.run_id == run))
    for correction, tracklet in rows:
        about.setdefault(correction, set()).add(tracklet)
    own = [correction for correction, tracklets in about.items() if tracklets <= ids]
    for some in in_parts(own):
        connection.execute(update(CorrectionRow).where(CorrectionRow.id.in_(some)).values(name=None, why=""))
