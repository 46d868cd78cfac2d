"""Run detectors through ultralytics: any weights that it can load, on any device."""

from __future__ import annotations

import pickle
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....trackers import Detections
from ...config.stages import DetectorConfig
from ...errors import WeightsError
from ...types import Image

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

    def __init__(self, weights: str, config: DetectorConfig) -> None:
        self._weights = weights
        from ultralytics import YOLO

        self._options = {
            "conf": config.confidence,
            "iou": config.overlap,
            "imgsz": config.image_size,
            "device": config.device,
            "verbose": False,
        }
        self._one_at_a_time = threading.Lock()  # ultralytics' predictors keep state between calls
        try:
            self._model = YOLO(weights, task="detect")
            names = dict(self._model.names)
        except FileNotFoundError as error:
            raise WeightsError(
                f"detector.weights: {weights} is not on disk and could not be downloaded; "
                f"put the file at {Path(weights).absolute()} or name another one"
            ) from error
        except LOADING_ERRORS as error:
            raise WeightsError(f"detector.weights: {weights} cannot be loaded ({_reason(error)})") from error
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
                raise WeightsError(f"detector.weights: {self._weights} cannot be run: {_reason(error)}") from error
        return [_people(result.boxes.xyxy.cpu().numpy(), result.boxes.conf.cpu().numpy()) for result in results]


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _people(xyxy: NDArray[np.float32], confidence: NDArray[np.float32]) -> Detections:
    order = np.argsort(-confidence, kind="stable")
    return Detections(xyxy=xyxy[order].astype(np.float32), confidence=confidence[order].astype(np.float32))
