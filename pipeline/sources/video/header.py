"""Open a video file, if it holds its own pictures, and read what its header states."""

from __future__ import annotations

from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ...errors import SourceError
from ..timestamps import DEFAULT_FPS, HIGHEST_FPS, LOWEST_FPS

LONGEST_SECONDS = 366 * 86_400.0  # a header that states more is damaged
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
ADVICE = "copy it again from the recorder, or convert it to H.264 in mp4"


def opened(path: Path) -> InputContainer:
    """Open a file that holds its own pictures.

    Raises:
        SourceError: it is missing, empty, not a video, or of another format.
    """
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


def video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video track that shows pictures, no cover art.

    Raises:
        SourceError: there is none, or it cannot be decoded here.
    """
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


def nominal_fps(stream: VideoStream) -> float:
    """Frames per second as the file states them; DEFAULT_FPS if it states none that can be."""
    # A raw stream has no timestamps to average; its frame headers are more reliable.
    timed = stream.start_time is not None
    rates = (stream.average_rate, stream.guessed_rate) if timed else (stream.guessed_rate, stream.average_rate)
    for rate in rates:
        if rate and LOWEST_FPS <= float(rate) <= HIGHEST_FPS:
            return float(rate)
    return DEFAULT_FPS


def duration_seconds(container: InputContainer, stream: VideoStream) -> float | None:
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
