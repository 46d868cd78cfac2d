"""Merge the frames of all cameras in time order: decoded in parallel, bounded in memory, none dropped."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import wait

from ..config.cameras import DEFAULT_STALL_SECONDS
from ..stopwatch import Stopwatch
from ..types import Frame
from .background import in_background
from .counts import describe
from .opening import Source
from .quiet import QuietScene

FRAMES_AHEAD = 1  # per camera: enough to decode while the detector runs, because detection is ahead of tracking, too
WAIT_SECONDS = 0.2  # between two checks of the stop event
END_SECONDS = 10.0  # a decoder that should stop is waited for no longer than this


class CameraReader:
    """Decodes one camera in its own thread, a few frames ahead of its consumer.

    Whatever goes wrong ends this camera only: an error while decoding, or a decoder that makes no progress while its
    frames are waited for, is recorded in the source's counts, and the iteration ends.

    Args:
        source: the camera's footage.
        stop: ends the reading when set.
        clock: measures the stage "decode".
        stall_seconds: longest wait without progress.
        quiet: see `Source.frames`.
    """

    def __init__(
        self,
        source: Source,
        stop: threading.Event,
        clock: Stopwatch,
        stall_seconds: float = DEFAULT_STALL_SECONDS,
        quiet: QuietScene | None = None,
    ) -> None:
        self._source, self._clock, self._quiet = source, clock, quiet
        self._stop = _EitherEvent(stop)
        self._stall_seconds, self._stalled = stall_seconds, False
        self._frames: queue.Queue[Frame | None] = queue.Queue()
        self._room = threading.Semaphore(FRAMES_AHEAD)  # taken before a frame is decoded, not when it is there
        self._decoding = in_background(self._decode, f"decode {source.camera}")

    def __iter__(self) -> Iterator[Frame]:
        while not self._stop.is_set():
            frame = self._next()
            if frame is None:
                break
            yield frame
        if not self._stalled:
            wait([self._decoding], END_SECONDS)  # for the last counts

    def _next(self) -> Frame | None:
        """The next frame; None at the end, if stopped, or if decoding stalls."""
        progress, waited_seconds = self._progress(), 0.0
        while not self._stop.is_set():
            try:
                frame = self._frames.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                waited_seconds += WAIT_SECONDS  # not by a clock, which would go on while this process is suspended
            else:
                self._room.release()
                return frame
            if self._progress() != progress:
                progress, waited_seconds = self._progress(), 0.0
            elif waited_seconds >= self._stall_seconds:
                self._source.counts.break_off(
                    f"decoding made no progress for {self._stall_seconds:g} s: check the file and its disk, "
                    "or raise sources.stall_seconds")
                self._stalled = True
                self._stop.set()
        return None

    def _progress(self) -> tuple[int, int]:
        return self._source.counts.decoded, self._source.counts.damaged

    def _decode(self) -> None:
        try:
            frames = self._source.frames(self._stop, self._quiet)
            while self._has_room():
                with self._clock.stage("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                self._frames.put(frame)
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop
            self._source.counts.break_off(describe(error))
        finally:
            self._frames.put(None)

    def _has_room(self) -> bool:
        """Wait until another frame may be held; False if stopped."""
        while not self._stop.is_set():
            if self._room.acquire(timeout=WAIT_SECONDS):
                return True
        return False


class _EitherEvent(threading.Event):
    """An event that is also set when another one is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


def in_time_order(cameras: Iterable[Iterable[Frame]]) -> Iterator[Frame]:
    """Frames of all cameras sorted by seconds, then camera name; the same footage gives the same order."""
    return heapq.merge(*cameras, key=lambda frame: (frame.seconds, frame.camera))
