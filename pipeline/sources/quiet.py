"""Recognise frames that look like the last one that was searched, so that its detections hold for them, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Image

GreyPlane = NDArray[np.uint8]  # (h, w)

PLANE_WIDTH = 320  # pixels; the smallest person that the detector finds still covers several of them
BLOCK = (3, 3)  # pixels of the plane over which a change is averaged
CHANGE, LEAST_CHANGE = 5.0, 2.0  # grey levels: of a well lit scene, and of one that is nearly black
CONTRAST = 30.0  # grey levels, standard deviation over the plane; with less, people differ less from the scene
MOST_NOISE = 4.0  # grey levels that count as noise if half of the plane has them


@dataclass(frozen=True, slots=True)
class _Reference:
    """The last frame that was searched: its grey plane and its time."""

    plane: GreyPlane
    seconds: float


class QuietScene:
    """Compares one camera's frames with the last one that was searched, whether it shows people or not.

    Nothing has moved in a frame that looks the same, so searching it would find the same boxes. What is searched
    depends on the camera's own frames only, neither on other cameras nor on batches; so each source compares where it
    decodes, and a quiet frame is neither converted nor copied.

    Args:
        look_seconds: a frame is searched at the latest this long after the one before; 0 searches every frame.
        restart_seconds: the first frame of every such period of footage is searched, so that what follows does not
            depend on what came before; a run that is resumed there searches the same frames.
    """

    def __init__(self, look_seconds: float, restart_seconds: float = math.inf) -> None:
        self.look_seconds, self.restart_seconds = look_seconds, restart_seconds
        self._reference: _Reference | None = None

    def is_quiet(self, plane: GreyPlane, seconds: float, gain: float = 1.0) -> bool:
        """Whether a frame need not be searched; otherwise it is the one that the following frames are compared with.

        Args:
            plane: of the camera's next frame, as `grey_plane` gives it.
            seconds: the frame's time, UTC epoch.
            gain: see `has_changed`.
        """
        last = self._reference
        if last is not None and self._holds_at(last, seconds) and not has_changed(last.plane, plane, gain):
            return True
        self._reference = _Reference(plane, seconds)
        return False

    def _holds_at(self, reference: _Reference, seconds: float) -> bool:
        restarted = seconds // self.restart_seconds != reference.seconds // self.restart_seconds
        return 0 <= seconds - reference.seconds < self.look_seconds and not restarted


def has_changed(before: GreyPlane, after: GreyPlane, gain: float = 1.0) -> bool:
    """Whether anything has moved, appeared or gone between two grey planes, uint8 (h, w).

    Args:
        before, after: the planes.
        gain: grey levels per level of the planes: 255 / 219 for luma of limited range. What is small is multiplied,
            because rounding whole planes would add noise.
    """
    if before.shape != after.shape:
        return True
    difference = cv2.absdiff(before, after)
    most = gain * float(cv2.blur(difference, BLOCK).max())
    if most < LEAST_CHANGE:
        return False
    contrast = gain * float(cv2.meanStdDev(before)[1][0, 0])
    least = max(LEAST_CHANGE, CHANGE * min(1.0, contrast / CONTRAST))
    if not least <= most < least + MOST_NOISE:  # whatever the noise is
        return most >= least
    return most >= least + min(gain * _median(difference), MOST_NOISE)


def _median(levels: GreyPlane) -> int:
    """Of grey levels (h, w), by their histogram: NumPy takes twenty times as long."""
    histogram = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()  # (256,)
    return int(np.searchsorted(histogram.cumsum(), levels.size / 2))


def grey_plane(grey: GreyPlane) -> GreyPlane:
    """A grey picture (H, W) made small, (h, w) with w <= 320: each pixel a weighted mean of those that it covers.

    It is halved first, which OpenCV does twenty times as fast as it averages over other areas.
    """
    while grey.shape[1] >= 2 * PLANE_WIDTH:
        height, width = (side // 2 for side in grey.shape)
        grey = _scaled(grey[: 2 * height, : 2 * width], width, height, cv2.INTER_AREA)
    scale = min(1.0, PLANE_WIDTH / grey.shape[1])
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return _scaled(grey, width, height, cv2.INTER_LINEAR)


def grey_of(image: Image) -> GreyPlane:
    """The luma (H, W), in full range, of an image (H, W, 3) BGR."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _scaled(grey: GreyPlane, width: int, height: int, interpolation: int) -> GreyPlane:
    """A copy (height, width)."""
    return np.asarray(cv2.resize(grey, (width, height), interpolation=interpolation), np.uint8)
