"""The database behind the page: many read at once, through connections that cannot write; one corrects, alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..storage.store import Store

MOST_READERS = 8  # at once, each with a connection of its own; the others wait


class Database:
    """A store for corrections, and a second one, which cannot write, for everything else.

    A correction waits for the reads that have begun, and later ones wait for it: while a person is forgotten, no read
    may keep the former bytes of the file alive.
    """

    def __init__(self, store: Store) -> None:
        self._writer = store
        self._reader = store.read_only()
        self._changed = threading.Condition()
        self._readers, self._waiting, self._correcting = 0, 0, False

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The store for reading; errors that damage of the database causes are raised as StoreError."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._correcting and not self._waiting and self._readers < MOST_READERS)
            self._readers += 1
        try:
            with self._reader.explaining_damage():
                yield self._reader
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def correcting(self) -> Iterator[Store]:
        """The store for a correction."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._readers and not self._correcting)
            self._waiting -= 1
            self._correcting = True
        try:
            with self._writer.explaining_damage():
                yield self._writer
        finally:
            with self._changed:
                self._correcting = False
                self._changed.notify_all()

    def close(self) -> None:
        """Close the connections for reading; the store that was given stays open."""
        self._reader.close()
