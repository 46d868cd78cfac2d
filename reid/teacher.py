"""What does a stronger network, too slow or too foreign to ship, see in a crop?  Asked once, before training."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .peers import Peer


def teacher_embeddings(network: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed clean crops with somebody else's network.

    Args:
        network: an OpenVINO .xml (its .bin lies beside it) or a foreign .onnx, see `peers.Peer`.
        images: uint8 (N, 256, 128, 3) BGR.

    Returns:
        float32 (N, T), rows of unit length.

    Raises:
        WeightsError: as `peers.Peer`.
    """
    return Peer(network).embed(images)
