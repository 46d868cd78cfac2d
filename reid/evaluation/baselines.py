"""Third-party re-identification networks, OpenVINO or ONNX, as baselines compared by plain cosine."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..disk.files import failing_as
from ..engines.float_type import fastest_float, without_denormals
from ..engines.onnx_session import open_session
from ..errors import WeightsError

Blob = NDArray[np.float32]  # (N, 3, H, W), a network's input
Crops = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]  # N of (h, w, 3) BGR, or one array (N, h, w, 3)

MEAN_RGB = np.array((0.485, 0.456, 0.406), np.float32)  # of ImageNet, in [0, 1]
STD_RGB = np.array((0.229, 0.224, 0.225), np.float32)
BATCH_CROPS = 8


class Baseline:
    """A third-party network, loaded once: crops in, embeddings out.

    The file's type decides about its input: OpenVINO (.xml, with its .bin beside it) takes BGR in [0, 255], as in the
    Open Model Zoo; ONNX (.onnx) takes RGB, normalised by ImageNet's mean and standard deviation, as from torchreid.

    Attributes:
        path: the network's file.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        """Load the network.

        Args:
            path: an OpenVINO .xml or an .onnx file.
            threads: number of CPU threads for one batch.

        Raises:
            WeightsError: no such file, a file of neither type, or a network whose input is not one batch of images.
        """
        with failing_as(WeightsError, path):
            if not path.is_file():
                raise WeightsError(f"{path}: no such network")
        loaders = {".xml": _open_openvino, ".onnx": _open_onnx}
        if path.suffix not in loaders:
            raise WeightsError(f"{path}: expected an OpenVINO .xml or an .onnx network")
        self.path = path
        self._infer, self._height_px, self._width_px = loaders[path.suffix](path, threads)
        self._is_rgb = path.suffix == ".onnx"

    @property
    def name(self) -> str:
        """The file's name without its extension."""
        return self.path.stem

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        """Embed N ≥ 1 crops, uint8 (h, w, 3) BGR → float32 (N, T), rows of unit length.

        Raises:
            WeightsError: the network gives no embeddings: an output of another shape, or rows of length 0 or NaN.
        """
        embeddings = self.features(crops)  # (N, T)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        if not np.all(lengths > 0):  # also false for NaN
            raise WeightsError(f"{self.path}: gives embeddings of length 0 or NaN; not an appearance network?")
        return np.asarray(embeddings / lengths, np.float32)

    def features(self, crops: Crops) -> NDArray[np.float32]:
        """Embed without normalising: N ≥ 1 crops → float32 (N, T), rows of any length."""
        rows = []
        for start in range(0, len(crops), BATCH_CROPS):
            blob = self.prepare(crops[start : start + BATCH_CROPS])
            missing = BATCH_CROPS - len(blob)  # a network may be compiled for full batches
            rows.append(self.infer(np.pad(blob, [(0, missing), (0, 0), (0, 0), (0, 0)]))[: len(blob)])
        return np.concatenate(rows)  # (N, T)

    def prepare(self, crops: Crops) -> Blob:
        """Resize and normalise: N crops, uint8 (h, w, 3) BGR → float32 (N, 3, H, W), the network's input."""
        size = self._width_px, self._height_px
        resized = [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in crops]
        images: Blob = np.stack(resized).astype(np.float32)  # (N, H, W, 3)
        if self._is_rgb:
            images = ((images[..., ::-1] / 255 - MEAN_RGB) / STD_RGB).astype(np.float32)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))

    def infer(self, blob: Blob) -> NDArray[np.float32]:
        """Run one full batch, float32 (8, 3, H, W) as `prepare` returns it → float32 (8, T), rows of any length."""
        return self._infer(blob)


Opened = tuple[Callable[[Blob], NDArray[np.float32]], int, int]


def _open_onnx(path: Path, threads: int) -> Opened:
    session = open_session(path, threads)
    inputs = session.get_inputs()
    shapes = [(one.type, one.shape) for one in inputs]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise WeightsError(f"{path}: expected one input, float (N, 3, height, width), got {shapes}")
    height_px, width_px = _image_size(path, inputs[0].shape)
    name, fixed = inputs[0].name, inputs[0].shape[0]
    step = fixed if isinstance(fixed, int) and fixed > 0 else BATCH_CROPS
    if BATCH_CROPS % step:
        raise WeightsError(f"{path}: expected a batch of any size, or 1, 2, 4 or {BATCH_CROPS}, got {step}")

    def infer(blob: Blob) -> NDArray[np.float32]:
        parts = [session.run(None, {name: blob[start : start + step]})[0] for start in range(0, BATCH_CROPS, step)]
        return _embeddings(path, np.concatenate(parts))

    return infer, height_px, width_px


def _open_openvino(path: Path, threads: int) -> Opened:
    import openvino

    binary = path.with_suffix(".bin")
    if binary.exists() and binary.resolve().parent != path.resolve().parent:
        raise WeightsError(f"{binary}: is a link to a file outside of its folder: put a copy there")
    core = openvino.Core()
    try:
        network = core.read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(f"{path}: not a readable OpenVINO network: {reason}") from error
    if len(network.inputs) != 1:
        raise WeightsError(f"{path}: expected one input, (N, 3, height, width), got {len(network.inputs)}")
    shape = [one.get_length() if one.is_static else -1 for one in network.inputs[0].partial_shape]
    height_px, width_px = _image_size(path, shape)
    network.reshape([BATCH_CROPS, 3, height_px, width_px])
    options: dict[str, object] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    options |= {**without_denormals(), **fastest_float()}  # as the model it is compared with
    compiled = core.compile_model(network, "CPU", options)

    def infer(blob: Blob) -> NDArray[np.float32]:
        return _embeddings(path, compiled(blob)[0])

    return infer, height_px, width_px


def _image_size(path: Path, shape: Sequence[object]) -> tuple[int, int]:
    """(height, width) in pixels of an input (N, 3, H, W)."""
    sizes = [one for one in shape[2:] if isinstance(one, int) and one > 0]
    if len(shape) != 4 or shape[1] != 3 or len(sizes) != 2:
        raise WeightsError(f"{path}: expected one input (N, 3, height, width) of fixed size, got {tuple(shape)}")
    return sizes[0], sizes[1]


def _embeddings(path: Path, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (8, T) from an output (8, T), or (8, T, 1, 1) as of older networks."""
    if raw.ndim < 2 or len(raw) != BATCH_CROPS or max(raw.shape[1:]) * BATCH_CROPS != raw.size:
        raise WeightsError(f"{path}: expected an output (N, T), one embedding per crop, got {raw.shape}")
    return np.asarray(raw, np.float32).reshape(BATCH_CROPS, -1)
