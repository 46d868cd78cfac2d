"""How does an exported graph get smaller numbers, and does it still compute what PyTorch computes?"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from .crops import stack_crops
from .dataset import read_image
from .embedder import Embedder
from .errors import DatasetError, ExportError, WeightsError

Precision = Literal["fp32", "fp16", "int8"]

PARITY_TOLERANCE = 1e-3  # of fp32: largest absolute difference of any number
LEAST_COSINE: Final = {"fp16": 0.999, "int8": 0.95}  # mean over the crops, between both embeddings
MASK_TOLERANCE: Final = {"fp16": 0.01, "int8": 0.1}  # mean absolute difference
CALIBRATION_CROPS: Final = 200  # ranges of activations no longer widen after some hundred
CALIBRATION_BATCH: Final = 8
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp")
# Sums of squares and small divisors leave float16's range.
FULL_PRECISION_OPERATORS: Final = ("ReduceL2", "Clip", "Div", "Max", "Expand", "ReduceSum", "Pow", "Sqrt")
# Relu costs nothing where its range goes into the convolution before it, and one rounding less keeps more.
QUANTISED_OPERATORS: Final = ("Conv", "Gemm", "MatMul", "Relu")


def write_float16(source: Path, target: Path) -> None:
    """Halve a float32 ONNX file, by onnxruntime's converter; inputs and outputs keep their types."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of weights below float16's smallest number, which become it
        half = convert_float_to_float16(
            onnx.load(str(source)),
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FULL_PRECISION_OPERATORS],
        )
    sorted_graph = OnnxModel(half)  # casts were appended at the end
    sorted_graph.topological_sort()
    onnx.save(sorted_graph.model, str(target))


def write_int8(source: Path, target: Path, crops: Sequence[NDArray[np.uint8]]) -> None:
    """Quantise a float32 ONNX file to 8 bits, by onnxruntime's static quantisation with per-channel weights.

    Args:
        source: float32 ONNX.
        target: the file to write.
        crops: uint8 (h, w, 3) BGR, at least one; ranges of activations are the least and largest seen on them.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    batches = iter([stack_crops(crops[at : at + CALIBRATION_BATCH]) for at in range(0, len(crops), CALIBRATION_BATCH)])

    class Crops(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(batches, None)
            return None if batch is None else {"images": batch}

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises pre-processing on the root logger; the graph is folded already
    try:
        quantize_static(
            str(source),
            str(target),
            Crops(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED_OPERATORS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)


def read_calibration_crops(folder: Path) -> list[NDArray[np.uint8]]:
    """At most CALIBRATION_CROPS images of a folder and its sub-folders, evenly drawn in name order, BGR.

    Raises:
        DatasetError: no such folder, no image in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of calibration crops")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) to calibrate with")
    drawn = np.linspace(0, len(paths) - 1, min(len(paths), CALIBRATION_CROPS)).round().astype(int)
    return [read_image(paths[index]) for index in drawn]


def check_parity(
    pixels: nn.Module, path: Path, crops: Sequence[NDArray[np.uint8]], precision: Precision, out: Path
) -> str:
    """Compare an ONNX file with PyTorch on crops; returns the finding in words.

    fp32: no number differs by more than PARITY_TOLERANCE.  fp16 and int8: the mean cosine of both embeddings is at
    least LEAST_COSINE, and masks differ by at most MASK_TOLERANCE on average.

    Raises:
        ExportError: they differ by more; it names `out`.
    """
    with torch.inference_mode():
        images = torch.from_numpy(stack_crops(crops))
        batches = [pixels(batch) for batch in torch.split(images, CALIBRATION_BATCH)]
        expected = [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]
    try:
        embedder = Embedder(path, threads=1)
        appearance = embedder.embed(crops)
    except (ValueError, WeightsError) as error:  # lengths that are not 1: NaN, or overflow
        raise ExportError(f"{out}: the exported {precision} file does not work: {error}") from error
    found = [appearance.embedding, appearance.mask]
    if len(expected) > len(found):
        found.append(embedder.evidence(crops))
    if precision == "fp32":
        worst = max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))
        if not worst <= PARITY_TOLERANCE:  # also true for NaN
            raise ExportError(f"{out}: differs from PyTorch by {worst:.2g}, expected at most {PARITY_TOLERANCE:g}")
        return f"largest difference from PyTorch {worst:.2g} on {len(crops)} crops"
    cosine = float((found[0] * expected[0]).sum(1).mean())
    mask = float(np.abs(found[1] - expected[1]).mean())
    told = f"mean cosine with PyTorch {cosine:.4f}, masks differ by {mask:.2g} on average, on {len(crops)} crops"
    if not (cosine >= LEAST_COSINE[precision] and mask <= MASK_TOLERANCE[precision]):
        least, most = LEAST_COSINE[precision], MASK_TOLERANCE[precision]
        raise ExportError(f"{out}: {precision}: {told}; expected at least {least} and at most {most}")
    return told
