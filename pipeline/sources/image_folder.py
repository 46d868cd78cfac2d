"""How a folder of images becomes a line of frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from ...reid.errors import ImageError
from ...reid.files import read_image
from ...reid.wording import counted
from ..config.schema import CameraConfig
from ..errors import SourceError
from ..types import CameraReport, Frame, Image
from .tally import Tally
from .timestamps import Thinning
from .video_file import DEFAULT_FPS

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


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
                except (ImageError, SourceError) as error:
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


def _first_size(files: Sequence[Path]) -> tuple[int, int]:
    first_error: ImageError | None = None
    for path in files:
        try:
            image = read_image(path)
        except ImageError as error:
            first_error = first_error or error
            continue
        return image.shape[0], image.shape[1]
    raise SourceError(f"none of {counted(len(files), 'image')} can be read; {first_error}") from first_error
