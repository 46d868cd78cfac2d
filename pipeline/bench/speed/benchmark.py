"""Benchmark speed and peak memory of the whole pipeline against a bare loop that only decodes and detects."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from ...config.schema import Config
from ...errors import ConfigError, WeightsError
from ...trust import require_data_only
from ...types import CameraReport, Frame
from ..own_process import in_own_process
from ..process_memory import PeakMemory, largest_child_mib

PROGRAM = ".venv/bin/reidpipe"  # of other code
WARM_UP_FRAMES = 16  # excluded from the rate: networks compile and caches fill during them


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pass over the footage, in a process of its own.

    Attributes:
        what: "pipeline", "float" (the pipeline with the float detector), "bare" (decode and detect only), "before"
            (the pipeline of other code), or "baseline NAME" (ultralytics track with ByteTrack).
        frames: number of frames analysed.
        frames_per_second: steady rate, without loading and warm-up.
        peak_mib: peak memory of the process and all that it started, as `PeakMemory` counts it, MiB.
        stage_seconds: busy seconds per stage, summed over all threads.
        first_frame_seconds: from the beginning of the run, with its imports, to the first analysed frame; 0 if unknown.
    """

    what: str
    frames: int
    frames_per_second: float
    peak_mib: float
    stage_seconds: dict[str, float] = field(default_factory=dict)
    first_frame_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """The pipeline with another number of cameras or threads.

    Attributes:
        cameras: the config's cameras, repeated where there are more.
        threads: of each network.
        frames: number of frames analysed: of more cameras more, so that each shows as much of its footage.
        frames_per_second: over all cameras.
        peak_mib: as of `Measurement`.
    """

    cameras: int
    threads: int
    frames: int
    frames_per_second: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All measurements of one benchmark, and their ratios; each ratio is the median over the rounds.

    Attributes:
        rounds: the measurements of each round, in order.
        ratios: frames/s of the pipeline relative to each other kind of measurement.
        peak_growth: peak memory with the footage played twice, relative to once; None if not measured.
        scaling: with other numbers of cameras and threads.
    """

    rounds: list[list[Measurement]]
    ratios: dict[str, float]
    peak_growth: float | None
    scaling: list[Scaling] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured beside the pipeline and the bare loop.

    Attributes:
        rounds: measurements of each kind.
        frames: that every pass ends after, more if there are more cameras than in the config; None for all.
        with_float: also measure the pipeline with the float detector.
        before: folder of other code of this project, with its own .venv, or None.
        baselines: weights for `ultralytics track` (.pt is exported to OpenVINO first).
        twice: also measure peak memory with every camera's footage played twice.
        cameras, threads: numbers of cameras and threads to measure the pipeline with.
        trust_weights: whether weights of formats that can run programs may be loaded.
    """

    rounds: int = 3
    frames: int | None = None
    with_float: bool = False
    before: Path | None = None
    baselines: tuple[str, ...] = ()
    twice: bool = False
    cameras: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    trust_weights: bool = False


class _Rate:
    """A run listener that measures frames/s after the warm-up, and ends a run after some frames."""

    def __init__(self, frames: int | None) -> None:
        self.frames = 0
        self.began = time.perf_counter()
        self.first_seconds = self.steady_since = 0.0
        self.stop = threading.Event()
        self._most = math.inf if frames is None else frames

    def opened(self, sources: Mapping[str, object], reports: Mapping[str, CameraReport]) -> None:
        """Nothing to measure yet."""

    def analysed(self, frame: Frame, people: int) -> None:
        """Count one frame."""
        self.frames += 1
        if self.frames == 1:
            self.first_seconds = time.perf_counter() - self.began
        if self.frames == WARM_UP_FRAMES:
            self.steady_since = time.perf_counter()
        if self.frames >= self._most:
            self.stop.set()

    def per_second(self) -> float:
        """Frames/s since the warm-up."""
        return max(self.frames - WARM_UP_FRAMES, 0) / (time.perf_counter() - self.steady_since)


