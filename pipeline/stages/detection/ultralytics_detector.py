"""Run detectors through ultralytics: any weights that it can load, on any device."""

from __future__ import annotations

import pickle
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....trackers import Detections
from ...config.stages import DetectorConfig
from ...errors import WeightsError
from ...types import Image

if TYPE_CHECKING:
    from ultralytics import YOLO

# Each format has its own loader, and each loader its own errors for damaged or third-party files.
LOADING_ERRORS = (
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    ImportError,
    AssertionError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


class UltralyticsDetector:
    """Weights in any of ultralytics' formats: .pt, .onnx, an OpenVINO folder, a TensorRT engine, or a model name."""

    arithmetic = "what ultralytics chooses"

    def __init__(self, weights: str, config: DetectorConfig) -> None:
        self._weights = weights
        self._options = {
            "conf": config.confidence,
            "iou": config.overlap,
            "imgsz": config.image_size,
            "device": config.device,
            "verbose": False,
        }
        self._one_at_a_time = threading.Lock()  # ultralytics' predictors keep state between calls
        self._model = open_yolo(weights, "detector.weights")
        names = dict(self._model.names)
        people = [index for index, name in names.items() if name == "person"]
        if not people:
            known = ", ".join(list(names.values())[:5])
            raise WeightsError(f"detector.weights: {weights} has no class called person (its classes: {known})")
        self._options["classes"] = people

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Find people; see `Detector.detect`."""
        if not images:
            return []
        with self._one_at_a_time:
            try:
                results = self._model.predict(list(images), **self._options)
            except LOADING_ERRORS as error:
                raise WeightsError(f"detector.weights: {self._weights} cannot be run: {reason_of(error)}") from error
        return [_people(result.boxes.xyxy.cpu().numpy(), result.boxes.conf.cpu().numpy()) for result in results]


def open_yolo(weights: str, named: str) -> YOLO:
    """A detector in any of ultralytics' formats, with the names of its classes read.

    Args:
        weights: a path, or a name of ultralytics'; whether it is trusted was asked before.
        named: the key or option that names it, for messages.

    Raises:
        WeightsError: it is missing, damaged or something else.
    """
    from ultralytics import YOLO

    try:
        model = YOLO(weights, task="detect")
        dict(model.names)  # opens an exported network
    except FileNotFoundError as error:
        raise WeightsError(
            f"{named}: {weights} is not on disk and could not be downloaded; "
            f"put the file at {Path(weights).absolute()} or name another one"
        ) from error
    except LOADING_ERRORS as error:
        raise WeightsError(f"{named}: {weights} cannot be loaded ({reason_of(error)})") from error
    return model


def reason_of(error: Exception) -> str:
    """The first line of an error of ultralytics, without its mark."""
    return str(error).removeprefix("ERROR ❌️ ").splitlines()[0][:200] if str(error) else type(error).__name__


def _people(xyxy: NDArray[np.float32], confidence: NDArray[np.float32]) -> Detections:
    order = np.argsort(-confidence, kind="stable")
    return Detections(xyxy=xyxy[order].astype(np.float32), confidence=confidence[order].astype(np.float32))
