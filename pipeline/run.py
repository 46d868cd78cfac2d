"""The main pipeline: footage of several cameras in; observations, tracklets and identities in the database out."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import supervision as sv

from ..reid.files import MODES
from .config.schema import Config
from .linking.linker import BATCH_SECONDS, Linker
from .listener import RunListener
from .prepare import prepare
from .sources.counts import camera_report
from .sources.opening import Source
from .sources.time_order import CameraReader, in_time_order
from .stages.detect import detect_ahead
from .stages.embed import CropEmbedder
from .stages.track import TrackStage
from .stopwatch import Stopwatch
from .storage.queries import find_run
from .storage.store import CameraRow, Store
from .storage.writer import RunWriter
from .types import CameraReport, Frame, Observations, Tracklet


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        run: its number in the database.
        interrupted: whether it was stopped before the end of the footage.
        status: "complete", or "partial" if a camera failed, footage was damaged or the run was interrupted.
        cameras: one report per camera, in the config's order.
        observations, tracklets, identities: how many were stored; interpolated boxes do not count.
        undecided: tracklets without an identity, because they were seen too shortly or poorly.
        crops: how many crops were embedded.
        seconds: wall-clock time.
        stage_seconds: busy seconds per stage, summed over all threads.
    """

    run: int
    interrupted: bool
    status: str
    cameras: list[CameraReport]
    observations: int
    tracklets: int
    identities: int
    undecided: int
    crops: int
    seconds: float
    stage_seconds: dict[str, float]


def run_pipeline(
    config: Config, listener: RunListener, stop: threading.Event, trust_weights: bool = False
) -> Outcome:
    """Process all footage of a config and store the results.

    Args:
        config: validated, with resolved paths.
        listener: informed of progress.
        stop: set it to end early; finished work is stored, and the run is marked as partial.
        trust_weights: whether weights of formats that can run programs may be loaded, such as ultralytics' .pt.

    Raises:
        SourceError: no camera's footage can be opened.
        WeightsError: a model cannot be loaded.
        StoreError: the database cannot be opened or written.
    """
    began, clock = time.perf_counter(), Stopwatch()
    prepared = prepare(config, trust_weights)
    sources, failed, detector, embedder = prepared.ready()
    listener.opened(sources, failed)
    camera_rows = [_camera_row(config, name, sources.get(name)) for name in config.cameras]
    with (
        Store.open(config.database, create=True, modes=MODES[config.access]) as store,
        store.start_run(json.dumps(config.as_written()), camera_rows) as writer,
    ):
        linker = Linker(config.linking, list(config.cameras), embedder.dimensions)
        stages = _Stages(config, sources, embedder, linker, writer, clock)
        try:
            readers = [CameraReader(source, stop, clock, config.sources.stall_seconds) for source in sources.values()]
            frames = in_time_order(readers)
            quiet_seconds = config.detector.quiet_seconds
            for frame, people in detect_ahead(frames, detector, config.detector.batch, clock, quiet_seconds):
                listener.analysed(frame, stages.process(frame, people))
            stages.finish()
            interrupted = stop.is_set()
        finally:
            stop.set()  # on an error the decoding threads must end too
        reports = failed | stages.reports()
        for report in reports.values():
            writer.report(report)
        complete = all(report.status == "complete" for report in reports.values())
        status: Literal["complete", "partial"] = "complete" if complete else "partial"
        writer.finish(status)
        stored = find_run(store, writer.run)
    return Outcome(
        run=writer.run,
        interrupted=interrupted,
        status=status,
        cameras=[reports[name] for name in config.cameras],
        observations=stages.observations,
        tracklets=stages.tracklets,
        identities=stored.people,
        undecided=stored.tracklets - stored.links,
        crops=stages.crops,
        seconds=time.perf_counter() - began,
        stage_seconds=clock.seconds,
    )


class _Stages:
    """The stages after detection, all run by one thread."""

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, Source],
        embedder: CropEmbedder,
        linker: Linker,
        writer: RunWriter,
        clock: Stopwatch,
    ) -> None:
        self._writer, self._sources, self._linker, self._clock = writer, sources, linker, clock
        self._cameras = {
            name: TrackStage(name, config, _rate(config, source), (source.width, source.height), embedder, clock)
            for name, source in sources.items()}
        self._unlinked: list[Tracklet] = []  # without their images
        self._link_at_seconds = -math.inf
        self.observations = self.tracklets = 0

    def process(self, frame: Frame, people: sv.Detections) -> int:
        """Take one frame's detections through all stages; returns how many people are tracked in it."""
        camera = self._cameras[frame.camera]
        self._store(*camera.update(frame, people))
        if frame.seconds >= self._link_at_seconds:
            self._link(frame.seconds)
        return camera.people

    def finish(self) -> None:
        """Settle the last frames, close all tracks, and make all links final."""
        for camera in self._cameras.values():
            self._store(*camera.finish())
        self._link(self._link_at_seconds)
        with self._clock.stage("link"):
            self._writer.add_links(self._linker.finish())
        self._writer.settle_links()

    def reports(self) -> dict[str, CameraReport]:
        """One report per camera; call it when the decoding threads have ended."""
        return {name: camera_report(source.counts, self._cameras[name].frames)
                for name, source in self._sources.items()}

    @property
    def crops(self) -> int:
        """How many crops were embedded."""
        return sum(camera.crops for camera in self._cameras.values())

    def _store(self, frames: list[Observations], tracklets: list[Tracklet]) -> None:
        for observations in frames:
            self._writer.add_observations(observations)
            self.observations += int((~observations.interpolated).sum())
        for tracklet in tracklets:
            self._writer.add_tracklet(tracklet)
            self.tracklets += 1
            self._unlinked.append(replace(tracklet, crops=[], crop_appearance=None))

    def _link(self, now_seconds: float) -> None:
        """Link the tracklets that have ended since the last time."""
        with self._clock.stage("link"):
            links = self._linker.add(self._unlinked, now_seconds)
        self._writer.add_links(links)
        self._unlinked = []
        self._link_at_seconds = now_seconds + BATCH_SECONDS


def _rate(config: Config, source: Source) -> float:
    """Analysed frames per second."""
    camera = config.cameras[source.camera]
    return min(source.fps / camera.every, camera.fps or math.inf)


def _camera_row(config: Config, name: str, source: Source | None) -> CameraRow:
    camera = config.cameras[name]
    written = config.as_written()["cameras"][name]["source"]
    if source is None:
        return CameraRow(name, written, 0, 0, 0.0, 0.0, camera.pixels_to_floor)
    return CameraRow(
        name, written, source.width, source.height, source.fps, source.start_seconds, camera.pixels_to_floor
    )
