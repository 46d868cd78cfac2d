"""Slow work in the background, one job at a time, whose results are files in a cache of limited size."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...reid.disk.files import make_folder
from ..errors import OutputError, ReidpipeError

logger = logging.getLogger(__name__)

CACHE_BYTES = 4 * 2**30
ADVICE = "its video could not be made: the server's terminal says why"
Progress = Callable[[float], None]
Work = Callable[[Path, Progress, threading.Event], None]


@dataclass(slots=True)
class Job:
    """Something that is being made.

    Attributes:
        state: waiting or being made, failed or, with its file in the cache, ready.
        share: how much of it is done, in [0, 1].
        problem: why it failed.
    """

    state: Literal["waiting", "working", "failed", "ready"] = "waiting"
    share: float = 0.0
    problem: str = ""


def default_cache() -> Path:
    """The folder for files that can be made again, of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reidpipe" / "page"


class Jobs:
    """Jobs by what they are made of, and the cache of their files.

    Args:
        folder: of the cache; made with the first file, readable by this user only.
        most_bytes: of all files; the ones used longest ago go first.
    """

    def __init__(self, folder: Path, most_bytes: int = CACHE_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._worker = ThreadPoolExecutor(1, "page-job")

    def path(self, key: str, suffix: str = ".mp4") -> Path:
        """Where the result of a key lies, or will."""
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{suffix}"

    def ask(self, key: str, work: Work) -> Job:
        """The job of a key; it begins now if its file is not in the cache. One that failed stays so until a restart."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and (job.state != "ready" or self.path(key).exists()):
                if job.state == "ready":
                    os.utime(self.path(key))
                return job
            job = self._jobs[key] = Job()
            if self.path(key).exists():
                job.state = "ready"
            else:
                self._worker.submit(self._make, key, job, work)
            return job

    def close(self) -> None:
        """End the job that is being made; its unfinished file is removed."""
        self._stop.set()
        self._worker.shutdown(cancel_futures=True)

    def _make(self, key: str, job: Job, work: Work) -> None:
        path = self.path(key)
        part = path.with_suffix(f".{os.getpid()}.part")

        def progress(share: float) -> None:
            job.share = min(1.0, max(0.0, share))

        try:
            make_folder(self._folder)
            self._folder.chmod(0o700)
            job.state = "working"
            work(part, progress, self._stop)
            if self._stop.is_set():
                return
            part.chmod(0o600)
            part.replace(path)
            self._make_room(path)
            job.state = "ready"
        except (ReidpipeError, OutputError, OSError) as error:
            job.state, job.problem = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - the outermost loop of this thread
            logger.warning("a video could not be made: %s", error)
            job.state, job.problem = "failed", ADVICE
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, newest: Path) -> None:
        others = [one for one in self._folder.glob("*.mp4") if one != newest]
        files = sorted(others, key=lambda one: one.stat().st_mtime)
        total = sum(one.stat().st_size for one in [*files, newest])
        for one in files:
            if total <= self._most_bytes:
                return
            total -= one.stat().st_size
            one.unlink(missing_ok=True)
