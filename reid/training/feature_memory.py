"""Remember what frozen networks say of crops, so that the runs of a study ask each of them once."""

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # (N, 256, 128, 3) BGR
Features = NDArray[np.float32]  # (N, T)


class FeatureMemory:
    """Features by network and image, in memory; 1 to 2 KiB per crop."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: dict[bytes, NDArray[np.float32]] = {}

    def features(self, images: Images, network: str, embed: Callable[[Images], Features]) -> Features:
        """Embed the images that were not embedded before; equal images are one.

        Args:
            images: uint8 (N, 256, 128, 3) BGR, N ≥ 1.
            network: names what `embed` computes; two that differ need two names.
            embed: called once, with the images that are missing; not at all if there are none.

        Returns:
            float32 (N, T), a row for every image.
        """
        key = hashlib.blake2b(network.encode()).digest()
        keys = [hashlib.blake2b(one.tobytes(), key=key).digest() for one in images]
        missing = {one: row for row, one in enumerate(keys) if one not in self._rows}
        if missing:
            found = embed(images[list(missing.values())])
            self._rows |= dict(zip(missing, found, strict=True))
        return np.stack([self._rows[one] for one in keys])
