"""Run an exported ONNX detector with OpenVINO on the processor."""

from __future__ import annotations

import ast
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from ....reid.engines.float_type import arithmetic_of, fastest_float
from ....reid.engines.onnx_file import onnx_metadata, read_onnx
from ....trackers import Detections
from ...config.stages import DetectorConfig
from ...errors import WeightsError
from ...types import Image

END_TO_END_COLUMNS = 6  # rows of x1 y1 x2 y2 score class, after non-maximum suppression
STRIDE = 32  # sides of the input must be multiples of it
PAD_GREY = 114  # as ultralytics pads in training


def read_network(path: Path) -> ov.Model:
    """Read an ONNX file, or an OpenVINO .xml with its .bin beside it.

    Raises:
        WeightsError: the file is damaged.
    """
    try:
        network = _read_openvino(path) if path.suffix == ".xml" else read_onnx(path)
        onnx_metadata(network)
        ranks = [one.partial_shape.rank for one in (*network.inputs, *network.outputs)]
    except WeightsError as error:
        raise WeightsError(f"detector.weights: {error}") from error
    except ValueError as error:  # metadata that is no text
        raise WeightsError(f"detector.weights: {path} has damaged metadata: export it again") from error
    if not network.inputs or not network.outputs or any(rank.is_dynamic for rank in ranks):
        raise WeightsError(f"detector.weights: {path}: expected images as input and boxes as output")
    return network


def _read_openvino(path: Path) -> ov.Model:
    try:
        return ov.Core().read_model(path, path.with_suffix(".bin"))
    except RuntimeError as error:
        raise WeightsError(f"{path}: is damaged or no OpenVINO model: export it again") from error


def is_plain_detector(network: ov.Model) -> bool:
    """Whether it is a detector exported by ultralytics with one raw output (N, 4 + classes, boxes)."""
    shape = network.outputs[0].partial_shape
    plain = len(network.outputs) == 1 and len(shape) == 3
    end_to_end = plain and shape[2].is_static and shape[2].get_length() == END_TO_END_COLUMNS
    return plain and not end_to_end and onnx_metadata(network).get("task") == "detect"


def is_quantised(network: ov.Model) -> bool:
    """Whether it computes mostly with 8-bit integers."""
    return any(one.get_type_name() == "FakeQuantize" for one in network.get_ops())


def _class_names(network: ov.Model, weights: str) -> dict[int, str]:
    """The model's classes by their row in the output."""
    try:
        names = ast.literal_eval(onnx_metadata(network).get("names", "{}"))
        return {int(index): str(name) for index, name in names.items()}
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        raise WeightsError(f"detector.weights: {weights} has damaged class names; export it again") from error


