"""Benchmark speed and peak memory of the whole pipeline against a bare loop that only decodes and detects."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from ..config.schema import Config
from ..errors import WeightsError
from ..trust import require_data_only
from ..types import CameraReport, Frame

Result = TypeVar("Result")

KIB_PER_MIB = 1024
WARM_UP_FRAMES = 16  # excluded from the rate: networks compile and caches fill during them


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pass over the footage, in a process of its own.

    Attributes:
        what: "pipeline", "bare" (decode and detect only), or "baseline" (ultralytics track with ByteTrack).
        frames: number of frames analysed.
        frames_per_second: steady rate, without loading and warm-up.
        peak_mib: peak resident memory of the process, MiB.
        stage_seconds: busy seconds per stage, summed over all threads.
    """

    what: str
    frames: int
    frames_per_second: float
    peak_mib: float
    stage_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All measurements of one benchmark, and their ratios; each ratio is the median over the rounds.

    Attributes:
        rounds: the measurements of each round, in order.
        of_bare: frames/s of the pipeline relative to the bare loop.
        of_baseline: frames/s of the pipeline relative to the baseline; None without one.
        peak_growth: peak memory with the footage played twice, relative to once; None if not measured.
    """

    rounds: list[list[Measurement]]
    of_bare: float
    of_baseline: float | None
    peak_growth: float | None


class _Rate:
    """A run listener that measures frames/s after the warm-up."""

    def __init__(self) -> None:
        self.frames = 0
        self.steady_since = 0.0

    def opened(self, sources: Mapping[str, object], reports: Mapping[str, CameraReport]) -> None:
        """Nothing to measure yet."""

    def analysed(self, frame: Frame, people: int) -> None:
        """Count one frame."""
        self.frames += 1
        if self.frames == WARM_UP_FRAMES:
            self.steady_since = time.perf_counter()

    def per_second(self) -> float:
        """Frames/s since the warm-up."""
        return max(self.frames - WARM_UP_FRAMES, 0) / (time.perf_counter() - self.steady_since)


def benchmark_pipeline(
    config: Config, rounds: int, baseline: str | None, twice: bool, trust_weights: bool = False
) -> Benchmark:
    """Measure the pipeline, the bare loop and optionally a baseline, in turns, so that other load affects all of them.

    Args:
        config: footage and settings; its database is not touched.
        rounds: measurements of each kind.
        baseline: weights for `ultralytics track` (.pt is exported to OpenVINO first), or None.
        twice: also measure peak memory with every camera's footage played twice.
        trust_weights: whether weights of formats that can run programs may be loaded.

    Raises:
        WeightsError: the baseline's weights are missing or not trusted, or ultralytics cannot read them.
    """
    with tempfile.TemporaryDirectory() as folder:
        passes = [partial(_pipeline, config, trust_weights), partial(_bare, config, trust_weights)]
        if baseline is not None:
            passes.append(partial(_baseline, config, _exported(baseline, Path(folder), trust_weights)))
        measured = [[in_own_process(measure) for measure in passes] for _ in range(rounds)]
        growth = None
        if twice:
            doubled = in_own_process(partial(_pipeline, _played_twice(config, Path(folder)), trust_weights))
            growth = doubled.peak_mib / median(row[0].peak_mib for row in measured)
    rates = [[one.frames_per_second for one in row] for row in measured]
    return Benchmark(
        measured,
        of_bare=median(row[0] / row[1] for row in rates),
        of_baseline=None if baseline is None else median(row[0] / row[2] for row in rates),
        peak_growth=growth,
    )


def in_own_process(measure: Callable[[], Result]) -> Result:
    """Measure in a fresh process, so that peak memory and warmed-up libraries do not carry over."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure).result()


def peak_mib() -> float:
    """Peak resident memory of this process, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / KIB_PER_MIB / (KIB_PER_MIB if sys.platform == "darwin" else 1)  # macOS counts bytes


def _pipeline(config: Config, trust_weights: bool) -> Measurement:
    from ..run import run_pipeline

    rate = _Rate()
    with tempfile.TemporaryDirectory() as folder:
        own = config.model_copy(update={"database": str(Path(folder) / "bench.db")})
        outcome = run_pipeline(own, rate, threading.Event(), trust_weights)
    return Measurement("pipeline", rate.frames, rate.per_second(), peak_mib(), outcome.stage_seconds)


def _bare(config: Config, trust_weights: bool) -> Measurement:
    """Only the pipeline's decoding threads and its detector."""
    from ..prepare import network_threads, open_cameras
    from ..sources.time_order import CameraReader, in_time_order
    from ..stages.detect import detect_ahead, open_detector
    from ..stopwatch import Stopwatch

    sources, _ = open_cameras(config)
    detector = open_detector(config.detector, network_threads(config), trust_weights)
    clock, stop, rate = Stopwatch(), threading.Event(), _Rate()
    readers = [CameraReader(source, stop, clock) for source in sources.values()]
    for frame, people in detect_ahead(in_time_order(readers), detector, config.detector.batch, clock):
        rate.analysed(frame, len(people))
    return Measurement("bare", rate.frames, rate.per_second(), peak_mib(), clock.seconds)


def _baseline(config: Config, weights: str) -> Measurement:
    """`ultralytics track` with ByteTrack and without ReID, one camera after the other."""
    from ultralytics import YOLO

    rate = _Rate()
    steady_seconds = 0.0
    model = YOLO(weights, task="detect")
    for camera in config.cameras.values():
        results = model.track(
            camera.source, stream=True, tracker="bytetrack.yaml", classes=[0], verbose=False, persist=False
        )
        for warmed, _ in enumerate(results):
            rate.frames += 1
            if warmed == WARM_UP_FRAMES:
                rate.steady_since = time.perf_counter()
        steady_seconds += time.perf_counter() - rate.steady_since
    steady = rate.frames - (WARM_UP_FRAMES + 1) * len(config.cameras)
    return Measurement("baseline", rate.frames, steady / steady_seconds, peak_mib())


def _exported(weights: str, folder: Path, trust_weights: bool) -> str:
    """The baseline's weights in their fastest form on a CPU: .pt files are exported to OpenVINO."""
    if not Path(weights).exists():
        raise WeightsError(f"{weights}: no such baseline weights: expected a .pt file or an exported network")
    require_data_only("--baseline", weights, trust_weights)
    import shutil

    from ultralytics import YOLO

    from ..stages.detect_ultralytics import LOADING_ERRORS

    is_exported = not weights.endswith(".pt")
    own = weights if is_exported else shutil.copy(weights, folder / Path(weights).name)  # the export lands beside it
    try:
        model = YOLO(own, task="detect")
        dict(model.names)  # opens an exported network
    except LOADING_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{weights}: ultralytics cannot load the baseline ({reason})") from error
    return weights if is_exported else str(model.export(format="openvino", verbose=False))


def _played_twice(config: Config, folder: Path) -> Config:
    """The same cameras, each with its footage as two consecutive segments."""
    cameras = {}
    for name, camera in config.cameras.items():
        source = Path(camera.source)
        for part in (1, 2):
            (folder / f"{name}-{part}{source.suffix}").symlink_to(source.resolve())
        cameras[name] = camera.model_copy(update={"source": str(folder / f"{name}-*{source.suffix}")})
    return config.model_copy(update={"cameras": cameras})
