"""Crops in blocks, as networks embed a whole data set."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK_CROPS = 64


def blocks_of(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    """Blocks of up to BLOCK_CROPS crops in order, on the CPU: uint8 (N, H, W, 3) → uint8 (n, H, W, 3) each."""
    for start in range(0, len(images), BLOCK_CROPS):
        yield torch.from_numpy(np.ascontiguousarray(images[start : start + BLOCK_CROPS]))
