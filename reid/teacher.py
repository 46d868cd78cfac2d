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


def frozen_features(network: Path, images: NDArray[np.uint8], mirrored: bool) -> NDArray[np.float32]:
    """What a network says of clean crops, as it gives it: float32 (N, T).

    Args:
        network, images: as `teacher_embeddings`.
        mirrored: the mean over every crop and its mirror image.
    """
    network_of_others = Peer(network)
    features = network_of_others.features(images)  # (N, T)
    if not mirrored:
        return features
    other_way = network_of_others.features(images[:, :, ::-1])  # (N, T)
    return np.asarray((features + other_way) / 2, np.float32)
