"""Read one video file frame by frame, with timestamps, and survive damage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ....reid.wording import counted
from ...errors import SourceError
from ..timestamps import LONGEST_PAUSE_SECONDS, Clock, ClockState
from .frame_image import upright_size
from .header import ADVICE, duration_seconds, nominal_fps, opened, video_stream

CUT_SECONDS = 0.5  # a file that ends this much earlier than its header states was cut off
LARGEST_PIXELS = 1 << 26  # 8K has 33 million; a damaged header may ask for gigabytes


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file's header and first frame state.

    Attributes:
        width, height: pixels of the upright frame.
        fps: nominal frames per second.
        duration_seconds, frame_count: from the header; None if it does not state them.
    """

    width: int
    height: int
    fps: float
    duration_seconds: float | None
    frame_count: int | None


def probe_video(path: Path) -> VideoInfo:
    """Read a video's header and decode its first frame.

    Raises:
        SourceError: one line that begins with the path and says why it cannot be read.
    """
    with VideoReader(path) as reader:
        frame = next((frame for _, frame in reader.frames(threading.Event())), None)
        if frame is None:
            raise SourceError(f"{path}: {reader.problem or 'it holds no frame'}; {ADVICE}")
        width, height = upright_size(frame)
        return VideoInfo(width, height, reader.fps, reader.duration_seconds, reader.frame_count)


