"""Embed crops with exported weights on OpenVINO; PyTorch is not needed."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance, concatenate
from .crops import HEIGHT_PX, WIDTH_PX, stack_crops
from .engines.network_runner import Arithmetic, NetworkRunner
from .errors import WeightsError
from .wording import shortened

SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "accurate.onnx"
KIND = "reidpipe-appearance"
FORMAT_VERSION = "1"
EVIDENCE_SHAPE = (16, 8)  # rows and columns of cells over one crop, from the top left
LARGEST_DIMENSIONS = 65_536
CALL_CROPS = 32  # bounds memory
CROPS_AT_ONCE = 4  # where many crops are embedded: larger batches are hardly faster


class Embedder:
    """An exported model, loaded once: crops in, appearances out."""

    def __init__(
        self, weights: Path = SHIPPED_WEIGHTS, threads: int = 2, arithmetic: Arithmetic = "auto", batch: int = 1
    ) -> None:
        """Load a model.

        Args:
            weights: an ONNX file written by `export.export`.
            threads: number of CPU threads for one call.
            arithmetic: as of `NetworkRunner`: auto, int8, float or exact.
            batch: number of crops that are computed at once; `CROPS_AT_ONCE` saves a tenth to a quarter of the time of
                many crops, 1 is best for a few.  It does not change the result.

        Raises:
            WeightsError: the file is missing, unreadable or not a model of this kind, or has no ranges for int8.
        """
        self._network = NetworkRunner(weights, threads, arithmetic, batch)
        self._weights = weights
        self._dimensions = _check_interface(weights, self._network)

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        return self._dimensions

    @property
    def metadata(self) -> dict[str, str]:
        """The model's own description: input, normalisation, dimensions, backbone, mask, precision, licence, …"""
        return dict(self._network.metadata)

    @property
    def arithmetic(self) -> str:
        """What it computes with on this machine, such as "int8 and float32"; empty before it ran."""
        return self._network.arithmetic

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> Appearance:
        """Embed N crops, uint8 (h, w, 3) BGR of any size → Appearance (N, D); N = 0 is allowed.

        Raises:
            ValueError: a crop has another dtype or shape.
        """
        batches = [crops[start : start + CALL_CROPS] for start in range(0, len(crops), CALL_CROPS)]
        return concatenate([Appearance.empty(self.dimensions), *(self._embed_batch(batch) for batch in batches)])

    def evidence(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probability that the person is visible, for each cell of N crops: float32 (N, 16, 8) in [0, 1].

        Args:
            crops: uint8 (h, w, 3) BGR of any size.

        Raises:
            WeightsError: this model has no evidence output.
            ValueError: a crop has another dtype or shape.
        """
        if "evidence" not in self._network.outputs:
            raise WeightsError(f"{self._weights}: this model has no output evidence: export one that has regions")
        batches = [crops[start : start + CALL_CROPS] for start in range(0, len(crops), CALL_CROPS)]
        maps = [self._network.run(stack_crops(batch), ["evidence"])[0] for batch in batches]
        return np.concatenate([np.empty((0, *EVIDENCE_SHAPE), np.float32), *maps])

    def _embed_batch(self, crops: Sequence[NDArray[np.uint8]]) -> Appearance:
        images = stack_crops(crops)  # (N, 256, 128, 3)
        embedding, mask = self._network.run(images, ["embedding", "mask"])  # (N, D), (N, D)
        try:
            return Appearance(embedding, mask)
        except ValueError as error:  # damaged weights: NaN, or no unit length
            raise WeightsError(f"{self._weights}: gives no embeddings ({error}): export it again") from error


def embed(images: Sequence[NDArray[np.uint8]]) -> Appearance:
    """Embed N crops with the bundled weights, uint8 (h, w, 3) BGR of any size → Appearance (N, D); N = 0 is allowed.

    The weights are loaded on the first call and kept.  Create an `Embedder` to choose other weights or threads.

    Raises:
        ValueError: a crop has another dtype or shape.
    """
    return _shipped().embed(images)


@functools.cache
def _shipped() -> Embedder:
    """The embedder behind `embed`: it keeps no state between calls, so all callers share one."""
    return Embedder()


def _check_interface(weights: Path, network: NetworkRunner) -> int:
    """Check that an ONNX file is one of this program's models; return D."""
    found = tuple(shortened(network.metadata.get(key, "none")) for key in ("kind", "format_version"))
    if found != (KIND, FORMAT_VERSION):
        expected = f"{KIND} version {FORMAT_VERSION}"
        raise WeightsError(f"{weights}: expected an ONNX model of kind {expected}, got {found[0]} version {found[1]}")
    if network.inputs != {"images": ("u8", [-1, HEIGHT_PX, WIDTH_PX, 3])}:
        expected = f"images uint8 (N, {HEIGHT_PX}, {WIDTH_PX}, 3)"
        raise WeightsError(f"{weights}: expected one input, {expected}, got {network.inputs}")
    outputs = {name: shape[1:] for name, shape in network.outputs.items()}
    evidence = outputs.pop("evidence", list(EVIDENCE_SHAPE))  # optional
    if evidence != list(EVIDENCE_SHAPE):
        raise WeightsError(f"{weights}: expected output evidence of shape (N, 16, 8), got (N, *{evidence})")
    if set(outputs) != {"embedding", "mask"} or outputs["embedding"] != outputs["mask"] or len(outputs["mask"]) != 1:
        raise WeightsError(f"{weights}: expected outputs embedding and mask of shape (N, D), got {outputs}")
    (dimensions,) = outputs["embedding"]
    if not 0 < dimensions <= LARGEST_DIMENSIONS:
        raise WeightsError(f"{weights}: expected 1 to {LARGEST_DIMENSIONS} dimensions, got {dimensions} (-1: any)")
    return dimensions
