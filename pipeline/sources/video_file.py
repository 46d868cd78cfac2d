"""How one video file is read: picture after picture, with its time, whatever state the file is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ...reid.wording import counted
from ..errors import SourceError
from ..types import Image
from .timestamps import Clock

DEFAULT_FPS = 25.0  # where a file does not say; what libav assumes for raw streams too
HIGHEST_FPS = 1000.0  # a larger number in a header is the tick of its clock, not a picture rate
CUT_SECONDS = 0.5  # a file that ends this much before its header's duration was cut off
TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})  # libav draws plain text as a video
MP4_MARKS = frozenset({b"ftyp", b"mdat", b"moov", b"moof", b"wide", b"free"})
QUARTER_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video file from its header and its first picture.

    Attributes:
        width, height: pixels of the upright picture.
        fps: nominal pictures per second.
        duration_seconds, frame_count: as the header says, None where it does not.
        codec: libav's name of it.
    """

    width: int
    height: int
    fps: float
    duration_seconds: float | None
    frame_count: int | None
    codec: str


def probe_video(path: Path) -> VideoInfo:
    """Read a video's header and decode its first picture.

    Raises:
        SourceError: one line, beginning with the path, why there is none.
    """
    with VideoReader(path) as reader:
        picture = next((picture for _, picture in reader.pictures(threading.Event())), None)
        if picture is None:
            raise SourceError(f"{path}: {reader.trouble or 'it holds no picture'}; {ADVICE}")
        width, height = upright_size(picture)
        return VideoInfo(
            width, height, reader.fps, reader.duration_seconds, reader.frame_count, reader.codec)


class VideoReader:
    """One open video file, read once from front to back; use it in a `with` block.

    One thread decodes it. On two cores, threads inside the decoder make a single video 1.5 times as fast, but cost
    the same processor time a picture, and several cameras are decoded at once beside the networks: they fill
    the cores already. A second thread would also hold back pictures and report damage late.

    Raises:
        SourceError: the file is missing, empty, no video, or has no picture track.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._container = _opened(path)
        try:
            self._stream = _picture_track(path, self._container)
        except SourceError:
            self._container.close()
            raise
        self._stream.thread_type = "SLICE"
        self._stream.thread_count = 1
        self.codec = self._stream.codec_context.name
        self.fps = _nominal_fps(self._stream)
        self.duration_seconds = _duration_seconds(self._container, self._stream)
        self._clock = Clock(self._stream.time_base, self.fps)
        self._has_pts = self._container.format.name != "avi"  # AVI stores decoding order alone
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
        self._container.close()

    @property
    def frame_count(self) -> int | None:
        """How many pictures the header promises, or follow from its duration."""
        if self._stream.frames:
            return self._stream.frames
        return round(self.duration_seconds * self.fps) if self.duration_seconds else None

    @property
    def end_seconds(self) -> float:
        """Since the first picture: where a video that follows this one begins."""
        damage_end = self._last_damage_seconds + 1.0 / self.fps if self.damaged else 0.0
        declared = self.duration_seconds or 0.0
        return max(self._clock.end_seconds, damage_end, declared if self._broke_off else 0.0)

    @property
    def trouble(self) -> str:
        """What is wrong with the file as far as it was read, in one line; empty if nothing."""
        parts = []
        if self._first_damage_seconds is not None:
            count = counted(self.damaged, "packet")
            parts.append(f"{count} could not be decoded, from {self._first_damage_seconds:.1f} s on")
        if self._broke_off:
            parts.append(self._broke_off)
        return "; ".join(parts)

    def pictures(self, stop: threading.Event) -> Iterator[tuple[float, VideoFrame]]:
        """Decode the file; damage is counted and passed over, so far as the decoder finds its way back.

        Yields:
            (seconds since the first picture, strictly increasing; the picture).
        """
        held: VideoFrame | None = None  # whether its timestamp can be believed shows only with the next one
        for packet in self._packets(stop):
            for picture in self._decoded(packet):
                if stop.is_set():
                    return
                if held is not None:
                    yield self._timed(held, self._timestamp(picture)), held
                held = picture
        if stop.is_set():
            return
        if held is not None:
            yield self._timed(held, None), held
        self._judge_length()

    def _timestamp(self, picture: VideoFrame) -> int | None:
        return picture.pts if self._has_pts else picture.dts

    def _timed(self, picture: VideoFrame, next_pts: int | None) -> float:
        seconds = self._clock.seconds(self._timestamp(picture), next_pts)
        if picture.is_corrupt and picture.pts not in self._damaged_pts:
            self._count_damage(seconds, picture.pts)  # the decoder made up what was missing of it
        return seconds

    def _packets(self, stop: threading.Event) -> Iterator[Packet[VideoStream] | None]:
        packets = self._container.demux(self._stream)
        while not stop.is_set():
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._broke_off = f"it breaks off at {self._clock.end_seconds:.1f} s ({error.strerror})"
                yield None  # makes the decoder hand out the pictures that it still holds
                return
            if packet is None:
                return
            yield packet

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None and packet.pts is not None and self._stream.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * self._stream.time_base)
            self._packets_end_seconds = max(self._packets_end_seconds, end)
        try:
            pictures = self._stream.decode(packet)
        except av.error.FFmpegError:
            self._count_damage(self._seconds_of(packet), packet.pts if packet else None)
            return []
        if packet is not None and packet.is_corrupt:  # there is a hole in the file before or in it
            self._count_damage(self._seconds_of(packet), packet.pts)
        return pictures

    def _seconds_of(self, packet: Packet[VideoStream] | None) -> float:
        if packet is None or packet.pts is None:
            return self._clock.end_seconds
        if self._clock.end_seconds == 0.0:  # nothing decoded yet: the footage begins here all the same
            self._clock.starts_at(packet.pts)
        return self._clock.of_stream(packet.pts)

    def _count_damage(self, seconds: float, pts: int | None) -> None:
        self.damaged += 1
        if pts is not None:
            self._damaged_pts.add(pts)
        if self._first_damage_seconds is None:
            self._first_damage_seconds = max(0.0, seconds)
        self._last_damage_seconds = max(self._last_damage_seconds, seconds)

    def _judge_length(self) -> None:
        """A container that is cut off just ends; only its header knows that there was more."""
        if self._broke_off or self.duration_seconds is None:
            return
        end = max(self._packets_end_seconds, self._clock.end_seconds)
        if self.duration_seconds - end > max(CUT_SECONDS, 3.0 / self.fps):
            self._broke_off = f"it is cut off at {self._clock.end_seconds:.1f} s of {self.duration_seconds:.1f} s"


ADVICE = "copy it again from the recorder, or convert it to H.264 in mp4"


def upright_size(picture: VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels once the picture is turned as its rotation mark says."""
    if picture.rotation % 180 == 90:
        return picture.height, picture.width
    return picture.width, picture.height


