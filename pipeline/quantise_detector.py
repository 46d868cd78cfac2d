"""Quantise an exported person detector to int8 after training, calibrated on footage.

Weights per channel and activations per tensor become 8-bit integers (Jacob et al., Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018); NNCF chooses the ranges.  The end of the head that
turns distributions into boxes stays float32: a pixel coordinate up to 1280 has no room in 8 bits.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import av
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..reid.files import failing_as, replacing
from ..reid.guard import Guard
from ..reid.onnx_file import check_onnx_file
from .errors import ConfigError, WeightsError
from .stages.detect_openvino import letterbox, network_hw
from .types import Image

CALIBRATION_FRAMES = 240
QUANTISED = {"reidpipe_precision": "int8"}  # metadata of a file that this module wrote

log = logging.getLogger(__name__)


def quantise_detector(
    weights: Path, footage: Sequence[Path], out: Path, image_size: int = 640, force: bool = False
) -> Path:
    """Write an int8 copy of a float32 detector, as one ONNX file that also runs on processors without VNNI.

    Args:
        weights: ONNX of a YOLO detector, exported by ultralytics with one raw output.
        footage: videos; `CALIBRATION_FRAMES` frames, evenly spaced, set the ranges of the activations.
        out: the file to write.
        image_size: long side of the network's input, pixels.
        force: replace a file that `quantise_detector` did not write, too.

    Raises:
        WeightsError: the weights are damaged, or no such detector.
        ConfigError: a video cannot be decoded, or NNCF is not installed.
        OutputError: `out` must not be replaced, or cannot be written.
    """
    try:
        import nncf
    except ImportError as error:
        raise ConfigError('int8 needs NNCF: install it with pip install "reidpipe[int8]"') from error
    Guard([weights, *footage], force=force).check(out, _is_own)
    check_onnx_file(weights)
    with failing_as(WeightsError, weights):
        model = onnx.load(str(weights))
    ignored = box_decoding(model, weights)
    share = -(-CALIBRATION_FRAMES // len(footage))
    inputs = [network_input(image, image_size) for path in footage for image in evenly_spaced(path, share)]
    log.info("calibrating on %d frames", len(inputs))
    name = model.graph.input[0].name
    quantised = nncf.quantize(
        model,
        nncf.Dataset([{name: pixels} for pixels in inputs]),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=ignored),
        subset_size=len(inputs),
    )
    fold_weights(quantised)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(quantised, kept | QUANTISED)
    onnx.checker.check_model(quantised)
    with replacing(out) as temporary:
        onnx.save(quantised, str(temporary))
    return out


def box_decoding(model: onnx.ModelProto, weights: Path) -> list[str]:
    """Names of the nodes after the head's last convolutions, which turn its outputs into boxes.

    ultralytics names nodes after modules: those of the last stage itself and of its `dfl` decode, those of its other
    modules are the head's convolutions.
    """
    found = [re.match(r"/model\.(\d+)/(dfl/|[^/]+$)", node.name) for node in model.graph.node]
    stages = [int(match[1]) for match in found if match and match[2] == "dfl/"]
    if not stages:
        raise WeightsError(f"{weights}: expected a YOLO detector exported by ultralytics with one raw output")
    return [match.string for match in found if match and int(match[1]) == max(stages)]


def network_input(image: Image, image_size: int) -> NDArray[np.float32]:
    """One image as the detector sees it: float32 (1, 3, h, w) RGB in [0, 1]."""
    padded, _, _ = letterbox(image, network_hw(*image.shape[:2], image_size))
    return np.ascontiguousarray(padded[..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255


def evenly_spaced(path: Path, count: int) -> list[Image]:
    """At most `count` frames of a video, evenly spaced, each uint8 (H, W, 3) BGR."""
    try:
        with av.open(str(path)) as container:
            frames = sum(1 for _ in container.decode(video=0))
        step = max(1, frames // count)
        with av.open(str(path)) as container:
            chosen = islice(container.decode(video=0), 0, step * count, step)
            images = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in chosen]
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise ConfigError(f"{path}: cannot be decoded as a video: {error}") from error
    if not images:
        raise ConfigError(f"{path}: holds no frame to calibrate with")
    return images


def fold_weights(model: onnx.ModelProto) -> None:
    """Store weights as the int8 that they are rounded to, instead of float32 and a QuantizeLinear, in place."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    folded = [
        node for node in model.graph.node if node.op_type == "QuantizeLinear" and set(node.input) <= tensors.keys()
    ]
    for node in folded:
        weight, scale, zero = (numpy_helper.to_array(tensors[name]) for name in node.input)
        axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
        shape = [-1 if scale.ndim and one == axis else 1 for one in range(weight.ndim)]
        limits = np.iinfo(zero.dtype)
        rounded = np.round(weight / scale.reshape(shape)) + zero.reshape(shape)
        stored = rounded.clip(limits.min, limits.max).astype(zero.dtype)
        model.graph.initializer.append(numpy_helper.from_array(stored, node.output[0]))
        model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input} | {one.name for one in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _is_own(path: Path) -> bool:
    model = onnx.load(str(path), load_external_data=False)
    return QUANTISED.items() <= {entry.key: entry.value for entry in model.metadata_props}.items()
