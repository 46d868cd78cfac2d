"""Peak memory of this process and of all that it started, such as decoders, on Linux."""

from __future__ import annotations

import os
import re
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

KIB_PER_MIB = 1024
PAUSE_SECONDS = 0.2
PROCESSES = Path("/proc")
KIB = re.compile(r"^(\w+):\s+(\d+) kB", re.MULTILINE)


class PeakMemory:
    """Looks at the memory several times a second, in a `with` block.

    Each process counts with its share of the memory that is no file's; a page that forked processes share, as decoders
    do, so counts once. Files and shared memory count once, too, as in the process that has the most of them. Other
    programs do not change this figure: they may share libraries, which a proportional share (PSS) would divide.

    Args:
        measure: the memory now, MiB; of this process and all that it started if None.

    Attributes:
        mib: the most so far.
    """

    def __init__(self, measure: Callable[[], float] | None = None) -> None:
        self.mib = 0.0
        self._measure = measure or own_mib
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watching.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, self._measure())
            if self._ended.wait(PAUSE_SECONDS):
                return


def peak_mib() -> float:
    """Peak resident memory of this process, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / KIB_PER_MIB / (KIB_PER_MIB if sys.platform == "darwin" else 1)  # macOS counts bytes


def own_mib() -> float:
    """Memory of this process and its descendants now, MiB; without /proc, the peak of this process alone."""
    return tree_mib(os.getpid()) or peak_mib()


def largest_child_mib(parent: int) -> float:
    """Memory of that child of a process which has, with its descendants, the most of all, MiB; 0 without any."""
    return max(map(tree_mib, _children().get(parent, [])), default=0.0)


def tree_mib(root: int) -> float:
    """Memory of a process and its descendants now, MiB; 0 without /proc."""
    own, shared = 0.0, 0.0
    for process in _descendants(root):
        try:
            text = (PROCESSES / str(process) / "smaps_rollup").read_text(encoding="ascii")
        except OSError:  # it has ended
            continue
        kib = {name: int(size) for name, size in KIB.findall(text)}
        if not kib:  # it is ending
            continue
        own += kib["Pss_Anon"] / KIB_PER_MIB
        shared = max(shared, (kib["Rss"] - kib["Anonymous"]) / KIB_PER_MIB)
    return own + shared


def _children() -> dict[int, list[int]]:
    """The children of every process."""
    children: dict[int, list[int]] = {}
    for entry in PROCESSES.glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    return children


def _descendants(root: int) -> list[int]:
    children = _children()
    found, left = [], [root]
    while left:
        process = left.pop()
        found.append(process)
        left += children.get(process, [])
    return found