def bgr_image(picture: VideoFrame, reformatter: VideoReformatter) -> Image:
    """The picture as uint8 (H, W, 3) BGR, contiguous and upright; it shares no memory with the decoder.

    Args:
        picture: as decoded.
        reformatter: kept by the caller from picture to picture, as setting up a conversion is dear.
    """
    image = reformatter.reformat(picture, format="bgr24", threads=1).to_ndarray()
    turn = QUARTER_TURNS.get(picture.rotation % 360)
    return np.ascontiguousarray(image if turn is None else cv2.rotate(image, turn), np.uint8)


def _opened(path: Path) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: is empty (0 bytes); copy it again from the recorder")
        with path.open("rb") as file:
            mark = file.read(8)[4:]
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    try:
        # Absolute, as `a:b.mp4` would be read as an address; titles in another code than UTF-8 are no damage.
        return av.open(str(path.absolute()), metadata_errors="replace")
    except av.error.InvalidDataError as error:
        if mark in MP4_MARKS:
            raise SourceError(
                f"{path}: was cut off before its index (the moov atom) was written; {ADVICE}") from error
        raise SourceError(f"{path}: is no video, or one of an unknown kind; {ADVICE}") from error
    except av.error.FFmpegError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}; {ADVICE}") from error


def _picture_track(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        cover = bool(stream.disposition & Disposition.attached_pic)  # the record sleeve of a music file
        if cover:
            continue
        if stream.codec_context is None:
            raise SourceError(f"{path}: its pictures are in a codec that cannot be decoded here; {ADVICE}")
        if stream.codec_context.name not in TEXT_CODECS:
            return stream
    if container.streams.audio:
        raise SourceError(f"{path}: holds sound but no pictures; give the camera's video file")
    raise SourceError(f"{path}: is no video, or one of an unknown kind; {ADVICE}")


def _nominal_fps(stream: VideoStream) -> float:
    # A raw stream has no timestamps to average; there the picture headers know better.
    timed = stream.start_time is not None
    rates = (stream.average_rate, stream.guessed_rate) if timed else (stream.guessed_rate, stream.average_rate)
    for rate in rates:
        if rate and 0 < float(rate) <= HIGHEST_FPS:
            return float(rate)
    return DEFAULT_FPS


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """What the header says, of the picture track if it can be told apart from the sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")  # Matroska: 00:00:26.800000000
    hours, _, rest = tag.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    except ValueError:
        only_track = len(container.streams) == 1
        return container.duration / av.time_base if container.duration and only_track else None
