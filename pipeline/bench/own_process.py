"""Measure in a process of its own, which ends when the benchmark is killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_own_process(measure: Callable[[], Result]) -> Result:
    """Measure in a fresh process, so that peak memory and warmed-up libraries do not carry over.

    It ends when this one is killed.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        return pool.submit(measure).result()


def _end_with_parent() -> None:
    """Let this process end as soon as the one that began it has, which cannot say so if it is killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
