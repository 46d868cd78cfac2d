"""Read a folder of images as one camera's frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from ...reid.disk.files import read_image
from ...reid.errors import ImageError
from ...reid.wording import counted
from ..config.cameras import CameraConfig
from ..errors import SourceError
from ..types import Frame, Image, Place
from .counts import FootageCounts
from .quiet import QuietScene, grey_of, grey_plane
from .timestamps import DEFAULT_FPS, Thinning

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class ImageSource:
    """One camera's frames as image files at a fixed rate; see `Source`. It can be read once.

    An image that cannot be read, or differs in size from the first, counts as damaged and is left out; the frames after
    it keep their time. Images that `every` leaves out are not opened: they count as decoded and thinned.

    Raises:
        SourceError: none of the files is an image.
    """

    def __init__(self, camera: str, config: CameraConfig, files: Sequence[Path]) -> None:
        # OpenCV prints its own line about a bad image, without the camera's name; the report has it.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.camera = camera
        self._files = files
        self.height, self.width = _first_size(files)
        self.fps = config.fps or DEFAULT_FPS
        if config.fps is None:
            log.warning("camera %s: images have no frame rate, assuming %g per second: set fps", camera, self.fps)
        self.frame_count: int | None = len(files)
        self.duration_seconds: float | None = len(files) / self.fps
        self.start_seconds = (config.start_time.timestamp() if config.start_time else 0.0) + config.offset
        self._thinning = Thinning(config.every, None, self.fps)
        self.counts = FootageCounts(camera)
        self._place: Place | None = None

    def continue_after(self, place: Place) -> None:
        """Leave out the images up to a place; see `Source.continue_after`."""
        self._place = place

    def frames(self, stop: threading.Event, quiet: QuietScene | None = None) -> Iterator[Frame]:
        """Read the images in order; damage is counted, never raised.

        Args:
            stop: once set, no further frame is yielded.
            quiet: see `Source.frames`.
        """
        latest: Image | None = None  # that is not quiet
        reached_end = False
        seconds = 0.0
        left_out: list[str] = []
        first, last_index = 0, -1 if self._place is None else self._place.index
        if self._place is not None and not self._place.counts["damaged"]:  # then images and frames have equal numbers
            first = last_index + 1
            self.counts.mirror(self._place.counts)
        try:
            for number, path in enumerate(self._files[first:], first):
                if stop.is_set():
                    return
                seconds = number / self.fps
                if not self._thinning.keeps(number, seconds):
                    self.counts.add_decoded()
                    self.counts.add_thinned()
                    continue
                try:
                    image = self._read(path)
                except (ImageError, SourceError) as error:
                    left_out.append(str(error))
                    self.counts.add_damaged()
                    continue
                index = self.counts.add_decoded()
                if index > last_index:
                    moment, place = self.start_seconds + seconds, Place(index, self.counts.state())
                    is_quiet = quiet is not None and quiet.is_quiet(grey_plane(grey_of(image)), moment)
                    if latest is None or not is_quiet:
                        latest = image
                    yield Frame(self.camera, index, moment, latest, place, is_quiet)
            reached_end = True
        finally:
            if left_out:
                self.counts.add_problem(f"left out {counted(len(left_out), 'image')}, the first: {left_out[0]}")
            self.counts.finish(reached_end=reached_end, seconds=seconds)

    def _read(self, path: Path) -> Image:
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
