"""Recognise frames that look like one in which the detector found nobody, so that they need no detection."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Frame, Image

PLANE_WIDTH = 160  # pixels; a person of 40 pixels in 1280 still covers several of them
LEAST_CHANGE = 12  # grey levels in one pixel of the plane; averaging leaves about 2 of a sensor's noise


@dataclass(slots=True)
class _Empty:
    """A frame in which the detector found nobody: uint8 (h, w) grey plane and its time."""

    plane: Image
    seconds: float


class QuietCameras:
    """Compares each camera's frames with the last one that was searched and found empty.

    Only a frame without any detection is such a reference.  Who stands still is therefore searched in every frame.

    Args:
        full_look_seconds: a frame is searched at the latest this long after the reference; 0 searches every frame.
    """

    def __init__(self, full_look_seconds: float) -> None:
        self._full_look_seconds = full_look_seconds
        self._empty: dict[str, _Empty] = {}

    def is_quiet(self, frame: Frame) -> bool:
        """Whether the frame looks like its camera's empty reference, and that is recent enough."""
        reference = self._empty.get(frame.camera)
        if reference is None or not 0 <= frame.seconds - reference.seconds < self._full_look_seconds:
            return False
        plane = grey_plane(frame.image)
        if plane.shape != reference.plane.shape:
            return False
        return int(cv2.absdiff(plane, reference.plane).max()) < LEAST_CHANGE

    def searched(self, frame: Frame, people: int) -> None:
        """Take note of what the detector found in a frame, in the order of each camera's frames."""
        if people or not self._full_look_seconds:
            self._empty.pop(frame.camera, None)
        else:
            self._empty[frame.camera] = _Empty(grey_plane(frame.image), frame.seconds)


def grey_plane(image: Image) -> Image:
    """An image (H, W, 3) BGR as a small grey plane, uint8 (h, 160): each pixel the mean of those it covers."""
    height, width = image.shape[:2]
    size = (PLANE_WIDTH, max(1, round(height * PLANE_WIDTH / width)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
