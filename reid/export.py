"""How do trained weights leave PyTorch?  As one ONNX file that takes BGR pixels: nobody can normalise them wrongly."""

import copy
import json
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
from numpy.typing import NDArray
from torch import Tensor, nn

from .backbones.weights import read_state
from .crops import HEIGHT_PX, WIDTH_PX, stack_crops
from .embedder import EVIDENCE_SHAPE, FORMAT_VERSION, KIND, Embedder
from .errors import DatasetError, ExportError, WeightsError
from .files import make_folder, read_image, replacing
from .model.network import ReidModel, read_model, read_spec

OPSET = 17  # the newest that onnxruntime and OpenVINO releases of the last years all read
PARITY_CROPS = 5  # more than one, and odd, so that a batch size fixed by mistake shows
OUTPUTS = ("embedding", "mask", "evidence")
LICENCE = "AGPL-3.0-only, like the program; data that weights were trained on may bind their use further"

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

Precision = Literal["fp32", "fp16", "int8"]

logger = logging.getLogger(__name__)


class PixelModel(nn.Module):
    """The network, in the form that runs fastest, with its normalisation in front."""

    def __init__(self, model: ReidModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()  # the caller's may be in training
        self.model.backbone = self.model.backbone.fused()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: uint8 (N, 256, 128, 3) BGR.

        Returns:
            embedding float32 (N, D) of unit length, mask float32 (N, D) in (0, 1) and, from a model that has it,
            evidence float32 (N, 16, 8).
        """
        outputs: tuple[Tensor, ...] = self.model(self.model.normalise(images))
        return outputs


def export(checkpoint: Path, out: Path, precision: Precision = "fp32", calibration: Path | None = None) -> None:
    """Write the model of a training checkpoint as ONNX.

    Args:
        checkpoint: best.pt or last.pt of `train.train`; what it holds under "calibration" (a dict of plain values,
            similarity to probability) and "licence" goes into the file's metadata.
        out: the file to write; it appears only if it computes what the checkpoint does.
        precision: as in `export_model`.
        calibration: as in `export_model`.
    """
    state = read_state(checkpoint)
    spec = read_spec(state, checkpoint)
    about = {"backbone": f"{spec.backbone}, width {spec.width:g}", "mask": spec.mask}
    if "calibration" in state:
        about["calibration"] = json.dumps(state["calibration"])
    if "licence" in state:
        about["licence"] = str(state["licence"])
    export_model(load_model(checkpoint), out, precision, calibration, about)


def load_model(checkpoint: Path) -> ReidModel:
    """Read the model back out of a checkpoint written by `train.train`; WeightsError for any other file."""
    return read_model(checkpoint)


def export_model(
    model: ReidModel,
    out: Path,
    precision: Precision = "fp32",
    calibration: Path | None = None,
    about: dict[str, str] | None = None,
) -> None:
    """Write `model` to `out` as ONNX with dynamic batch and metadata; the file appears only if it agrees with PyTorch.

    fp32 and fp16 are compared on noise, int8 on the calibration crops.  In every precision pixels are uint8 and
    outputs float32.

    Args:
        model: in any mode; its backbone is exported as `fused()` gives it.
        out: the file to write.
        precision: fp32; fp16 (weights and arithmetic); int8 (weights and activations of convolutions and products).
        calibration: a folder of crops, of which int8 learns the ranges of activations; for int8 only.
        about: further metadata; it overrides what is written by default.

    Raises:
        ExportError: the two differ by more than the tolerance of this precision, or int8 lacks its crops.
        DatasetError: an image of `calibration` cannot be read.
    """
    if (precision == "int8") != (calibration is not None):
        raise ExportError(f"{out}: int8 needs a folder of calibration crops, and only int8 takes one")
    pixels = PixelModel(model).eval()
    images = torch.randint(0, 256, (PARITY_CROPS, HEIGHT_PX, WIDTH_PX, 3), dtype=torch.uint8)
    crops = list(images.numpy()) if calibration is None else read_calibration_crops(calibration)
    make_folder(out.parent)
    with replacing(out) as unchecked, tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "fp32.onnx"
        names = _write(pixels, images, written)
        if precision == "fp16":
            write_float16(written, unchecked)
        elif precision == "int8":
            write_int8(written, unchecked, crops)
        else:
            shutil.copyfile(written, unchecked)
        facts = _facts(model, names, precision) | (about or {})
        if precision == "int8":
            facts["int8_calibration"] = f"{len(crops)} crops, evenly drawn from a folder"
        _describe(unchecked, facts)
        facts["parity"] = check_parity(pixels, unchecked, crops, precision, out)
        _describe(unchecked, facts)
    logger.info("wrote %s, %s", out, facts["parity"])


def _write(pixels: PixelModel, images: Tensor, path: Path) -> Sequence[str]:
    """Write float32 ONNX; returns the names of its outputs."""
    with torch.inference_mode():
        names = OUTPUTS[: len(pixels(images[:1]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of dynamo=False, which we chose
        torch.onnx.export(
            pixels,
            (images,),
            str(path),
            input_names=["images"],
            output_names=list(names),
            dynamic_axes={name: {0: "n"} for name in ("images", *names)},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter needs onnxscript, and gives the same graph
        )
    return names


def _facts(model: ReidModel, outputs: Sequence[str], precision: Precision) -> dict[str, str]:
    """What an integrator must know."""
    dimensions = model.dimensions
    output = f"embedding float32 (N, {dimensions}) of unit length; mask float32 (N, {dimensions}) in [0, 1]"
    if "evidence" in outputs:
        output += f"; evidence float32 (N, {EVIDENCE_SHAPE[0]}, {EVIDENCE_SHAPE[1]})"
    mean_rgb, std_rgb = model.backbone.mean_rgb, model.backbone.std_rgb
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "input": f"images uint8 (N, {HEIGHT_PX}, {WIDTH_PX}, 3), colour order BGR, 0 to 255",
        "input_size": f"{HEIGHT_PX}x{WIDTH_PX}",
        "colour_order": "BGR",
        "normalisation": f"inside the graph: RGB / 255, mean {mean_rgb}, std {std_rgb}",
        "output": output,
        "dimensions": str(dimensions),
        "backbone": type(model.backbone).__name__,
        "mask": "none" if model.mask is None else type(model.mask).__name__,
        "precision": precision,
        "calibration": "none",
        "licence": LICENCE,
    }


def _describe(path: Path, facts: dict[str, str]) -> None:
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, facts)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


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
