"""Compare the trackers on one store: every frame is decoded and detected once, then given to all of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.evaluation.tracking import Evaluation, evaluate_run
from reidpipe.pipeline.linking.linker import link_tracklets
from reidpipe.pipeline.running.prepare import network_threads, open_cameras
from reidpipe.pipeline.sources.time_order import CameraReader, in_time_order
from reidpipe.pipeline.stages.detection.detect import detect_ahead, open_detector
from reidpipe.pipeline.stages.embed import CropEmbedder, open_embedder
from reidpipe.pipeline.stages.track import TrackStage
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Frame, Observations, Tracklet
from reidpipe.reid import Appearance, concatenate

VARIANTS: dict[str, dict[str, object]] = {
    "ours, masked": {"name": "masked"},
    "ours, plain": {"name": "masked", "appearance": "plain"},
    "ours, no appearance": {"name": "masked", "appearance": "none"},
    "BoT-SORT": {"name": "botsort"},
    "ByteTrack": {"name": "bytetrack"},
    "OC-SORT": {"name": "ocsort"},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One tracker on one store.

    Attributes:
        variant: its name in VARIANTS.
        idf1, hota: of the tracks, mean over cameras, in [0, 1].
        switches, fragments, tracklets: over all cameras.
        purity: mean over tracklets, in [0, 1].
        ceiling: cross-camera IDF1 of perfect linking, in [0, 1].
        linked: cross-camera IDF1 of our linking, in [0, 1].
        crops: embedded.
        frames_per_second: of tracking alone, without detection and embedding.
    """

    variant: str
    idf1: float
    hota: float
    switches: int
    fragments: int
    tracklets: int
    purity: float
    ceiling: float
    linked: float
    crops: int
    frames_per_second: float


class _Remembering:
    """An embedder that computes each crop once, for all trackers."""

    def __init__(self, embedder: CropEmbedder) -> None:
        self._embedder, self._known = embedder, dict[bytes, Appearance]()

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        return self._embedder.dimensions

    @property
    def arithmetic(self) -> str:
        """As of the embedder."""
        return self._embedder.arithmetic

    def embed(self, crops: list[NDArray[np.uint8]]) -> Appearance:
        """As the embedder."""
        keys = [blake2b(crop.tobytes() + bytes(str(crop.shape), "ascii")).digest() for crop in crops]
        new = {key: crop for key, crop in zip(keys, crops, strict=True) if key not in self._known}
        if new:
            rows = self._embedder.embed(list(new.values()))
            self._known |= {key: rows[row : row + 1] for row, key in enumerate(new)}
        return concatenate([self._known[key] for key in keys])


class _Run:
    """One tracker on all cameras, and what it gave."""

    def __init__(self, config: Config, cameras: list[CameraRow], embedder: CropEmbedder) -> None:
        self.config, self.clock = config, Stopwatch()
        self.stages = {
            row.name: TrackStage(row.name, config, row.fps, (row.width, row.height), embedder, self.clock)
            for row in cameras}
        self.frames: list[Observations] = []
        self.tracklets: list[Tracklet] = []

    def take(self, done: tuple[list[Observations], list[Tracklet]]) -> None:
        """Keep what is settled."""
        self.frames += done[0]
        self.tracklets += done[1]

    def evaluate(self, cameras: list[CameraRow], truth: Path, folder: Path) -> Evaluation:
        """Link and score."""
        for stage in self.stages.values():
            self.take(stage.finish())
        with Store.open(folder / "run.db", create=True) as store:
            with store.start_run(json.dumps(self.config.as_written()), cameras) as writer:
                for frame in self.frames:
                    writer.add_observations(frame)
                for tracklet in self.tracklets:
                    writer.add_tracklet(tracklet)
                writer.add_links(link_tracklets(self.tracklets, self.config.linking))
            return evaluate_run(store, truth)


def compare_trackers(path: Path, truth: Path) -> Iterator[Row]:
    """Score every variant on the footage of a config, all of it analysed; its database is not touched.

    Args:
        path: the config; its `tracker` section is the base of every variant.
        truth: the folder with ground truth.
    """
    config = load_config(path)
    sources, _ = open_cameras(config)
    cameras = [
        CameraRow(name, "", source.width, source.height, source.fps, source.start_seconds,
                  config.cameras[name].homography) for name, source in sources.items()]
    threads = network_threads(config)
    embedder = _Remembering(open_embedder(config.appearance, threads))
    runs = {
        variant: _Run(config.model_copy(update={"tracker": config.tracker.model_copy(update=keys)}), cameras, embedder)
        for variant, keys in VARIANTS.items()}
    clock, stop, count = Stopwatch(), threading.Event(), 0
    readers = [CameraReader(source, stop, clock) for source in sources.values()]
    frames: Iterator[Frame] = in_time_order(readers)
    for frame, people in detect_ahead(frames, open_detector(config.detector, threads), config.detector.batch, clock):
        count += 1
        for run in runs.values():
            run.take(run.stages[frame.camera].update(frame, people))
    for variant, run in runs.items():
        with TemporaryDirectory() as folder:
            yield _row(variant, run, run.evaluate(cameras, truth, Path(folder)), count)


def _row(variant: str, run: _Run, scores: Evaluation, frames: int) -> Row:
    return Row(
        variant,
        float(np.mean([camera.tracking_idf1 or 0.0 for camera in scores.cameras])),
        float(np.mean([camera.tracking_hota or 0.0 for camera in scores.cameras])),
        sum(camera.switches for camera in scores.cameras), sum(camera.fragments for camera in scores.cameras),
        scores.tracklets.tracklets, scores.tracklets.purity or 0.0, scores.decomposition[1].idf1 or 0.0,
        scores.cross_idf1 or 0.0, sum(stage.crops for stage in run.stages.values()),
        frames / run.clock.seconds["track"])
