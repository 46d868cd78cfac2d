"""Read one video file frame by frame, with timestamps, and survive damage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ....reid.wording import counted
from ...errors import SourceError
from ..timestamps import HIGHEST_FPS, LONGEST_PAUSE_SECONDS, LOWEST_FPS, Clock, ClockState
from .frame_image import upright_size

DEFAULT_FPS = 25.0  # if the file does not state it; libav assumes the same for raw streams
LONGEST_SECONDS = 366 * 86_400.0  # a header that states more is damaged
CUT_SECONDS = 0.5  # a file that ends this much earlier than its header states was cut off
TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})  # libav renders plain text as video
MP4_MARKS = frozenset({b"ftyp", b"mdat", b"moov", b"moof", b"wide", b"free"})
# Formats that hold their own pictures. Playlists and descriptions (hls, concat, dash, sdp, ...) name other files or
# hosts, which a file from outside must not make this machine read.
FORMATS = (
    "3g2", "3gp", "aac", "ac3", "amr", "apng", "asf", "asf_o", "av1", "avi", "cavsvideo", "dhav", "dirac", "dv", "flac",
    "flv", "gif", "gxf", "h261", "h263", "h264", "hevc", "ipmovie", "ivf", "live_flv", "m4a", "m4v", "matroska", "mj2",
    "mjpeg", "mjpeg_2000", "mov", "mp3", "mp4", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "mxf", "nsv", "nut", "obu",
    "ogg", "pva", "rm", "swf", "ty", "vc1", "vc1test", "vvc", "wav", "webm", "wtv", "yuv4mpegpipe",
)
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
LISTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"<?xml", b"<MPD")  # how such files begin
LARGEST_PIXELS = 1 << 26  # 8K has 33 million; a damaged header may ask for gigabytes
ADVICE = "copy it again from the recorder, or convert it to H.264 in mp4"


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
        self._container = _opened(path)
        try:
            self._stream = _video_stream(path, self._container)
        except SourceError:
            self._container.close()
            raise
        self._stream.thread_type = "SLICE"
        self._stream.thread_count = 1
        self._stream.codec_context.options = {"max_pixels": str(LARGEST_PIXELS)}
        self.fps = _nominal_fps(self._stream)
        self.duration_seconds = _duration_seconds(self._container, self._stream)
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


def _opened(path: Path) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: is empty (0 bytes); copy it again from the recorder")
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    try:
        # Absolute, because `a:b.mp4` would be read as an address; titles in other encodings than UTF-8 are no damage.
        return av.open(str(path.absolute()), metadata_errors="replace", options=OPTIONS)
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the second: recognised, but not in FORMATS
        if beginning[4:8] in MP4_MARKS:
            raise SourceError(
                f"{path}: was cut off before its index (the moov atom) was written; {ADVICE}") from error
        if beginning.lstrip(b"\xef\xbb\xbf \r\n").startswith(LISTS):
            raise SourceError(f"{path}: is a playlist that names other files; give those files themselves") from error
        raise SourceError(f"{path}: is not a video, or of an unknown format; {ADVICE}") from error
    except av.error.FFmpegError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}; {ADVICE}") from error


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        cover = bool(stream.disposition & Disposition.attached_pic)  # a music file's cover art
        if cover:
            continue
        if stream.codec_context is None:
            raise SourceError(f"{path}: its video codec cannot be decoded here; {ADVICE}")
        if stream.codec_context.name not in TEXT_CODECS:
            return stream
    if container.streams.audio:
        raise SourceError(f"{path}: holds sound but no video; give the camera's video file")
    raise SourceError(f"{path}: is not a video, or of an unknown format; {ADVICE}")


def _nominal_fps(stream: VideoStream) -> float:
    # A raw stream has no timestamps to average; its frame headers are more reliable.
    timed = stream.start_time is not None
    rates = (stream.average_rate, stream.guessed_rate) if timed else (stream.guessed_rate, stream.average_rate)
    for rate in rates:
        if rate and LOWEST_FPS <= float(rate) <= HIGHEST_FPS:
            return float(rate)
    return DEFAULT_FPS


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """What the header states for the video track; None if that is nothing, or nothing that can be."""
    stated = _stated_seconds(container, stream)
    return stated if 0 < stated <= LONGEST_SECONDS else None


def _stated_seconds(container: InputContainer, stream: VideoStream) -> float:
    """The length that the header states, 0 for none; a duration that may be the sound's is ignored."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")  # Matroska: 00:00:26.800000000
    hours, _, rest = tag.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    except (ValueError, OverflowError):
        only_track = len(container.streams) == 1
        return container.duration / av.time_base if container.duration and only_track else 0.0
