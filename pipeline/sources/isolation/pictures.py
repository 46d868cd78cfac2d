"""Memory for one camera's pictures, used again when nobody looks at what was in it."""

from __future__ import annotations

import weakref
from collections import deque

import numpy as np

from ...types import Image

SPARE_PICTURES = 2  # kept for the next ones; a batch of detections frees a few of one camera at once


class PictureMemory:
    """Copies pictures of one size into memory whose former picture is gone.

    New pages for every picture, which the system must clear, take as long as the copy itself.
    """

    def __init__(self) -> None:
        self._spare: deque[memoryview] = deque(maxlen=SPARE_PICTURES)  # of more, the oldest are freed

    def copy(self, image: Image) -> Image:
        """A copy of a picture, uint8 (H, W, 3); its memory is used again once neither it nor a view of it is left."""
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = np.empty(image.shape, np.uint8).data
        pixels = np.frombuffer(memory, np.uint8)  # the base of all views, as `memory` is no array: it outlives them
        weakref.finalize(pixels, self._spare.append, memory)
        copy = pixels.reshape(image.shape)
        copy[:] = image
        return copy
