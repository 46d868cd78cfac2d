"""What was computed of a run and is still true: reading a day's tracklets anew for every request would take seconds."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

from sqlalchemy import func, select

from ...storage.schema import CorrectionRow, LinkSet, Run
from ...storage.store import Store

RUNNING_SECONDS = 10.0  # for how long results of a run that goes on stand
MOST_VALUES = 24

Value = TypeVar("Value")
Version = tuple[object, ...]


class Remembered:
    """Values by name and run, computed again when the run's links, corrections or tracklets have changed."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, int], tuple[Version, float, object]] = OrderedDict()
        self._locks: dict[tuple[str, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, what: str, store: Store, run: int, compute: Callable[[Store, int], Value]) -> Value:
        """A value; two requests at once compute it once."""
        key, current = (what, run), version(store, run)
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            found = self._values.get(key)
            if found is not None:
                same, recent = found[0] == current, time.monotonic() - found[1] < RUNNING_SECONDS
                if same or (recent and found[0][:3] == current[:3]):
                    return cast(Value, found[2])
            value = compute(store, run)
            with self._lock:
                self._values[key] = current, time.monotonic(), value
                self._values.move_to_end(key)
                while len(self._values) > MOST_VALUES:
                    self._values.popitem(last=False)
            return value

    def clear(self) -> None:
        """Keep nothing, such as of somebody who was forgotten."""
        with self._lock:
            self._values.clear()

    def drop(self, what: str, run: int) -> None:
        """Compute a value again when it is asked for."""
        with self._lock:
            self._values.pop((what, run), None)


def version(store: Store, run: int) -> Version:
    """What changes with every change of a run's identities; read without going through its rows.

    The first three must be seen at once: people's decisions, and that the run has ended; the last changes until then.
    """
    with store.reading() as connection:
        status, heartbeat = connection.execute(select(Run.status, Run.heartbeat_at).where(Run.id == run)).one()
        return (
            connection.scalar(select(func.max(CorrectionRow.id)).where(CorrectionRow.run_id == run)),
            connection.scalar(select(LinkSet.id).where(LinkSet.run_id == run, LinkSet.selected == 1)),
            status, heartbeat if status == "running" else None)
