"""How are pictures written as a video that every browser plays?  H.264 in MP4, with the times they were taken at."""

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

from ..errors import OutputError
from ..types import Image

TICKS = 90_000  # a second; all usual rates divide it
QUALITY = {"crf": "23", "preset": "veryfast"}  # x264's own middle; slower presets save a tenth of the size
KEY_SECONDS = 2.0  # how far a player may have to go back to jump to a place
THREADS = 2  # the next picture is drawn meanwhile; all cameras' files are encoded at once
BT709 = 1  # the number of the matrix, the primaries and the curve in ITU-T H.273


class VideoWriter:
    """One H.264 file, written picture after picture; use it in a `with` block.

    Args:
        path: the file, whatever its ending; its index goes to the front, so that playing begins before it is loaded.
        size_wh: (width, height) of the pictures; an odd one gets a repeated last row or column, as H.264 needs.
        fps: nominal rate; the pictures keep their own times.
        name: what messages call the file.

    Raises:
        OutputError: it cannot be written, or the disk is full; also from write().
    """

    def __init__(self, path: Path, size_wh: tuple[int, int], fps: Fraction, name: Path) -> None:
        self._name = name
        self.frames = 0
        self._reformatter = VideoReformatter()
        self._odd_wh = size_wh[0] % 2, size_wh[1] % 2
        self._interval = max(1, round(TICKS / fps))
        self._last_pts = -1
        try:
            self._container = av.open(
                str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"})
        except av.error.FFmpegError as error:
            raise self._mishap(error) from error
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
        except av.error.FFmpegError as mishap:
            raise self._mishap(mishap) from mishap
        finally:
            self._close(quietly=kind is not None)

    def write(self, image: Image, seconds: float) -> None:
        """Add a picture.

        Args:
            image: uint8 (H, W, 3) BGR.
            seconds: since the beginning of the video, larger than that of the picture before.
        """
        if any(self._odd_wh):
            image = np.asarray(cv2.copyMakeBorder(
                image, 0, self._odd_wh[1], 0, self._odd_wh[0], cv2.BORDER_REPLICATE), np.uint8)
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, "bgr24"), format="yuv420p",
            dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1)
        self._last_pts = max(self._last_pts + 1, round(seconds * TICKS))
        picture.pts, picture.time_base = self._last_pts, Fraction(1, TICKS)
        try:
            self._mux(self._stream.encode(picture))
        except av.error.FFmpegError as error:
            raise self._mishap(error) from error
        self.frames += 1

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._interval  # how long the last picture stays; the others until the next one
            self._container.mux(packet)

    def _close(self, quietly: bool) -> None:
        try:
            self._container.close()
        except av.error.FFmpegError as error:
            if not quietly:  # what went wrong first is what counts
                raise self._mishap(error) from error

    def _mishap(self, error: av.error.FFmpegError) -> OutputError:
        return OutputError(f"{self._name} cannot be written: {error.strerror}")
