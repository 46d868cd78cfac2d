"""Turn stream timestamps into strictly increasing seconds, and choose the frames to analyse."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

LOWEST_FPS, HIGHEST_FPS = 0.001, 1000.0  # larger ones in headers are the clock's ticks per second, not a frame rate
DEFAULT_FPS = 25.0  # of footage that does not state it; libav assumes the same for raw streams
SMALLEST_STEP_SECONDS = 0.001  # added to repeated timestamps: one tick of the coarsest container, Matroska
JUMP_BACK_SECONDS = 1.0  # a larger step back is not jitter but a clock that was reset
LONGEST_PAUSE_SECONDS = 7 * 86_400.0  # a larger step ahead is no pause of a recorder but a clock that was set


class TimeBase(Protocol):
    """The length of one tick of a stream's clock in seconds, as a fraction."""

    @property
    def numerator(self) -> int: ...  # noqa: D102 - the protocol of every rational number

    @property
    def denominator(self) -> int: ...  # noqa: D102


class ClockState(NamedTuple):
    """A clock whose timestamps needed no repair so far: pts in ticks, seconds since the first frame of its file."""

    first_pts: int
    origin_pts: int
    origin_seconds: float
    last_pts: int
    last_seconds: float


class Clock:
    """Strictly increasing seconds since the first frame of one file.

    A frame without a timestamp (raw H.264 has none) follows the one before at the nominal rate. A timestamp that
    does not lie between its neighbours, though these are in order, is damaged and replaced by their mean. After a small
    step back, frames advance by the smallest step until the timestamps catch up. After a large one, or one of more than
    a week ahead, the recorder's clock was reset, and time continues at the nominal rate: no damage moves the footage
    out of the calendar.
    """

    def __init__(self, time_base: TimeBase | None, fps: float) -> None:
        self._time_base = time_base
        self._interval_seconds = 1.0 / fps
        self._first_pts: int | None = None
        self._origin: tuple[int, float] | None = None  # a timestamp and its seconds, from which the next are measured
        self._last_pts: int | None = None
        self._last_seconds: float | None = None
        self._repairs = 0

    @property
    def state(self) -> ClockState | None:
        """After the last frame; None if timestamps were missing or repaired, so that one may not name a frame."""
        if self._repairs or self._first_pts is None or self._origin is None:
            return None
        if self._last_pts is None or self._last_seconds is None:
            return None
        return ClockState(self._first_pts, *self._origin, self._last_pts, self._last_seconds)

    def restore(self, state: ClockState) -> None:
        """Go on after the frame whose state this was."""
        self._first_pts, self._origin = state.first_pts, (state.origin_pts, state.origin_seconds)
        self._last_pts, self._last_seconds = state.last_pts, state.last_seconds

    @property
    def end_seconds(self) -> float:
        """The expected time of the next frame: one frame interval after the last; 0 before the first."""
        return 0.0 if self._last_seconds is None else self._last_seconds + self._interval_seconds

    def starts_at(self, pts: int) -> None:
        """Measure from this timestamp if it is earlier than that of the first decoded frame."""
        self._first_pts = pts if self._first_pts is None else min(pts, self._first_pts)

    def of_stream(self, pts: int) -> float:
        """Seconds since the start of the stream at a timestamp, unrepaired."""
        return self.end_seconds if self._first_pts is None else self._between(self._first_pts, pts)

    def seconds(self, pts: int | None, next_pts: int | None) -> float:
        """The time of the next frame in seconds since the first; call it once per frame.

        Args:
            pts: the frame's presentation timestamp in ticks of the time base; None if it has none.
            next_pts: that of the frame after it; None if there is none.
        """
        given, pts = pts, self._between_neighbours(pts, next_pts)
        self._repairs += pts is None or pts != given
        if pts is None or self._time_base is None:
            now = self.end_seconds
        else:
            if self._last_seconds is None:
                self._start(pts)
            if self._origin is None:  # the frames so far had no timestamp
                self._first_pts, self._origin = pts, (pts, self.end_seconds)
            now = self._origin[1] + self._between(self._origin[0], pts)
        if self._last_seconds is not None and not 0 < now - self._last_seconds <= LONGEST_PAUSE_SECONDS:
            now = self._repaired(pts, now, self._last_seconds)
            self._repairs += 1
        self._last_seconds = now
        return now

    def _start(self, pts: int) -> None:
        """Measure from the first frame, or from damage before it unless that has lost its time, too."""
        self.starts_at(pts)
        if self._first_pts is None or self._between(self._first_pts, pts) > LONGEST_PAUSE_SECONDS:
            self._first_pts = pts
        self._origin = self._first_pts, 0.0

    def _between_neighbours(self, pts: int | None, next_pts: int | None) -> int | None:
        last, self._last_pts = self._last_pts, pts
        if pts is None or last is None or next_pts is None or last < pts <= next_pts or next_pts - last < 2:
            return pts
        self._last_pts = (last + next_pts) // 2
        return self._last_pts

    def _between(self, first_pts: int, pts: int) -> float:
        """Seconds from one timestamp to another."""
        if self._time_base is None:
            return self.end_seconds
        return (pts - first_pts) * self._time_base.numerator / self._time_base.denominator

    def _repaired(self, pts: int | None, now: float, last: float) -> float:
        if 0 <= last - now <= JUMP_BACK_SECONDS:
            return last + SMALLEST_STEP_SECONDS
        if pts is not None:
            self._origin = pts, self.end_seconds
        return self.end_seconds


class Thinning:
    """Chooses the frames to analyse: every N-th, or at most `fps` per second; one instance per camera.

    By rate, time is divided into slots of 1/fps from the first frame on, and each slot keeps the first frame that
    reaches it, with a tolerance of half a frame interval: otherwise timestamps rounded to milliseconds would lose every
    other frame if the wanted rate is the camera's own.

    Attributes:
        next_slot: the first slot that has no frame yet.
    """

    def __init__(self, every: int, fps: float | None, source_fps: float) -> None:
        self._every = every
        self._fps = fps
        self._slack_seconds = 0.49 / source_fps
        self.next_slot = 0

    def keeps(self, index: int, seconds: float) -> bool:
        """Whether the frame is analysed.

        Args:
            index: 0-based number of the frame.
            seconds: since the first frame, larger at every call.
        """
        if self._fps is None:
            return index % self._every == 0
        slot = math.floor((seconds + self._slack_seconds) * self._fps)
        if slot < self.next_slot:
            return False
        self.next_slot = slot + 1
        return True
