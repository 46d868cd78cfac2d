"""Quantise a person detector to 8-bit integers, calibrated on footage."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.passes import ConstantFolding, Manager

from ...reid.disk.files import make_folder, replacing
from ...reid.disk.guard import MARK, Guard
from ...reid.wording import counted
from ..errors import ConfigError, WeightsError
from ..stages.detection.openvino_detector import letterboxed, network_hw, read_network
from ..trust import OPENVINO_FOLDER
from .rounding import round_weights

CALIBRATION_FRAMES = 240
SMALLEST_SHARE = 0.02  # of the footage before the first and after the last frame: often black, or of another scene
# The end of an ultralytics head, which turns raw outputs into boxes: sums and products of pixels need more than 8 bits.
DECODING = r"/model\.{last}/(dfl/|Add|Sub|Mul|Div|Sigmoid|Slice|Concat|Reshape|Gather|Shape|Unsqueeze|Split|Softmax).*"
MADE_BY = "made_by"  # key of the exported model, by which later exports know that they may replace it


def quantise_detector(
    weights: Path, footage: Sequence[Path], out: Path, image_size: int = 640, force: bool = False
) -> Path:
    """Quantise an ONNX detector after training (NNCF, weights rounded by GPTQ), and write it as an OpenVINO folder.

    Args:
        weights: an ONNX detector as `reidpipe train-detector` or `yolo export format=onnx` writes it.
        footage: videos like those on which it will run; frames are taken evenly from all of them.
        out: the folder, whose name ends in `_openvino_model`; it may exist.
        image_size: long side of the network's input in pixels.
        force: replace files in `out` that are not of an earlier export, too.

    Returns:
        The .xml file in `out`.

    Raises:
        WeightsError: the detector cannot be read, or NNCF is not installed.
        ConfigError: a video cannot be read, or `out` has another name.
        OutputError: `out` cannot be written, or holds an input or other files of these names.
    """
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise WeightsError("quantising needs NNCF, which is not installed: pip install 'reidpipe[int8]'") from error
    if not out.name.endswith(OPENVINO_FOLDER):
        raise ConfigError(f"{out}: expected a folder name that ends in {OPENVINO_FOLDER}")
    target = out / f"{weights.stem}.xml"
    guard = Guard([weights, *footage], force=force)
    for path in (target, target.with_suffix(".bin")):
        guard.check(path, lambda one: _is_own(one.with_suffix(".xml")))
    network = _with_plain_biases(read_network(weights))
    images = list(_frames(footage, image_size))
    layers = [re.match(r"/model\.(\d+)/", one.get_friendly_name()) for one in network.get_ops()]
    last = max((int(layer[1]) for layer in layers if layer), default=0)  # the head
    scope = nncf.IgnoredScope(
        names=_activations(network), patterns=[DECODING.replace("{last}", str(last))], validate=False)
    nncf.set_log_level(logging.ERROR)
    quantised = nncf.quantize(
        network,
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        ignored_scope=scope,
        # One frame with an extreme number must not make the steps of all others coarse.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MEAN_NO_OUTLIERS_MINMAX),
    )
    round_weights(quantised, network, images)
    quantised.set_rt_info(MARK, ["framework", MADE_BY])
    make_folder(out)
    with tempfile.TemporaryDirectory() as folder:  # OpenVINO wants the real suffixes
        written = Path(folder) / target.name
        ov.serialize(quantised, str(written))
        for suffix in (".bin", ".xml"):
            with replacing(target.with_suffix(suffix)) as temporary:
                shutil.copyfile(written.with_suffix(suffix), temporary)
    return target


def _with_plain_biases(network: ov.Model) -> ov.Model:
    """The network with constants as weights and biases, changed in place.

    OpenVINO reads the bias of a convolution in ONNX as a constant and operations that give it its shape; NNCF does not
    find it behind them, and would correct none.
    """
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(network)
    return network


def _activations(network: ov.Model) -> list[str]:
    """The parts of every SiLU, x sigmoid(x).

    With numbers of 8 bits between them, OpenVINO computes them after a convolution and not within it: 1.25 times the
    time of a frame, and 30 MiB of kernels per thread.
    """
    sigmoids = [one for one in network.get_ops() if one.get_type_name() == "Sigmoid"]
    followers = [target.get_node() for one in sigmoids for target in one.output(0).get_target_inputs()]
    products = [one for one in followers if one.get_type_name() == "Multiply"]
    return [one.get_friendly_name() for one in (*sigmoids, *products)]


def _frames(footage: Sequence[Path], image_size: int) -> Iterator[NDArray[np.float32]]:
    """Frames spread evenly over all videos, as the network takes them: float32 (1, 3, H, W) RGB in [0, 1]."""
    each = -(-CALIBRATION_FRAMES // max(len(footage), 1))
    for path in footage:
        video = cv2.VideoCapture(str(path))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = set(np.linspace(count * SMALLEST_SHARE, count * (1 - SMALLEST_SHARE), each).astype(int).tolist())
        found = 0
        for index in range(count):
            if not video.grab():
                break
            if index in wanted:
                read, image = video.retrieve()
                if read:
                    found += 1
                    height, width = image.shape[:2]
                    padded, _ = letterboxed(np.asarray(image, np.uint8), network_hw(height, width, image_size))
                    yield np.ascontiguousarray(padded[..., ::-1].transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        video.release()
        if not found:
            raise ConfigError(f"{path}: {counted(found, 'frame')} could be decoded: give videos of the cameras")


def _is_own(path: Path) -> bool:
    return f'{MADE_BY} value="{MARK}"' in path.read_text(errors="replace") if path.is_file() else False
