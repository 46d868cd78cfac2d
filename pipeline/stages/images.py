"""Images of any sizes as arrays, to be stored in a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...trackers import parts
from ..types import Image


def images_state(images: Sequence[Image]) -> dict[str, NDArray[Any]]:
    """N images, uint8 (h, w, 3), as their sizes, int64 (N, 2), and all their bytes."""
    return {
        "image_hw": np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2),
        "image_bytes": np.concatenate([np.zeros(0, np.uint8), *(image.ravel() for image in images)]),
    }


def images_of(state: Mapping[str, NDArray[Any]]) -> list[Image]:
    """The images that gave a state."""
    sizes = state["image_hw"]
    content = parts(state["image_bytes"], sizes.prod(1) * 3)
    return [one.reshape(height, width, 3) for one, (height, width) in zip(content, sizes.tolist(), strict=True)]
