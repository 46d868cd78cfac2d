"""Detect people: one detector for all cameras, on batches of their frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

from ....reid.disk.files import failing_as
from ....reid.engines.int8 import computes_int8
from ....trackers import Detections
from ...config.stages import DetectorConfig
from ...errors import WeightsError
from ...stopwatch import Stopwatch
from ...trust import require_data_only
from ...types import Frame, Image

BATCHES_AHEAD = 2  # detected while an earlier batch is tracked

BUNDLED = {"person": Path(__file__).parents[2] / "weights" / "person.onnx"}
BUNDLED_INT8 = {"person": BUNDLED["person"].with_name("person_int8.xml")}
OWN_SUFFIXES = (".onnx", ".xml")


class Detector(Protocol):
    """Finds the people in a batch of images."""

    @property
    def arithmetic(self) -> str:
        """What it computes with on this machine, such as "int8 and float32"; empty before it ran."""
        ...

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Find people in images of any cameras and sizes; may be called by several threads at once.

        Args:
            images: uint8 (H, W, 3) BGR each.

        Returns:
            One per image: xyxy float32 (N, 4) pixels, clipped to the image; confidence float32 (N,) in [0, 1], in
            descending order.
        """
        ...


def open_detector(config: DetectorConfig, threads: int, trust_weights: bool = False) -> Detector:
    """Load the detector that the config names.

    ONNX and OpenVINO detectors with one raw output run on OpenVINO, at about 1.7 times the frame rate of onnxruntime on
    two cores; all other weights run through ultralytics.

    Args:
        config: the `detector` part of a config, with resolved paths.
        threads: processor threads of the network.
        trust_weights: whether weights of formats that can run programs may be loaded, such as ultralytics' .pt.

    Raises:
        WeightsError: the weights are missing, damaged, not trusted, or without a class called person.
    """
    path = _bundled(config) or _openvino_file(Path(config.weights))
    if config.weights not in BUNDLED:
        require_data_only("detector.weights", config.weights, trust_weights, BUNDLED)
    if path.suffix in OWN_SUFFIXES:
        with failing_as(WeightsError, path):
            if not path.is_file():
                raise WeightsError(f"detector.weights: {path} does not exist; put the exported model there")
        from .openvino_detector import OnnxDetector, is_plain_detector, read_network

        network = read_network(path)
        if is_plain_detector(network):
            return OnnxDetector(network, config, threads)
    from .ultralytics_detector import UltralyticsDetector

    return UltralyticsDetector(config.weights, config)


def _bundled(config: DetectorConfig) -> Path | None:
    """The file of a bundled detector in the precision that suits this processor; None for a user's own."""
    if config.weights not in BUNDLED:
        return None
    if config.precision == "float" or (config.precision == "auto" and not computes_int8()):
        return BUNDLED[config.weights]
    return BUNDLED_INT8[config.weights]


def _openvino_file(path: Path) -> Path:
    """The only .xml of an OpenVINO folder; any other path as it is."""
    with failing_as(WeightsError, path):
        found = sorted(path.glob("*.xml")) if path.is_dir() else []
    return found[0] if len(found) == 1 else path


def detect_ahead(
    frames: Iterator[Frame],
    detector: Detector,
    batch: int,
    clock: Stopwatch,
) -> Iterator[tuple[Frame, Detections]]:
    """Detect people in frames of all cameras; yields them in order while the next batches are being detected.

    A quiet frame is not searched: it has the detections of its camera's last frame that is not quiet.

    Args:
        frames: in the order in which they are yielded.
        detector: shared by all cameras.
        batch: frames per call of the detector.
        clock: measures the stage "detect".
    """
    latest: dict[str, Detections] = {}  # of each camera's last frame that was searched

    def detect(images: list[Image]) -> list[Detections]:
        with clock.stage("detect"):
            return detector.detect(images)

    def started(frames: Iterable[Frame]) -> Future[list[Detections]] | None:
        images = [frame.image for frame in frames if not frame.quiet]
        return workers.submit(detect, images) if images else None

    in_flight: deque[tuple[deque[Frame], Future[list[Detections]] | None]] = deque()
    with ThreadPoolExecutor(BATCHES_AHEAD, thread_name_prefix="detect") as workers:
        while True:
            following = deque(islice(frames, batch))
            if following:
                in_flight.append((following, started(following)))
            if in_flight and (not following or len(in_flight) > BATCHES_AHEAD):
                done, future = in_flight.popleft()
                found = iter([] if future is None else future.result())
                while done:
                    frame = done.popleft()
                    if not frame.quiet:
                        latest[frame.camera] = next(found)
                    yield frame, latest[frame.camera]
                    del frame  # its picture need not be kept while the next are waited for
            if not following and not in_flight:
                return
