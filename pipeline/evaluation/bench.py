"""How fast is the whole pipeline beside a bare loop that only decodes and detects, and how much memory it takes."""

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

from ..config.schema import Config
from ..errors import WeightsError
from ..types import CameraReport, Frame

KIB_PER_MIB = 1024
WARM_UP_FRAMES = 16  # left out of the rate: networks are compiled and caches filled during them


@dataclass(frozen=True, slots=True)
class Measurement:
    """One way of going through the footage, once, in a process of its own.

    Attributes:
        what: "pipeline", "bare" (decode and detect only), or "baseline" (ultralytics track with ByteTrack).
        frames: how many pictures were analysed.
        frames_per_second: steady rate, without loading and warming up.
        peak_mib: largest resident memory of the process, MiB.
        stage_seconds: busy seconds by stage, over all threads.
    """

    what: str
    frames: int
    frames_per_second: float
    peak_mib: float
    stage_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All measurements of one bench, and their ratios, each the median over the rounds.

    Attributes:
        rounds: the measurements of each round, in the order they were made.
        of_bare: frames/s of the pipeline divided by those of the bare loop of the same round.
        of_baseline: the same against the baseline; None if no baseline was asked for.
        peak_growth: peak memory with the footage given twice divided by that with it given once; None if not asked.
    """

    rounds: list[list[Measurement]]
    of_bare: float
    of_baseline: float | None
    peak_growth: float | None


class _Rate:
    """A run's watcher that notes when the warm-up ended."""

    def __init__(self) -> None:
        self.frames = 0
        self.steady_since = 0.0

    def opened(self, sources: Mapping[str, object], reports: Mapping[str, CameraReport]) -> None:
        """Nothing to note yet."""

    def analysed(self, frame: Frame, people: int) -> None:
        """Count one frame."""
        self.frames += 1
        if self.frames == WARM_UP_FRAMES:
            self.steady_since = time.perf_counter()

    def per_second(self) -> float:
        """Steady frames/s until now."""
        return max(self.frames - WARM_UP_FRAMES, 0) / (time.perf_counter() - self.steady_since)


def bench(config: Config, rounds: int, baseline: str | None, twice: bool) -> Benchmark:
    """Measure the pipeline, the bare loop and, if wanted, a baseline, in turn, so that a slow moment hits all of them.

    Args:
        config: whose footage and settings are used; its database is left alone.
        rounds: how often each is measured.
        baseline: weights for `ultralytics track` (.pt is exported to OpenVINO first), or None.
        twice: also measure the peak memory with every camera's footage given twice.

    Raises:
        WeightsError: the baseline's weights are missing, or ultralytics cannot read them.
    """
    with tempfile.TemporaryDirectory() as folder:
        ways = [partial(_pipeline, config), partial(_bare, config)]
        if baseline is not None:
            ways.append(partial(_baseline, config, _exported(baseline, Path(folder))))
        measured = [[_in_own_process(way) for way in ways] for _ in range(rounds)]
        growth = None
        if twice:
            doubled = _in_own_process(partial(_pipeline, _given_twice(config, Path(folder))))
            growth = doubled.peak_mib / median(row[0].peak_mib for row in measured)
    rates = [[one.frames_per_second for one in row] for row in measured]
    return Benchmark(
        measured,
        of_bare=median(row[0] / row[1] for row in rates),
        of_baseline=None if baseline is None else median(row[0] / row[2] for row in rates),
        peak_growth=growth,
    )


def _in_own_process(way: Callable[[], Measurement]) -> Measurement:
    """A fresh process, so that memory peaks and warmed-up libraries do not leak from one measurement to the next."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(way).result()


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / KIB_PER_MIB / (KIB_PER_MIB if sys.platform == "darwin" else 1)  # macOS counts bytes


def _pipeline(config: Config) -> Measurement:
    from ..run import run

    rate = _Rate()
    with tempfile.TemporaryDirectory() as folder:
        own = config.model_copy(update={"database": str(Path(folder) / "bench.db")})
        outcome = run(own, own.model_dump_json(), rate, threading.Event())
    return Measurement("pipeline", rate.frames, rate.per_second(), _peak_mib(), outcome.stage_seconds)


def _bare(config: Config) -> Measurement:
    """The same decoding threads and the same detector as the pipeline's, and nothing else."""
    import os

    from ..run import open_sources
    from ..sources.time_order import CameraReader, in_time_order
    from ..stages.detect import detect_ahead, open_detector
    from ..stopwatch import Stopwatch

    sources, _ = open_sources(config)
    detector = open_detector(config.detector, config.threads or os.cpu_count() or 1)
    clock, stop, rate = Stopwatch(), threading.Event(), _Rate()
    readers = [CameraReader(source, stop, clock) for source in sources.values()]
    for frame, people in detect_ahead(in_time_order(readers), detector, config.detector.batch, clock):
        rate.analysed(frame, len(people))
    return Measurement("bare", rate.frames, rate.per_second(), _peak_mib(), clock.seconds)


def _baseline(config: Config, weights: str) -> Measurement:
    """`ultralytics track`, ByteTrack, no ReID, one camera after the other, as its users run it."""
    from ...trackers import silence_ultralytics

    silence_ultralytics()
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
    return Measurement("baseline", rate.frames, steady / steady_seconds, _peak_mib())


def _exported(weights: str, folder: Path) -> str:
    """The baseline's weights as it would run them fastest on a processor: exported to OpenVINO if they are not yet."""
    if not Path(weights).exists():
        raise WeightsError(f"{weights}: no such weights of the baseline: name a .pt file or an exported network")
    from ...trackers import silence_ultralytics

    silence_ultralytics()
    import shutil

    from ultralytics import YOLO

    from ..stages.detect_ultralytics import LOADING_ERRORS

    is_exported = not weights.endswith(".pt")
    own = weights if is_exported else shutil.copy(weights, folder / Path(weights).name)  # the export lands beside it
    try:
        model = YOLO(own, task="detect")
        dict(model.names)  # exported networks are opened only now
    except LOADING_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{weights}: ultralytics cannot load the baseline ({reason})") from error
    return weights if is_exported else str(model.export(format="openvino", verbose=False))


def _given_twice(config: Config, folder: Path) -> Config:
    """The same cameras with their footage as two segments, one after the other."""
    cameras = {}
    for name, camera in config.cameras.items():
        source = Path(camera.source)
        for part in (1, 2):
            (folder / f"{name}-{part}{source.suffix}").symlink_to(source.resolve())
        cameras[name] = camera.model_copy(update={"source": str(folder / f"{name}-*{source.suffix}")})
    return config.model_copy(update={"cameras": cameras})
