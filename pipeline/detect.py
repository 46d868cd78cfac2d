"""Who is in the picture: one detector for all cameras, whatever its weights are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import supervision as sv

from .config import DetectorConfig
from .errors import WeightsError
from .types import Image

BUNDLED = {"person": Path(__file__).parent / "weights" / "person.onnx"}


class Detector(Protocol):
    """Finds the people in a batch of pictures."""

    def detect(self, images: Sequence[Image]) -> list[sv.Detections]:
        """Find people in pictures of any cameras and sizes; safe to call from several threads at once.

        Args:
            images: uint8 (H, W, 3) BGR each.

        Returns:
            For each picture its people: xyxy float32 (N, 4) pixels of that picture, clipped to it; confidence
            float32 (N,) in [0, 1], in falling order.
        """
        ...


def open_detector(config: DetectorConfig, threads: int) -> Detector:
    """Load the detector that the config names.

    Exported single-output ONNX detectors run on OpenVINO, which does about 1.7 times the pictures of onnxruntime
    on two cores; everything else that ultralytics knows runs through ultralytics.

    Args:
        config: the `detector` part of a config, with resolved paths.
        threads: how many processor threads the network may use.

    Raises:
        WeightsError: the weights are missing, damaged, or know no class called person.
    """
    path = BUNDLED.get(config.weights, Path(config.weights))
    if path.suffix == ".onnx":
        if not path.is_file():
            raise WeightsError(f"detector.weights: {path} does not exist; put the exported model there")
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO then uses its silent stub
        from .detect_onnx import OnnxDetector, is_plain_detector

        if is_plain_detector(path):
            return OnnxDetector(path, config, threads)
    from .detect_ultralytics import UltralyticsDetector

    return UltralyticsDetector(str(path), config)
