"""Runs that know what their results depend on, and whether they can be continued."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from .schema import CheckpointRow, Run
from .store import Store


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run; `inputs` is the JSON that it was started with, `seconds` (UTC epoch) how far its checkpoint is."""

    run: int
    inputs: str
    has_ended: bool
    seconds: float | None


def runs_with_inputs(store: Store) -> list[StoredRun]:
    """The runs that were started with their inputs, the newest first."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Run.id, Run.inputs, CheckpointRow.run_id, CheckpointRow.seconds)
            .outerjoin(CheckpointRow, CheckpointRow.run_id == Run.id)
            .where(Run.inputs.is_not(None)).order_by(Run.id.desc())).all()
    return [StoredRun(run, inputs or "", unfinished is None, seconds) for run, inputs, unfinished, seconds in rows]
