"""How do trained weights leave PyTorch?  As one ONNX file that takes BGR pixels: nobody can normalise them wrongly."""

import copy
import json
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from .backbone_weights import read_state
from .crops import HEIGHT_PX, WIDTH_PX
from .embedder import EVIDENCE_SHAPE, FORMAT_VERSION, KIND
from .errors import ExportError
from .export_precision import Precision, check_parity, read_calibration_crops, write_float16, write_int8
from .model import ReidModel, read_model, read_spec

OPSET = 17  # the newest that onnxruntime and OpenVINO releases of the last years all read
PARITY_CROPS = 5  # more than one, and odd, so that a batch size fixed by mistake shows
OUTPUTS = ("embedding", "mask", "evidence")
LICENCE = "AGPL-3.0-only, like the program; data that weights were trained on may bind their use further"

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
        ExportError: the two differ by more than `export_precision.TOLERANCE` allows, or int8 lacks its crops.
        DatasetError: an image of `calibration` cannot be read.
    """
    if (precision == "int8") != (calibration is not None):
        raise ExportError(f"{out}: int8 needs a folder of calibration crops, and only int8 takes one")
    pixels = PixelModel(model).eval()
    images = torch.randint(0, 256, (PARITY_CROPS, HEIGHT_PX, WIDTH_PX, 3), dtype=torch.uint8)
    crops = list(images.numpy()) if calibration is None else read_calibration_crops(calibration)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        written, unchecked = Path(folder) / "fp32.onnx", Path(folder) / out.name
        names = _write(pixels, images, written)
        if precision == "fp16":
            write_float16(written, unchecked)
        elif precision == "int8":
            write_int8(written, unchecked, crops)
        else:
            written.replace(unchecked)
        facts = _facts(model, names, precision) | (about or {})
        if precision == "int8":
            facts["int8_calibration"] = f"{len(crops)} crops, evenly drawn from a folder"
        _describe(unchecked, facts)
        facts["parity"] = check_parity(pixels, unchecked, crops, precision, out)
        _describe(unchecked, facts)
        unchecked.replace(out)
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
