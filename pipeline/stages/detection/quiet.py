"""Recognise frames that look like the last one that was searched, so that its detections hold for them, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ...types import Frame, Image

PLANE_WIDTH = 320  # pixels; the smallest person that the detector finds still covers several of them
BLOCK = (3, 3)  # pixels of the plane over which a change is averaged
CHANGE, LEAST_CHANGE = 5.0, 2.0  # grey levels: of a well lit scene, and of one that is nearly black
CONTRAST = 30.0  # grey levels, standard deviation over the plane; with less, people differ less from the scene
MOST_NOISE = 4.0  # grey levels that count as noise if half of the plane has them


@dataclass(frozen=True, slots=True)
class _Reference:
    """The last frame of a camera that was searched: uint8 (h, w) grey plane and its time."""

    plane: Image
    seconds: float


class QuietCameras:
    """Compares each camera's frames with the last one that was searched, whether it shows people or not.

    Nothing has moved in a frame that looks the same, so searching it would find the same boxes. What is searched
    depends on the camera's own frames only, neither on other cameras nor on batches.

    Args:
        look_seconds: a frame is searched at the latest this long after the one before; 0 searches every frame.
        restart_seconds: the first frame of every such period of footage is searched, so that what follows does not
            depend on what came before; a run that is resumed there searches the same frames.
    """

    def __init__(self, look_seconds: float, restart_seconds: float = math.inf) -> None:
        self._look_seconds, self._restart_seconds = look_seconds, restart_seconds
        self._references: dict[str, _Reference] = {}

    def is_quiet(self, frame: Frame) -> bool:
        """Whether a frame need not be searched; otherwise it is the one that the following frames are compared with.

        Args:
            frame: the next one of its camera.
        """
        if not self._look_seconds:
            return False
        plane = grey_plane(frame.image)
        last = self._references.get(frame.camera)
        if last is not None and self._holds_at(last, frame.seconds) and not has_changed(last.plane, plane):
            return True
        self._references[frame.camera] = _Reference(plane, frame.seconds)
        return False

    def _holds_at(self, reference: _Reference, seconds: float) -> bool:
        restarted = seconds // self._restart_seconds != reference.seconds // self._restart_seconds
        return 0 <= seconds - reference.seconds < self._look_seconds and not restarted


def has_changed(before: Image, after: Image) -> bool:
    """Whether anything has moved, appeared or gone between two grey planes, uint8 (h, w)."""
    if before.shape != after.shape:
        return True
    difference = cv2.absdiff(before, after)
    most = float(cv2.blur(difference, BLOCK).max())
    if most < LEAST_CHANGE:
        return False
    least = max(LEAST_CHANGE, CHANGE * min(1.0, float(cv2.meanStdDev(before)[1][0, 0]) / CONTRAST))
    if not least <= most < least + MOST_NOISE:  # whatever the noise is; the median takes longer than all the rest
        return most >= least
    return most >= least + min(float(np.median(difference)), MOST_NOISE)


def grey_plane(image: Image) -> Image:
    """An image (H, W, 3) BGR as a small grey plane, uint8 (h, w) with w <= 320: each pixel the mean of those it covers.

    Only its green pixels are looked at, and of large images every second row and column: a tenth of the time.
    """
    height, width = image.shape[:2]
    step = max(1, min(2, width // (2 * PLANE_WIDTH)))
    green = np.ascontiguousarray(image[::step, ::step, 1])
    scale = min(1.0, PLANE_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8)
