"""Who is in the picture: one detector for all cameras, whatever its weights are."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import supervision as sv

from ..config.schema import DetectorConfig
from ..errors import WeightsError
from ..stopwatch import Stopwatch
from ..types import Frame, Image

BATCHES_AHEAD = 2  # while one batch is tracked, the next ones are being detected

BUNDLED = {"person": Path(__file__).parents[1] / "weights" / "person.onnx"}


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
        from .detect_openvino import OnnxDetector, is_plain_detector, read_network

        network = read_network(path)
        if is_plain_detector(network):
            return OnnxDetector(network, config, threads)
    from .detect_ultralytics import UltralyticsDetector

    return UltralyticsDetector(str(path), config)


def detect_ahead(
    frames: Iterator[Frame], detector: Detector, batch: int, clock: Stopwatch
) -> Iterator[tuple[Frame, sv.Detections]]:
    """Frames of all cameras with their people, in order, while the next batches are already being detected.

    Args:
        frames: in the order in which they are wanted.
        detector: shared by all cameras.
        batch: frames per call of the detector.
        clock: counts the time spent as "detect".
    """

    def detect(batch: list[Frame]) -> list[sv.Detections]:
        with clock.stage("detect"):
            return detector.detect([frame.image for frame in batch])

    under_way: deque[tuple[list[Frame], Future[list[sv.Detections]]]] = deque()
    with ThreadPoolExecutor(BATCHES_AHEAD, thread_name_prefix="detect") as workers:
        while True:
            following = list(islice(frames, batch))
            if following:
                under_way.append((following, workers.submit(detect, following)))
            if under_way and (not following or len(under_way) > BATCHES_AHEAD):
                done, future = under_way.popleft()
                yield from zip(done, future.result(), strict=True)
            if not following and not under_way:
                return
