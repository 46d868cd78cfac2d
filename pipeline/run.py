"""The main pipeline: footage of several cameras in; observations, tracklets and identities in the database out."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import supervision as sv

from ..reid.files import MODES
from ..trackers import TRACKERS, Tracker, TrackerSettings
from .config.schema import Config
from .linking.linker import BATCH_SECONDS, Linker
from .listener import RunListener
from .prepare import prepare
from .sources.counts import camera_report
from .sources.opening import Source
from .sources.time_order import CameraReader, in_time_order
from .stages.detect import detect_ahead
from .stages.embed import EmbedStage
from .stages.tracklet_builder import TrackletBuilder
from .stopwatch import Stopwatch
from .storage.queries import find_run
from .storage.store import CameraRow, Store
from .storage.writer import RunWriter
from .types import CameraReport, Crop, Frame, Tracklet


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        run: its number in the database.
        interrupted: whether it was stopped before the end of the footage.
        status: "complete", or "partial" if a camera failed, footage was damaged or the run was interrupted.
        cameras: one report per camera, in the config's order.
        observations, tracklets, identities: how many were stored.
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
        embedding = EmbedStage(embedder, config.appearance, clock)
        linker = Linker(config.linking, list(config.cameras), embedder.dimensions)
        cameras = {name: _Camera(config, source) for name, source in sources.items()}
        stages = _Stages(cameras, embedding, linker, writer, clock)
        try:
            readers = [CameraReader(source, stop, clock, config.sources.stall_seconds) for source in sources.values()]
            frames = in_time_order(readers)
            for frame, people in detect_ahead(frames, detector, config.detector.batch, clock):
                listener.analysed(frame, stages.process(frame, people))
            stages.finish()
            interrupted = stop.is_set()
        finally:
            stop.set()  # on an error the decoding threads must end too
            embedding.shut_down()
        reports = failed | stages.reports()
        for report in reports.values():
            writer.report(report)
        complete = all(report.status == "complete" for report in reports.values())
        status: Literal["complete", "partial"] = "complete" if complete else "partial"
        writer.finish(status)
        identities = find_run(store, writer.run).people
    return Outcome(
        run=writer.run,
        interrupted=interrupted,
        status=status,
        cameras=[reports[name] for name in config.cameras],
        observations=stages.observations,
        tracklets=stages.tracklets,
        identities=identities,
        seconds=time.perf_counter() - began,
        stage_seconds=clock.seconds,
    )


class _Camera:
    """The stages of one camera, and how many of its frames went through them."""

    def __init__(self, config: Config, source: Source) -> None:
        camera, tracker = config.cameras[source.camera], config.tracker
        rate = min(source.fps / camera.every, camera.fps or math.inf)  # analysed frames per second
        settings = TrackerSettings(
            tracker.new_track_confidence,
            tracker.high_confidence,
            tracker.low_confidence,
            tracker.match_cost,
            lost_seconds=max(tracker.lost_seconds, 2 / rate),  # at any rate, a track survives one missed frame
        )
        homography = None if camera.homography is None else np.array(camera.homography)
        self.source = source
        self.tracker: Tracker = TRACKERS[tracker.name](settings)
        self.builder = TrackletBuilder(source.camera, config.appearance, homography)
        self.analysed = 0


class _Stages:
    """The stages after detection, all run by one thread; only the embeddings are computed in another."""

    def __init__(
        self,
        cameras: Mapping[str, _Camera],
        embedding: EmbedStage,
        linker: Linker,
        writer: RunWriter,
        clock: Stopwatch,
    ) -> None:
        self._cameras, self._embedding, self._linker = cameras, embedding, linker
        self._writer, self._clock = writer, clock
        self._unlinked: list[Tracklet] = []  # without their images
        self._link_at_seconds = -math.inf
        self.observations = self.tracklets = 0

    def process(self, frame: Frame, people: sv.Detections) -> int:
        """Take one frame's detections through all stages; returns how many people are tracked in it."""
        camera = self._cameras[frame.camera]
        with self._clock.stage("track"):
            tracked = camera.tracker.update(people, frame.seconds)
            observations, crops = camera.builder.update(frame, tracked)
        self._writer.add_observations(observations)
        self.observations += len(observations.track_ids)
        camera.analysed += 1
        for track_id, crop in crops:
            self._embedding.add((frame.camera, track_id), crop)
        self._close(frame.camera, camera.builder.close(camera.tracker.open_ids))
        self._store_tracklets()
        if frame.seconds >= self._link_at_seconds:
            self._link(frame.seconds)
        return len(observations.track_ids)

    def finish(self) -> None:
        """Close all tracks, wait for the last embeddings, and make all links final."""
        for name, camera in self._cameras.items():
            self._close(name, camera.builder.close(open_ids=()))
        self._store_tracklets(flush=True)
        self._link(self._link_at_seconds)
        with self._clock.stage("link"):
            self._writer.add_links(self._linker.finish())
        self._writer.settle_links()

    def reports(self) -> dict[str, CameraReport]:
        """One report per camera; call it when the decoding threads have ended."""
        return {name: camera_report(camera.source.counts, camera.analysed) for name, camera in self._cameras.items()}

    def _close(self, camera: str, closed: Iterable[tuple[int, Crop | None]]) -> None:
        for track_id, last_crop in closed:
            if last_crop is not None:
                self._embedding.add((camera, track_id), last_crop)
            self._embedding.close((camera, track_id))

    def _store_tracklets(self, flush: bool = False) -> None:
        for embedded in self._embedding.finished(flush):
            camera, track_id = embedded.key
            tracklet = self._cameras[camera].builder.build(track_id, embedded.crops, embedded.appearance)
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


def _camera_row(config: Config, name: str, source: Source | None) -> CameraRow:
    camera = config.cameras[name]
    written = config.as_written()["cameras"][name]["source"]
    if source is None:
        return CameraRow(name, written, 0, 0, 0.0, 0.0, camera.homography)
    return CameraRow(
        name, written, source.width, source.height, source.fps, source.start_seconds, camera.homography
    )