def benchmark_pipeline(config: Config, plan: Plan) -> Benchmark:
    """Measure the pipeline, the bare loop and baselines, in turns, so that other load affects all of them.

    Args:
        config: footage and settings; its database is not touched.
        plan: what is measured.

    Raises:
        WeightsError: a baseline's weights are missing or not trusted, or ultralytics cannot read them.
        ConfigError: the other code cannot be run, or the footage is too short.
    """
    if plan.before is not None and not os.access(plan.before / PROGRAM, os.X_OK):
        raise ConfigError(f"--before: {plan.before} has no {PROGRAM} that can be run: give a checkout with its .venv")
    with tempfile.TemporaryDirectory() as folder:
        passes = [partial(_pipeline, config, plan), partial(_bare, config, plan)]
        if plan.with_float:
            detector = config.detector.model_copy(update={"precision": "float"})
            passes.append(partial(_pipeline, config.model_copy(update={"detector": detector}), plan, "float"))
        for weights in plan.baselines:
            exported = _exported(weights, Path(folder), plan.trust_weights)
            passes.append(partial(_baseline, config, exported, plan.frames, f"baseline {Path(weights).name}"))
        if plan.before is not None:
            passes.append(partial(_before, config, plan.before, plan.frames, Path(folder)))
        measured = [[in_own_process(measure) for measure in passes] for _ in range(plan.rounds)]
        growth = None
        if plan.twice:
            doubled = in_own_process(partial(_pipeline, _played_twice(config, Path(folder)), plan))
            growth = doubled.peak_mib / median(row[0].peak_mib for row in measured)
    if not all(one.frames_per_second > 0 for row in measured for one in row):
        raise ConfigError(
            f"the footage is too short to measure: expected more than {WARM_UP_FRAMES} frames of each camera")
    ratios = {
        one.what: median(row[0].frames_per_second / row[place].frames_per_second for row in measured)
        for place, one in enumerate(measured[0]) if place}
    return Benchmark(measured, ratios, growth, _scaling(config, plan))


def _scaling(config: Config, plan: Plan) -> list[Scaling]:
    from ...running.prepare import network_threads

    numbers = [(cameras, 0) for cameras in plan.cameras] + [(len(config.cameras), threads) for threads in plan.threads]
    found = []
    for cameras, threads in numbers:
        own = _repeated(config, cameras).model_copy(update={"threads": threads or config.threads})
        most = None if plan.frames is None else plan.frames * max(cameras, len(config.cameras)) // len(config.cameras)
        one = in_own_process(partial(_pipeline, own, replace(plan, frames=most)))
        found.append(Scaling(cameras, network_threads(own), one.frames, one.frames_per_second, one.peak_mib))
    return found


def _repeated(config: Config, count: int) -> Config:
    """The same config with another number of cameras."""
    names = list(islice(cycle(config.cameras), count))
    cameras = {f"{name}-{place}": config.cameras[name] for place, name in enumerate(names)}
    return config.model_copy(update={"cameras": cameras})


def _pipeline(config: Config, plan: Plan, what: str = "pipeline") -> Measurement:
    rate = _Rate(plan.frames)
    from ...sources.isolation.isolated_source import start_decoders

    if config.sources.isolate:
        start_decoders()  # as `reidpipe run` does
    from ...run import run_pipeline  # belongs to the time until the first frame

    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        own = config.model_copy(update={"database": str(Path(folder) / "bench.db")})
        outcome = run_pipeline(own, rate, rate.stop, plan.trust_weights)
        speed = rate.per_second()
    return Measurement(what, rate.frames, speed, memory.mib, outcome.stage_seconds, rate.first_seconds)


