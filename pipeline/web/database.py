"""The database behind the page: reads go through connections that cannot write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..storage.store import Store


class Database:
    """A store for corrections, and a second one, which cannot write, for everything else.

    One request at a time uses it: while a person is forgotten, no read may keep the former bytes of the file alive.
    """

    def __init__(self, store: Store) -> None:
        self._writer = store
        self._reader = store.read_only()
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The store for reading; errors that damage of the database causes are raised as StoreError."""
        with self._lock, self._reader.explaining_damage():
            yield self._reader

    @contextmanager
    def correcting(self) -> Iterator[Store]:
        """The store for a correction."""
        with self._lock, self._writer.explaining_damage():
            yield self._writer

    def close(self) -> None:
        """Close the connections for reading; the store that was given stays open."""
        self._reader.close()
