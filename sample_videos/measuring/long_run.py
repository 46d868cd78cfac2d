"""A long day from short clips: everybody comes back again and again, and nothing is recorded in between.

Shows that a run neither slows down nor grows, and that people keep their identity over hours.
"""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import psutil
import yaml

from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.listener import Silent
from reidpipe.pipeline.run import run_pipeline
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame

HOUR_SECONDS = 3600.0
DATABASE_FILES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Hour:
    """What one hour of footage cost.

    Attributes:
        hour: 1-based.
        frames: analysed.
        wall_seconds: of the hour.
        linking_seconds: of these, busy with linking.
        peak_mib: highest memory of all processes of the run together (proportional set size).
        database_mib: size at the end of the hour.
    """

    hour: int
    frames: int
    wall_seconds: float
    linking_seconds: float
    peak_mib: float
    database_mib: float


def write_long_footage(config: Path, truth: Path, out: Path, hours: float, every_seconds: float) -> Iterator[str]:
    """Repeat the clips of a config, and their ground truth, with advancing time; yields each camera when it is written.

    Args:
        config: of cameras that are video files.
        truth: folder with CAMERA.csv.
        out: for the videos, `store.yaml` and the folder `truth`.
        hours: of footage.
        every_seconds: between the beginnings of two repetitions.
    """
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    (out / "truth").mkdir(parents=True, exist_ok=True)
    repeats = int(hours * HOUR_SECONDS // every_seconds)
    for name, camera in content["cameras"].items():
        frames = _repeat_video(config.parent / camera["source"], out / f"{name}.mp4", repeats, every_seconds)
        _repeat_truth(truth / f"{name}.csv", out / "truth" / f"{name}.csv", repeats, every_seconds, frames)
        camera["source"] = f"{name}.mp4"
        yield name
    content["database"] = "store.db"
    (out / "store.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _repeat_video(clip: Path, path: Path, repeats: int, every_seconds: float) -> int:
    """Copy a clip's packets again and again; returns how many frames it has."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        time_base = stream.time_base
        assert time_base is not None
        for repeat in range(repeats):
            source.seek(0)
            later = round(repeat * every_seconds / time_base)
            for packet in source.demux(stream):
                if packet.dts is None or packet.pts is None:  # the end
                    continue
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = copy
                target.mux(packet)
        return stream.frames


def _repeat_truth(truth: Path, path: Path, repeats: int, every_seconds: float, frames: int) -> None:
    with truth.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or []), list(reader)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for repeat in range(repeats):
            writer.writerows(
                row | {"frame": int(row["frame"]) + repeat * frames,
                       "seconds": f"{float(row['seconds']) + repeat * every_seconds:.3f}"} for row in rows)


class _Meter(Silent):
    """Notes the cost of every hour of footage."""

    def __init__(self, database: Path, clock: Stopwatch) -> None:
        self.hours: list[Hour] = []
        self._database, self._clock = database, clock
        self._began_seconds, self._frames, self._peak_mib = -1.0, 0, 0.0
        self._before = time.perf_counter(), 0.0

    def analysed(self, frame: Frame, people: int) -> None:
        if self._began_seconds < 0:
            self._began_seconds = frame.seconds
        if frame.seconds >= self._began_seconds + (len(self.hours) + 1) * HOUR_SECONDS:
            self.close_hour()
        self._frames += 1

    def sample_memory(self) -> None:
        """Note the memory of this process and its children."""
        own = psutil.Process()
        pss = 0
        for process in (own, *own.children(recursive=True)):
            try:
                pss += process.memory_full_info().pss
            except psutil.NoSuchProcess:  # a decoder that has just ended
                continue
        self._peak_mib = max(self._peak_mib, pss / 2**20)

    def close_hour(self) -> None:
        """The hour is over, or the footage."""
        self.sample_memory()
        now = time.perf_counter(), self._clock.seconds.get("link", 0.0)
        files = [self._database.with_name(self._database.name + ending) for ending in DATABASE_FILES]
        self.hours.append(Hour(
            len(self.hours) + 1, self._frames, now[0] - self._before[0], now[1] - self._before[1], self._peak_mib,
            sum(file.stat().st_size for file in files if file.exists()) / 2**20))
        self._before, self._frames, self._peak_mib = now, 0, 0.0


def measure_run(config_path: Path, out: Path) -> Mapping[str, object]:
    """Run a config; write `long_run.json` and `long_run.png`, what every hour of footage cost.

    Args:
        config_path: its database must be a new SQLite file.
        out: folder for the results.
    """
    config, clock, ended = load_config(config_path), Stopwatch(), threading.Event()
    meter = _Meter(Path(config.database), clock)

    def sample() -> None:
        while not ended.wait(1.0):
            meter.sample_memory()

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        outcome = run_pipeline(config, meter, threading.Event(), clock=clock)
    finally:
        ended.set()
        sampler.join()
    meter.close_hour()
    result: dict[str, object] = {
        "frames": sum(one.frames for one in meter.hours), "seconds": outcome.seconds,
        "observations": outcome.observations, "tracklets": outcome.tracklets, "identities": outcome.identities,
        "undecided": outcome.undecided, "stage_seconds": outcome.stage_seconds,
        "hours": [asdict(one) for one in meter.hours]}
    (out / "long_run.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _draw(meter.hours, out / "long_run.png")
    return result


def _draw(hours: list[Hour], path: Path) -> None:
    from matplotlib.figure import Figure  # heavy; used this way it needs no display

    figure = Figure((11, 6), 100, layout="constrained")
    number = [one.hour for one in hours]
    panels = (
        ("analysed frames per second", [one.frames / one.wall_seconds for one in hours]),
        ("linking, ms per analysed frame", [1000 * one.linking_seconds / max(one.frames, 1) for one in hours]),
        ("memory of all processes, MiB, peak", [one.peak_mib for one in hours]),
        ("database, MiB", [one.database_mib for one in hours]))
    for axes, (title, values) in zip(figure.subplots(2, 2).ravel(), panels, strict=True):
        axes.bar(number, values, color="C0")
        axes.set(title=title, xlabel="hour of footage", xticks=number)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
