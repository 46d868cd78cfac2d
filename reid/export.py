"""Export trained models to ONNX as float32 or float16, each checked against PyTorch before the file appears.

The exported graph takes uint8 BGR pixels: resized crops go in as they are, normalisation is part of the graph.
"""

import copy
import logging
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch import Tensor, nn

from .backbones.weights import read_state
from .calibration import calibrate, read_calibration_crops
from .crops import HEIGHT_PX, WIDTH_PX, stack_crops
from .disk.files import make_folder, replacing
from .disk.guard import Guard
from .embedder import EVIDENCE_SHAPE, FORMAT_VERSION, KIND, Embedder
from .engines.onnx_file import read_metadata, write_metadata
from .errors import ExportError, WeightsError
from .model.network import ReidModel, read_model, read_spec

OPSET: Final = 17  # the newest one that all onnxruntime and OpenVINO releases of the last years read
OUTPUTS: Final = ("embedding", "mask", "evidence")
LICENCE: Final = "AGPL-3.0-only, like the program; data that weights were trained on may bind their use further"

# Squares, sums and small divisors exceed float16's range.
FULL_PRECISION_OPERATORS: Final = ("ReduceL2", "Clip", "Div", "Max", "Expand", "ReduceSum", "Pow", "Sqrt")
BATCH_CROPS: Final = 8

PARITY_CROPS: Final = 5  # more than one, and odd, so that a fixed batch size is noticed
PARITY_TOLERANCE: Final = 1e-3  # fp32: largest absolute difference of any output
LEAST_COSINE: Final = 0.999  # fp16: cosine similarity of both embeddings, mean over the crops
MASK_TOLERANCE: Final = 0.01  # fp16: mean absolute difference of both masks

Precision = Literal["fp32", "fp16"]

logger = logging.getLogger(__name__)


