"""Memory for the pictures of all cameras, used again when nobody looks at what was in it."""

from __future__ import annotations

import weakref
from collections import defaultdict, deque

import numpy as np

from ...types import Image

SPARE_PICTURES = 4  # kept of each size for the next ones; as many as a batch of detections frees at once


class PictureMemory:
    """Copies pictures into memory whose former picture is gone; all threads may use it.

    New pages for every picture, which the system must clear, take several times as long as the copy itself.
    """

    def __init__(self) -> None:
        self._spare: dict[tuple[int, ...], deque[memoryview]] = defaultdict(lambda: deque(maxlen=SPARE_PICTURES))

    def copy(self, image: Image) -> Image:
        """A copy of a picture, uint8 (H, W, 3); its memory is used again once neither it nor a view of it is left."""
        spare = self._spare[image.shape]
        try:
            memory = spare.pop()
        except IndexError:
            memory = np.empty(image.shape, np.uint8).data
        pixels = np.frombuffer(memory, np.uint8)  # the base of all views, as `memory` is no array: it outlives them
        weakref.finalize(pixels, spare.append, memory)  # of too many, the oldest is freed
        copy = pixels.reshape(image.shape)
        copy[:] = image
        return copy