class VideoReader:
    """One open video file, read once from start to end; use it in a `with` block.

    It is decoded in one thread. More threads inside the decoder make a single video 1.5 times as fast on two cores, but
    cost the same processor time per frame, and several cameras decoded beside the networks already fill the cores. A
    second thread would also delay frames and report damage late.

    Raises:
        SourceError: the file is missing, empty or not a video, or has no video track.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._container = opened(path)
        try:
            self._stream = video_stream(path, self._container)
        except SourceError:
            self._container.close()
            raise
        self._stream.thread_type = "SLICE"
        self._stream.thread_count = 1
        self._stream.codec_context.options = {"max_pixels": str(LARGEST_PIXELS)}
        self.fps = nominal_fps(self._stream)
        self.duration_seconds = duration_seconds(self._container, self._stream)
        self._clock = Clock(self._stream.time_base, self.fps)
        self._last_timestamp: int | None = None  # of the last frame, as the file has it
        self._frames_left: Iterator[VideoFrame] | None = None  # after those that were skipped
        self._has_pts = self._container.format.name != "avi"  # AVI stores timestamps in decoding order only
        self._first_damage_seconds: float | None = None
        self._last_damage_seconds = 0.0
        self._damaged_pts: set[int] = set()
        self._packets_end_seconds = 0.0  # on the file's own clock
        self._broke_off = ""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def frame_count(self) -> int | None:
        """The number of frames that the header states, or that follows from its duration."""
        if self._stream.frames:
            return self._stream.frames
        return round(self.duration_seconds * self.fps) if self.duration_seconds else None

    @property
    def end_seconds(self) -> float:
        """Seconds from the first frame to the start of the next file."""
        end = self._clock.end_seconds
        damage_end = self._last_damage_seconds + 1.0 / self.fps if self.damaged else 0.0
        declared = (self.duration_seconds or 0.0) if self._broke_off else 0.0
        return max([end, *(one for one in (damage_end, declared) if one - end <= LONGEST_PAUSE_SECONDS)])

    @property
    def problem(self) -> str:
        """One line about the damage found so far; empty if there is none."""
        parts = []
        if self._first_damage_seconds is not None:
            count = counted(self.damaged, "packet")
            parts.append(f"{count} could not be decoded, from {self._first_damage_seconds:.1f} s on")
        if self._broke_off:
            parts.append(self._broke_off)
        return "; ".join(parts)

    def frames(self, stop: threading.Event) -> Iterator[tuple[float, VideoFrame]]:
        """Decode the file; damage is counted and skipped as far as the decoder recovers.

        Yields:
            (seconds since the first frame, strictly increasing; the frame).
        """
        held: VideoFrame | None = None  # only the next frame shows whether its timestamp is plausible
        for frame in self._frames_left or self._all_frames(stop):
            if stop.is_set():
                return
            if held is not None:
                yield self._timed(held, self._timestamp(frame)), held
            held = frame
        if stop.is_set():
            return
        if held is not None:
            yield self._timed(held, None), held
        self._check_length()

    @property
    def place(self) -> tuple[int, ClockState] | None:
        """Timestamp of the last frame and the clock after it; None if damage makes it no place to continue from."""
        state = self._clock.state
        return None if self.damaged or state is None or self._last_timestamp is None else (self._last_timestamp, state)

    def skip_to(
        self, timestamp: int, clock: ClockState, is_it: Callable[[VideoFrame], bool], stop: threading.Event
    ) -> bool:
        """Go on after a frame, from the nearest key frame before it; False if it is not found there.

        Args:
            timestamp, clock: its `place`.
            is_it: whether a frame with this timestamp is the right one.
            stop: ends the search.
        """
        try:
            self._container.seek(timestamp, stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._frames_left = self._all_frames(stop)
        for frame in self._frames_left:
            found = self._timestamp(frame)
            if stop.is_set() or found is None or found > timestamp:
                return False
            if found == timestamp:
                self._clock.restore(clock)
                self._last_timestamp = timestamp
                return not self.damaged and is_it(frame)
        return False

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _all_frames(self, stop: threading.Event) -> Iterator[VideoFrame]:
        for packet in self._packets(stop):
            yield from self._decoded(packet)

    def _timestamp(self, frame: VideoFrame) -> int | None:
        return frame.pts if self._has_pts else frame.dts

    def _timed(self, frame: VideoFrame, next_pts: int | None) -> float:
        self._last_timestamp = self._timestamp(frame)
        seconds = self._clock.seconds(self._last_timestamp, next_pts)
        if frame.is_corrupt and frame.pts not in self._damaged_pts:
            self._count_damage(seconds, frame.pts)  # the decoder concealed the missing parts
        return seconds

    def _packets(self, stop: threading.Event) -> Iterator[Packet[VideoStream] | None]:
        packets = self._container.demux(self._stream)
        while not stop.is_set():
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._broke_off = f"it breaks off at {self._clock.end_seconds:.1f} s ({error.strerror})"
                yield None  # flushes the frames that the decoder still holds
                return
            except IndexError:  # PyAV, at the end of a file in which streams appeared that its beginning lacked
                yield None
                return
            if packet is None:
                return
            if packet.stream_index == self._stream.index:  # PyAV also passes some packets of such streams
                yield packet

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None and packet.pts is not None and self._stream.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * self._stream.time_base)
            self._packets_end_seconds = max(self._packets_end_seconds, end)
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            self._count_damage(self._seconds_of(packet), packet.pts if packet else None)
            return []
        if packet is not None and packet.is_corrupt:  # part of the file is missing before or in it
            self._count_damage(self._seconds_of(packet), packet.pts)
        return frames

    def _seconds_of(self, packet: Packet[VideoStream] | None) -> float:
        if packet is None or packet.pts is None:
            return self._clock.end_seconds
        if self._clock.end_seconds == 0.0:  # nothing is decoded yet, but the footage begins here
            self._clock.starts_at(packet.pts)
        return self._clock.of_stream(packet.pts)

    def _count_damage(self, seconds: float, pts: int | None) -> None:
        self.damaged += 1
        if pts is not None:
            self._damaged_pts.add(pts)
        if self._first_damage_seconds is None:
            self._first_damage_seconds = max(0.0, seconds)
        self._last_damage_seconds = max(self._last_damage_seconds, seconds)

    def _check_length(self) -> None:
        """A container that was cut off just ends; only its header shows that more should follow."""
        if self._broke_off or self.duration_seconds is None:
            return
        end = max(self._packets_end_seconds, self._clock.end_seconds)
        if self.duration_seconds - end > max(CUT_SECONDS, 3.0 / self.fps):
            self._broke_off = f"it is cut off at {self._clock.end_seconds:.1f} s of {self.duration_seconds:.1f} s"