class OnnxDetector:
    """A YOLO detector in ONNX; images keep their aspect ratio, so wide frames cost less than square ones."""

    def __init__(self, network: ov.Model, config: DetectorConfig, threads: int) -> None:
        names = _class_names(network, config.weights)
        people = [index for index, name in names.items() if name == "person"]
        if not people:
            known = ", ".join(list(names.values())[:5]) or "none"
            raise WeightsError(f"detector.weights: {config.weights} has no class called person (its classes: {known})")
        self._weights = config.weights
        self._person_row = 4 + people[0]
        self._confidence, self._overlap = config.confidence, config.overlap
        _, _, height, width = network.inputs[0].partial_shape
        fixed = height.is_static and width.is_static
        self._fixed_hw = (height.get_length(), width.get_length()) if fixed else None
        self._image_size = config.image_size
        self._threads = threads
        self._model = network
        self._compiled: dict[tuple[int, int], ov.CompiledModel] = {}
        self._compiling = threading.Lock()
        self.arithmetic = ""  # until it is compiled
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="network")
        self._own = threading.local()  # each worker's infer requests, because a request holds its activations

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Find people; see `Detector.detect`."""
        try:
            return list(self._workers.map(self._detect, images))
        except (RuntimeError, IndexError, ValueError) as error:  # OpenVINO's, and outputs of another shape than stated
            raise WeightsError(f"detector.weights: {self._weights} cannot be run: export it again") from error

    def _detect(self, image: Image) -> Detections:
        """Resize and pad one image, run the network, and map its boxes back to the image."""
        height, width = image.shape[:2]
        target_hw = self._fixed_hw or network_hw(height, width, self._image_size)
        padded, (scale, left, top) = letterboxed(image, target_hw)
        request = self._request(*target_hw)
        request.infer({0: ov.Tensor(padded, shared_memory=True)})
        xyxy, confidence = self._people(request.get_output_tensor(0).data[0])
        xyxy = (xyxy - np.array([left, top] * 2)) / scale
        xyxy = xyxy.clip(0, [width, height] * 2).astype(np.float32)
        return Detections(xyxy=xyxy, confidence=confidence)

    def _people(self, raw: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The head's output (4 + classes, boxes) → people's boxes (N, 4) in network pixels and confidences (N,)."""
        confidence = raw[self._person_row]
        rows = np.flatnonzero(confidence >= self._confidence)
        confidence = confidence[rows].astype(np.float32)
        centre, size = raw[:2, rows].T, raw[2:4, rows].T
        xyxy = np.concatenate([centre - size / 2, centre + size / 2], axis=1)  # (N, 4)
        best = _suppress(xyxy, confidence, self._overlap)
        return xyxy[best], confidence[best]

    def _request(self, height: int, width: int) -> ov.InferRequest:
        """The calling thread's infer request for one input size."""
        own: dict[tuple[int, int], ov.InferRequest] = self._own.__dict__.setdefault("requests", {})
        if (height, width) not in own:
            own[height, width] = self._network(height, width).create_infer_request()
        return own[height, width]

    def _network(self, height: int, width: int) -> ov.CompiledModel:
        """The network compiled for one input size; cameras of one resolution share it."""
        with self._compiling:
            if (height, width) not in self._compiled:
                self._compiled[height, width] = self._compile(height, width)
            return self._compiled[height, width]

    def _compile(self, height: int, width: int) -> ov.CompiledModel:
        """Compile with normalisation and channel order inside the network, and one stream per thread."""
        model = self._model.clone()
        model.reshape([1, 3, height, width])
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().tensor().set_color_format(ov.preprocess.ColorFormat.BGR)
        steps.input().model().set_layout(ov.Layout("NCHW"))
        steps.input().preprocess().convert_element_type(ov.Type.f32)
        steps.input().preprocess().convert_color(ov.preprocess.ColorFormat.RGB).scale(255.0)
        options: dict[str, object] = {"INFERENCE_NUM_THREADS": self._threads, "NUM_STREAMS": self._threads}
        int8 = is_quantised(model)
        if not int8:  # else little of it is float, and that is faster as OpenVINO has it
            options |= fastest_float()
        compiled = ov.Core().compile_model(steps.build(), "CPU", options)
        self.arithmetic = arithmetic_of(compiled, int8)
        return compiled


def letterboxed(image: Image, hw: tuple[int, int]) -> tuple[NDArray[np.uint8], tuple[float, int, int]]:
    """Resize an image and pad it with grey to the network's input.

    Args:
        image: uint8 (h, w, 3).
        hw: height and width of the input.

    Returns:
        uint8 (1, H, W, 3); and scale, left and top: the image's (x, y) lies at (scale x + left, scale y + top).
    """
    height, width = image.shape[:2]
    target_h, target_w = hw
    scale = min(target_h / height, target_w / width)
    inner_h, inner_w = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (target_h - inner_h) // 2, (target_w - inner_w) // 2
    padded = np.full((1, target_h, target_w, 3), PAD_GREY, np.uint8)
    cv2.resize(image, (inner_w, inner_h), dst=padded[0, top : top + inner_h, left : left + inner_w])
    return padded, (scale, left, top)


def network_hw(height: int, width: int, image_size: int) -> tuple[int, int]:
    """The network's input (height, width) for an image: long side `image_size`, both multiples of 32."""

    def whole_strides(side: int) -> int:
        return max(1, math.ceil(side * image_size / max(height, width) / STRIDE)) * STRIDE

    return whole_strides(height), whole_strides(width)


def _suppress(xyxy: NDArray[np.float32], confidence: NDArray[np.float32], overlap: float) -> NDArray[np.int64]:
    """Non-maximum suppression: rows of the kept boxes, most confident first; `overlap` is the largest IoU of two."""
    xywh = np.column_stack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]])  # (N, 4)
    # OpenCV leaves out boxes of confidence 0; denormal numbers may count as 0, see `without_denormals`.
    above_zero = np.maximum(np.nextafter(confidence, np.float32(2)), np.finfo(np.float32).tiny)
    return np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), above_zero.tolist(), 0.0, overlap), np.int64).ravel()