def _bare(config: Config, plan: Plan) -> Measurement:
    """Only the pipeline's decoding threads and its detector, in the same frames."""
    from ...running.prepare import network_threads, open_cameras
    from ...running.stages import quiet_scene
    from ...sources.time_order import CameraReader, in_time_order
    from ...stages.detection.detect import detect_ahead, open_detector
    from ...stopwatch import Stopwatch

    clock, rate = Stopwatch(), _Rate(plan.frames)
    with PeakMemory() as memory:
        sources, _ = open_cameras(config)
        detector = open_detector(config.detector, network_threads(config), plan.trust_weights)
        readers = [CameraReader(source, rate.stop, clock, quiet=quiet_scene(config)) for source in sources.values()]
        for frame, people in detect_ahead(in_time_order(readers), detector, config.detector.batch, clock):
            if not rate.stop.is_set():
                rate.analysed(frame, len(people))
        speed = rate.per_second()
    return Measurement("bare", rate.frames, speed, memory.mib, clock.seconds)


def _baseline(config: Config, weights: str, frames: int | None, what: str) -> Measurement:
    """`ultralytics track` with ByteTrack and without ReID, one camera after the other."""
    from ultralytics import YOLO

    per_camera = None if frames is None else max(WARM_UP_FRAMES + 2, frames // len(config.cameras))
    count, steady_frames, steady_seconds = 0, 0, 0.0
    with PeakMemory() as memory:
        model = YOLO(weights, task="detect")
        for camera in config.cameras.values():
            results = model.track(
                camera.source, stream=True, tracker="bytetrack.yaml", classes=[0], verbose=False, persist=False
            )
            since, own = time.perf_counter(), 0
            for own, _ in enumerate(islice(results, per_camera), 1):
                if own == WARM_UP_FRAMES:
                    since = time.perf_counter()
            count, steady_frames = count + own, steady_frames + max(own - WARM_UP_FRAMES, 0)
            steady_seconds += time.perf_counter() - since
    return Measurement(what, count, steady_frames / steady_seconds, memory.mib)


def _before(config: Config, code: Path, frames: int | None, folder: Path) -> Measurement:
    """The pipeline of other code: its speed as its own `reidpipe bench` measures it, its memory as it is here."""
    path = folder / "before.yaml"
    cameras = {name: camera.model_dump(mode="json", include={"source", "every", "fps"}, exclude_none=True)
               for name, camera in config.cameras.items()}
    path.write_text(json.dumps({"cameras": cameras, "database": str(folder / "before.db")}), encoding="utf-8")
    command = [str(code / PROGRAM), "bench", "--cameras", str(path), "--rounds", "1", "--json"]
    command += [] if frames is None else ["--frames", str(frames)]
    try:
        other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise ConfigError(f"--before: {code} has no {PROGRAM} that can be run ({error.strerror})") from error
    with other, PeakMemory(partial(largest_child_mib, other.pid)) as memory:  # a child is one pass over the footage
        output, errors = other.communicate()
    if other.returncode:
        raise ConfigError(f"--before: reidpipe of {code} failed: {' '.join(errors.split())}")
    one = json.loads(output)["rounds"][0][0]
    return Measurement(
        "before", one["frames"], one["frames_per_second"], memory.mib, one["stage_seconds"],
        one.get("first_frame_seconds", 0.0))


def _exported(weights: str, folder: Path, trust_weights: bool) -> str:
    """The baseline's weights in their fastest form on a CPU: .pt files are exported to OpenVINO."""
    if not Path(weights).exists():
        raise WeightsError(f"{weights}: no such baseline weights: expected a .pt file or an exported network")
    require_data_only("--baseline", weights, trust_weights)
    import shutil

    from ultralytics import YOLO

    from ...stages.detection.ultralytics_detector import LOADING_ERRORS, reason_of

    is_exported = not weights.endswith(".pt")
    own = weights if is_exported else shutil.copy(weights, folder / Path(weights).name)  # the export lands beside it
    try:
        model = YOLO(own, task="detect")
        dict(model.names)  # opens an exported network
    except LOADING_ERRORS as error:
        raise WeightsError(f"{weights}: ultralytics cannot load the baseline ({reason_of(error)})") from error
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
