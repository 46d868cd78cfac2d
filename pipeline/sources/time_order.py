"""Merge the frames of all cameras in time order: decoded in parallel, bounded in memory, none dropped."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from ..stopwatch import Stopwatch
from ..types import Frame
from .opening import Source

FRAMES_AHEAD = 2  # per camera; enough to decode while the detector runs
WAIT_SECONDS = 0.2  # between two checks of the stop event


class CameraReader:
    """Decodes one camera in its own thread, a few frames ahead of its consumer."""

    def __init__(self, source: Source, stop: threading.Event, clock: Stopwatch) -> None:
        self._source, self._clock = source, clock
        self._stop = stop
        self._frames: queue.Queue[Frame | None] = queue.Queue(FRAMES_AHEAD)
        worker = ThreadPoolExecutor(1, thread_name_prefix=f"decode {source.camera}")
        self._decoding = worker.submit(self._decode)
        worker.shutdown(wait=False)  # accepts no more work; the thread ends with the footage or the stop event

    def __iter__(self) -> Iterator[Frame]:
        while not self._stop.is_set():
            try:
                frame = self._frames.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                continue
            if frame is None:
                break
            yield frame
        self._decoding.result()  # raises the thread's error; damaged footage is none

    def _decode(self) -> None:
        frames = self._source.frames(self._stop)
        try:
            while True:
                with self._clock.stage("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                self._put(frame)
        finally:
            self._put(None)

    def _put(self, frame: Frame | None) -> None:
        while not self._stop.is_set():
            try:
                return self._frames.put(frame, timeout=WAIT_SECONDS)
            except queue.Full:
                continue


def in_time_order(cameras: Iterable[Iterable[Frame]]) -> Iterator[Frame]:
    """Frames of all cameras sorted by seconds, then camera name; the same footage gives the same order."""
    return heapq.merge(*cameras, key=lambda frame: (frame.seconds, frame.camera))
