"""Measure on crops what 8-bit arithmetic needs, and store it in an exported model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import openvino
from numpy.typing import NDArray

from .crops import HEIGHT_PX, WIDTH_PX, stack_crops
from .disk.files import failing_as, read_image
from .embedder import CROPS_AT_ONCE, Embedder
from .engines.int8 import measure_ranges, ranges_as_metadata
from .engines.onnx_file import read_metadata, read_onnx, write_metadata
from .errors import DatasetError, ExportError

CALIBRATION_CROPS: Final = 200  # more of them hardly widen the ranges
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp")
LEAST_COSINE: Final = 0.99  # of embeddings in int8 and float32, mean over the crops
MASK_TOLERANCE: Final = 0.05  # mean absolute difference of the masks


def calibrate(model: Path, crops: Sequence[NDArray[np.uint8]], name: Path) -> str:
    """Measure ranges, write them into the file's metadata, and compare int8 with float32.

    Args:
        model: a float32 ONNX file as `export.export_model` writes it; changed in place.
        crops: N ≥ 1 of uint8 (h, w, 3) BGR.
        name: what messages call the file.

    Returns:
        The comparison, in words.

    Raises:
        ExportError: the two differ by too much, or no convolution is large enough.
        WeightsError: the file is not such a model.
    """
    network = read_onnx(model)
    network.reshape([1, HEIGHT_PX, WIDTH_PX, 3])
    ranges = measure_ranges(openvino.Core(), network, stack_crops(crops))
    if not ranges:
        raise ExportError(f"{name}: no convolution is large enough for 8-bit integers to pay: export it without --int8")
    described = read_metadata(model) | ranges_as_metadata(ranges)
    write_metadata(model, described)
    exact = Embedder(model, threads=1, arithmetic="exact", batch=CROPS_AT_ONCE).embed(crops)
    rounded = Embedder(model, threads=1, arithmetic="int8", batch=CROPS_AT_ONCE).embed(crops)
    cosine = float((exact.embedding * rounded.embedding).sum(1).mean())
    mask = float(np.abs(exact.mask - rounded.mask).mean())
    result = f"mean cosine with float32 {cosine:.4f}, mean difference of masks {mask:.2g}, on {len(crops)} crops"
    if not (cosine >= LEAST_COSINE and mask <= MASK_TOLERANCE):  # also true for NaN
        raise ExportError(f"{name}: int8: {result}; expected at least {LEAST_COSINE} and at most {MASK_TOLERANCE}")
    write_metadata(model, described | {"int8": result})
    return result


def read_calibration_crops(folder: Path) -> list[NDArray[np.uint8]]:
    """Read at most CALIBRATION_CROPS images of a folder and its sub-folders, evenly spaced in the order of names.

    Returns:
        uint8 (h, w, 3) BGR each.

    Raises:
        DatasetError: no such folder, no image in it, or one that cannot be read.
    """
    with failing_as(DatasetError, folder):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder of calibration crops")
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) to calibrate with")
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), CALIBRATION_CROPS)).round().astype(int)
    return [read_image(paths[index]) for index in chosen]
