"""Write frames as H.264 in MP4, which every browser plays, at the times they were taken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import cv2
import numpy as np
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from ....reid.disk.guard import MARK
from ...errors import OutputError
from ...types import Image

TICKS = 90_000  # per second; a multiple of all common frame rates
QUALITY = {"crf": "23", "preset": "veryfast"}  # x264's default quality; slower presets save a tenth of the size
LONGEST_PAUSE = 3600 * TICKS  # recorders pause for days, but MP4 holds 6.6 hours over the frames that x264 reorders
KEY_SECONDS = 2.0  # between key frames: how far back a player may have to decode when seeking
THREADS = 2  # per file; all cameras' files are encoded at once, while the next frame is drawn
MADE_BY = f"annotated by {MARK}"  # the comment in every file, which shows that it may be replaced
BT709 = 1  # code of the primaries and the transfer curve in ITU-T H.273


def is_own_video(path: Path) -> bool:
    """Whether a file is an MP4 that a VideoWriter wrote."""
    # The format is fixed, so that no text file can make FFmpeg open other files or addresses.
    with av.open(str(path.absolute()), format="mp4", metadata_errors="replace") as container:
        return container.metadata.get("comment") == MADE_BY


class VideoWriter:
    """One H.264 file, written frame by frame in a `with` block.

    Attributes:
        frames: number of frames written so far.

    Args:
        path: the file, with any extension; its index is at the front, so that it plays while it is loading.
        size_wh: (width, height) of the frames; H.264 needs even sizes, so odd ones get a repeated last row or column.
        fps: nominal rate; frames keep their own times, but longer pauses are shortened to one hour.
        name: what messages call the file.

    Raises:
        OutputError: the file cannot be written, or the disk is full; also raised by write() and at the block's end.
    """

    def __init__(self, path: Path, size_wh: tuple[int, int], fps: Fraction, name: Path) -> None:
        self._name = name
        self.frames = 0
        self._reformatter = VideoReformatter()
        self._odd_wh = size_wh[0] % 2, size_wh[1] % 2
        self._interval = max(1, round(TICKS / fps))
        self._last_pts = -1
        self._skipped = 0  # ticks of shortened pauses
        try:
            self._container = av.open(
                str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"})
        except av.error.FFmpegError as error:
            raise self._failure(error) from error
        self._container.metadata["comment"] = MADE_BY
        self._stream = self._container.add_stream("libx264", rate=fps, options=dict(QUALITY))
        self._stream.width, self._stream.height = (
            side + odd for side, odd in zip(size_wh, self._odd_wh, strict=True))
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        context = self._stream.codec_context
        context.thread_type, context.thread_count = "FRAME", THREADS
        context.gop_size = max(1, round(KEY_SECONDS * fps))
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries = context.color_trc = BT709

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self.frames:
                self._mux(self._stream.encode())
        except av.error.FFmpegError as failure:
            raise self._failure(failure) from failure
        finally:
            self._close(quietly=kind is not None)

    def write(self, image: Image, seconds: float) -> None:
        """Add a frame.

        Args:
            image: uint8 (H, W, 3) BGR.
            seconds: since the start of the video, later than the previous frame.
        """
        if any(self._odd_wh):
            image = np.asarray(cv2.copyMakeBorder(
                image, 0, self._odd_wh[1], 0, self._odd_wh[0], cv2.BORDER_REPLICATE), np.uint8)
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, "bgr24"), format="yuv420p",
            dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1)
        pts = round(seconds * TICKS) - self._skipped
        shortened = min(pts, self._last_pts + LONGEST_PAUSE)
        self._skipped += pts - shortened
        self._last_pts = max(self._last_pts + 1, shortened)
        picture.pts, picture.time_base = self._last_pts, Fraction(1, TICKS)
        try:
            self._mux(self._stream.encode(picture))
        except av.error.FFmpegError as error:
            raise self._failure(error) from error
        self.frames += 1

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._interval  # for the last frame; every other lasts until the next one
            self._container.mux(packet)

    def _close(self, quietly: bool) -> None:
        try:
            self._container.close()
        except av.error.FFmpegError as error:
            if not quietly:  # an earlier error is on its way already
                raise self._failure(error) from error

    def _failure(self, error: av.error.FFmpegError) -> OutputError:
        return OutputError(f"{self._name} cannot be written: {error.strerror}")
