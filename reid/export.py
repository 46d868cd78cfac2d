"""How do trained weights leave PyTorch?  As one ONNX file that takes BGR pixels: nobody can normalise them wrongly."""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from .crops import HEIGHT_PX, WIDTH_PX
from .embedder import FORMAT_VERSION, KIND, Embedder
from .errors import ExportError
from .model import ReidModel, read_model

OPSET = 17  # the newest that onnxruntime and OpenVINO releases of the last years all read
PARITY_TOLERANCE = 1e-3
PARITY_CROPS = 5  # more than one, and odd, so that a batch size fixed by mistake shows

logger = logging.getLogger(__name__)


class PixelModel(nn.Module):
    """The network with its normalisation in front: uint8 (N, 256, 128, 3) BGR → embedding, mask."""

    def __init__(self, model: ReidModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """→ embedding float32 (N, D) of unit length, mask float32 (N, D) in (0, 1)."""
        embedding, mask = self.model(self.model.normalise(images))
        return embedding, mask


def export(checkpoint: Path, out: Path) -> None:
    """Write the model of a training checkpoint (or of `save_model`) as ONNX, after comparing the two on noise."""
    export_model(load_model(checkpoint), out)


def load_model(checkpoint: Path) -> ReidModel:
    """Read the model back out of a checkpoint written by `train.train`."""
    return read_model(checkpoint)


def export_model(model: ReidModel, out: Path) -> None:
    """Write `model` to `out` as ONNX with dynamic batch and metadata; the file appears only if it agrees with PyTorch.

    Raises:
        ExportError: embedding or mask differ from PyTorch's by more than 1e-3.
    """
    pixels = PixelModel(model).eval()
    images = torch.randint(0, 256, (PARITY_CROPS, HEIGHT_PX, WIDTH_PX, 3), dtype=torch.uint8)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        unchecked = Path(folder) / out.name
        _write(pixels, images, unchecked)
        _describe(unchecked, model)
        worst = _largest_difference(pixels, unchecked, images)
        if not worst <= PARITY_TOLERANCE:  # also true for NaN
            raise ExportError(f"{out}: differs from PyTorch by {worst:.2g}, expected at most {PARITY_TOLERANCE:g}")
        unchecked.replace(out)
    logger.info("wrote %s, largest difference from PyTorch %.2g", out, worst)


def _write(pixels: PixelModel, images: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of dynamo=False, which we chose
        torch.onnx.export(
            pixels,
            (images,),
            str(path),
            input_names=["images"],
            output_names=["embedding", "mask"],
            dynamic_axes={"images": {0: "n"}, "embedding": {0: "n"}, "mask": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter needs onnxscript, and gives the same graph
        )


def _describe(path: Path, model: ReidModel) -> None:
    """Put into the file what an integrator must know."""
    dimensions, mean_rgb, std_rgb = model.dimensions, model.backbone.mean_rgb, model.backbone.std_rgb
    graph = onnx.load(str(path))
    properties = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "input": f"images uint8 (N, {HEIGHT_PX}, {WIDTH_PX}, 3), colour order BGR, 0 to 255",
        "normalisation": f"inside the graph: RGB / 255, mean {mean_rgb}, std {std_rgb}",
        "output": f"embedding float32 (N, {dimensions}) of unit length; mask float32 (N, {dimensions}) in [0, 1]",
        "dimensions": str(dimensions),
    }
    onnx.helper.set_model_props(graph, properties)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _largest_difference(pixels: PixelModel, path: Path, images: Tensor) -> float:
    with torch.inference_mode():
        embedding, mask = pixels(images)
    appearance = Embedder(path, threads=1).embed(list(images.numpy()))
    return max(
        float(np.abs(appearance.embedding - embedding.numpy()).max()),
        float(np.abs(appearance.mask - mask.numpy()).max()),
    )