class PixelModel(nn.Module):
    """A copy of a model for inference: backbone fused, normalisation in front."""

    def __init__(self, model: ReidModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()  # the original may still be in training
        self.model.backbone = self.model.backbone.fused()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: uint8 (N, 256, 128, 3) BGR.

        Returns:
            embedding float32 (N, D) of unit length, mask float32 (N, D) in [0, 1] and, from models with a visibility
            map, evidence float32 (N, 16, 8) in (0, 1).
        """
        outputs: tuple[Tensor, ...] = self.model(self.model.normalise(images))
        return outputs


def export(
    checkpoint: Path, out: Path, precision: Precision = "fp32", calibration: Path | None = None, force: bool = False
) -> None:
    """Export the model of a training checkpoint, or calibrate an exported one.

    Args:
        checkpoint: best.pt as written by `training.train`; with `calibration` also a float32 model that was exported.
        out, precision, calibration: as in `export_model`.
        force: replace a file that is not an exported model, too.

    Raises:
        WeightsError: `checkpoint` is missing, unreadable or no checkpoint of this program.
        OutputError: `out` must not be replaced, or cannot be written.
        ExportError, DatasetError: as in `export_model`.
    """
    inputs = [checkpoint] if calibration is None else [checkpoint, calibration]
    Guard(inputs, force=force).check(out, is_exported_model)
    if calibration is not None and checkpoint.suffix == ".onnx":
        _calibrate_exported(checkpoint, out, calibration)
        return
    spec = read_spec(read_state(checkpoint), checkpoint)
    names = {"backbone": f"{spec.backbone}, width {spec.width:g}", "mask": spec.mask}
    export_model(read_model(checkpoint), out, precision, calibration, names)


def is_exported_model(path: Path) -> bool:
    """Whether a file is an ONNX model that `export_model` wrote, by its metadata."""
    try:
        return {"kind": KIND}.items() <= read_metadata(path).items()
    except DecodeError:
        return False


def export_model(
    model: ReidModel,
    out: Path,
    precision: Precision = "fp32",
    calibration: Path | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Export a model with dynamic batch size and metadata.

    The file appears only if it computes what PyTorch computes on random pixels.  In both precisions the input is uint8
    and the outputs are float32.

    Args:
        model: in any mode; it stays as it is.
        out: the ONNX file to write.
        precision: fp32, or fp16 (weights and arithmetic).
        calibration: a folder of crops; with it, the file also holds what large convolutions need to be computed with
            8-bit integers, which `Embedder` does where the processor is fast at it.  Of fp32 only.
        metadata: entries that replace or extend the default ones.

    Raises:
        ExportError: the outputs differ from PyTorch's by more than the precision's tolerance, or as of
            `calibration.calibrate`; or `calibration` is given and the precision is not fp32.
        DatasetError: `calibration` holds no images, or one that cannot be read.
    """
    if precision != "fp32" and calibration is not None:
        raise ExportError(f"{out}: only a file in fp32 can be calibrated for 8-bit integers, not one in {precision}")
    calibration_crops = None if calibration is None else read_calibration_crops(calibration)
    pixels = PixelModel(model).eval()
    images = torch.randint(0, 256, (PARITY_CROPS, HEIGHT_PX, WIDTH_PX, 3), dtype=torch.uint8)
    make_folder(out.parent)
    with replacing(out) as unchecked, tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "fp32.onnx"
        outputs = _write_float32(pixels, images, full)
        if precision == "fp16":
            _write_float16(full, unchecked)
        else:
            shutil.copyfile(full, unchecked)
        described = _metadata(model, outputs, precision) | (metadata or {})
        write_metadata(unchecked, described)  # without it, the parity check cannot load the file
        parity = _check_parity(pixels, unchecked, list(images.numpy()), precision, out)
        write_metadata(unchecked, described | {"parity": parity})
        if calibration_crops is not None:
            logger.info("int8: %s", calibrate(unchecked, calibration_crops, out))
    logger.info("wrote %s, %s", out, parity)


def _calibrate_exported(model: Path, out: Path, folder: Path) -> None:
    """Write a copy of an exported model with ranges for 8-bit integers measured on a folder of crops."""
    precision = Embedder(model).metadata.get("precision")  # refuses what is no such model
    if precision != "fp32":
        raise ExportError(f"{model}: only a file in fp32 can be calibrated for 8-bit integers, not one in {precision}")
    crops = read_calibration_crops(folder)
    make_folder(out.parent)
    with replacing(out) as unchecked:
        shutil.copyfile(model, unchecked)
        logger.info("int8: %s", calibrate(unchecked, crops, out))


def _write_float32(pixels: PixelModel, images: Tensor, target: Path) -> Sequence[str]:
    """Write float32 ONNX; returns the names of its outputs."""
    with torch.inference_mode():
        names = OUTPUTS[: len(pixels(images[:1]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of dynamo=False, which is chosen below
        torch.onnx.export(
            pixels,
            (images,),
            str(target),
            input_names=["images"],
            output_names=list(names),
            dynamic_axes={name: {0: "n"} for name in ("images", *names)},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter needs onnxscript and gives the same graph
        )
    return names


def _write_float16(source: Path, target: Path) -> None:
    """Convert float32 ONNX to float16 with onnxruntime's converter; inputs and outputs keep their types."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of weights below float16's smallest number, which become it
        half = convert_float_to_float16(
            onnx.load(str(source)),
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FULL_PRECISION_OPERATORS],
        )
    graph = OnnxModel(half)
    graph.topological_sort()  # the converter appends its casts at the end
    onnx.save(graph.model, str(target))


def _metadata(model: ReidModel, outputs: Sequence[str], precision: Precision) -> dict[str, str]:
    """The model's description in its own file: `Embedder` checks the first two entries, the others are for people."""
    dimensions = model.dimensions
    output = f"embedding float32 (N, {dimensions}) of unit length; mask float32 (N, {dimensions}) in [0, 1]"
    if "evidence" in outputs:
        output += f"; evidence float32 (N, {EVIDENCE_SHAPE[0]}, {EVIDENCE_SHAPE[1]})"
    mean_rgb, std_rgb = model.backbone.mean_rgb, model.backbone.std_rgb
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "input": f"images uint8 (N, {HEIGHT_PX}, {WIDTH_PX}, 3), colour order BGR, 0 to 255",
        "normalisation": f"inside the graph: RGB / 255, mean {mean_rgb}, std {std_rgb}",
        "output": output,
        "dimensions": str(dimensions),
        "backbone": type(model.backbone).__name__,
        "mask": "none" if model.mask is None else type(model.mask).__name__,
        "precision": precision,
        "licence": LICENCE,
    }


def _check_parity(
    pixels: nn.Module, path: Path, crops: Sequence[NDArray[np.uint8]], precision: Precision, out: Path
) -> str:
    """Compare an ONNX file with PyTorch.

    fp32: no output differs by more than PARITY_TOLERANCE.  fp16: the mean cosine similarity of both embeddings is at
    least LEAST_COSINE, and the mean difference of both masks at most MASK_TOLERANCE.

    Args:
        pixels: the `PixelModel` that was exported.
        path: the ONNX file.
        crops: N ≥ 1 of uint8 (h, w, 3) BGR.
        precision: of the ONNX file.
        out: what messages call the file.

    Returns:
        The result in words.

    Raises:
        ExportError: they differ by more, or the file does not work at all.
    """
    with torch.inference_mode():
        batches = [pixels(batch) for batch in torch.split(torch.from_numpy(stack_crops(crops)), BATCH_CROPS)]
        expected = [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]
    try:
        embedder = Embedder(path, threads=1, arithmetic="exact")
        appearance = embedder.embed(crops)
    except (ValueError, WeightsError) as error:  # embeddings that are not of unit length: NaN, or overflow
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
    result = f"mean cosine with PyTorch {cosine:.4f}, mean difference of masks {mask:.2g}, on {len(crops)} crops"
    if not (cosine >= LEAST_COSINE and mask <= MASK_TOLERANCE):
        raise ExportError(
            f"{out}: {precision}: {result}; expected at least {LEAST_COSINE} and at most {MASK_TOLERANCE}")
    return result
