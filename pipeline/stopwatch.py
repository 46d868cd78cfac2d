"""Measure busy seconds per stage, summed over all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Sums the seconds that threads spend in named stages."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._inner = threading.local()  # seconds of the stages inside the current one

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a stage, without that of stages inside it."""
        outer = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                self._seconds[name] = self._seconds.get(name, 0.0) + spent - self._inner.seconds
            self._inner.seconds = outer + spent

    @property
    def seconds(self) -> dict[str, float]:
        """Busy seconds per stage, as a copy."""
        with self._lock:
            return dict(self._seconds)
