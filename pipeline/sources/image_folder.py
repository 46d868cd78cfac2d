"""How a folder of images becomes a line of frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ..config.schema import CameraConfig
from ..errors import SourceError
from ..types import CameraReport, Frame, Image
from ..wording import counted
from .tally import Tally
from .timestamps import Thinning
from .video_file import DEFAULT_FPS

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


class ImageSource:
    """One camera's pictures as image files, a fixed time apart; read it once.

    An image that cannot be read, or is not as large as the first, is counted as damaged and left out; it keeps its
    place in time. Images that `every` leaves out are not opened: they count as decoded and thinned.

    Raises:
        SourceError: none of the files is an image.
    """

    def __init__(self, camera: str, config: CameraConfig, files: Sequence[Path]) -> None:
        # What OpenCV prints about a bad image names no camera; the report does.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.camera = camera
        self._files = files
        self.height, self.width = _first_size(files)
        self.fps = config.fps or DEFAULT_FPS
        if config.fps is None:
            log.warning("camera %s: images have no rate, %g pictures per second assumed: set fps", camera, self.fps)
        self.frame_count: int | None = len(files)
        self.duration_seconds: float | None = len(files) / self.fps
        self.start_seconds = (config.start_time.timestamp() if config.start_time else 0.0) + config.offset
        self._thinning = Thinning(config.every, None, self.fps)
        self._tally = Tally(camera)

    @property
    def report(self) -> CameraReport:
        """What became of the footage so far."""
        return self._tally.report

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Read the images in order; damage ends up in the report, never in an exception.

        Args:
            stop: once set, no further frame is handed out.
        """
        finished = False
        seconds = 0.0
        left_out: list[str] = []
        try:
            for place, path in enumerate(self._files):
                if stop.is_set():
                    return
                seconds = place / self.fps
                if not self._thinning.keeps(place, seconds):
                    self._tally.take()
                    self._tally.thin()
                    continue
                try:
                    image = self._sized(path)
                except SourceError as error:
                    left_out.append(str(error))
                    self._tally.damage()
                    continue
                yield Frame(self.camera, self._tally.take(), self.start_seconds + seconds, image)
            finished = True
        finally:
            if left_out:
                self._tally.trouble(f"left out {counted(len(left_out), 'image')}, the first: {left_out[0]}")
            self._tally.conclude(finished=finished, seconds=seconds)

    def _sized(self, path: Path) -> Image:
        image = read_image(path)
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            raise SourceError(f"{path}: is {width}x{height}, the first image is {self.width}x{self.height}")
        return image


def read_image(path: Path) -> Image:
    """Read one image file as uint8 (H, W, 3) BGR, turned upright as its EXIF says.

    Raises:
        SourceError: one line, beginning with the path, why it cannot be read.
    """
    try:
        encoded = path.read_bytes()  # by hand, as OpenCV cannot open every name on every system
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if not encoded:
        raise SourceError(f"{path}: is empty (0 bytes)")
    # OpenCV before 5 paints the missing part of a JPEG grey and says nothing.
    cut = encoded.startswith(JPEG_START) and encoded.find(JPEG_END, encoded.rfind(JPEG_SCAN)) < 0
    try:
        image = None if cut else cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"{path}: is no image, or a damaged one") from error
    if image is None:
        raise SourceError(f"{path}: is {'cut off' if cut else 'no image, or a damaged one'}")
    return np.ascontiguousarray(image)


def _first_size(files: Sequence[Path]) -> tuple[int, int]:
    first_error: SourceError | None = None
    for path in files:
        try:
            image = read_image(path)
        except SourceError as error:
            first_error = first_error or error
            continue
        return image.shape[0], image.shape[1]
    raise SourceError(f"none of {counted(len(files), 'image')} can be read; {first_error}") from first_error
