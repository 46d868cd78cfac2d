"""What does a stronger network, too slow or too foreign to ship, see in a crop?  Asked once, before training."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError


def teacher_embeddings(network: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed clean crops with an OpenVINO network that takes BGR 0–255 crops, one at a time.

    Args:
        network: the .xml file; its .bin lies beside it.
        images: uint8 (N, 256, 128, 3) BGR.

    Returns:
        float32 (N, T), rows of unit length.
    """
    import openvino  # optional: only recipes that name a teacher need it

    if not network.is_file():
        raise WeightsError(f"{network}: no such teacher network")
    compiled = openvino.Core().compile_model(network, "CPU")
    rows = [compiled(image.transpose(2, 0, 1)[None].astype(np.float32))[0].ravel() for image in images]
    embeddings = np.stack(rows).astype(np.float32)  # (N, T)
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32)
