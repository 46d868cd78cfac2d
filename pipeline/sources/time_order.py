"""Footage of all cameras as one stream in time order: decoded side by side, bounded in memory, never dropped."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from ..stopwatch import Stopwatch
from ..types import Frame
from .opening import Source

FRAMES_AHEAD = 2  # per camera; enough to hide decoding behind detection
WAIT_SECONDS = 0.2  # how long a wait lasts before the stop event is looked at again


class CameraReader:
    """Decodes one camera in a thread of its own, a few frames ahead of who reads it."""

    def __init__(self, source: Source, stop: threading.Event, clock: Stopwatch) -> None:
        self._source, self._clock = source, clock
        self.finished = False  # whether the footage was read to its end
        self._stop = stop
        self._frames: queue.Queue[Frame | None] = queue.Queue(FRAMES_AHEAD)
        worker = ThreadPoolExecutor(1, thread_name_prefix=f"decode {source.camera}")
        self._decoding = worker.submit(self._decode)
        worker.shutdown(wait=False)  # takes no more work; the thread ends with the footage or the stop event

    def __iter__(self) -> Iterator[Frame]:
        while not self._stop.is_set():
            try:
                frame = self._frames.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                continue
            if frame is None:
                self.finished = True
                break
            yield frame
        self._decoding.result()  # raises what went wrong; damage in the footage ends the stream without an error

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
    """Frames of all cameras by their seconds, ties by camera name; the same footage gives the same order."""
    return heapq.merge(*cameras, key=lambda frame: (frame.seconds, frame.camera))
