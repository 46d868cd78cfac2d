"""The main job: footage of many cameras in; people, tracklets and identities in the database out."""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import supervision as sv

from ..trackers import TRACKERS, Tracker, TrackerSettings
from .config.schema import Config
from .errors import SourceError
from .linking.assignment import link_tracklets
from .listener import RunListener
from .sources.opening import Source, open_source
from .sources.time_order import CameraReader, in_time_order
from .stages.detect import Detector, detect_ahead, open_detector
from .stages.embed import Embeds, EmbedStage, open_embedder
from .stages.tracklet_builder import TrackletBuilder
from .stopwatch import Stopwatch
from .storage.store import CameraRow, Store
from .storage.writer import RunWriter
from .types import CameraReport, Frame, Link, Tracklet

PATIENCE = 1.5  # the builder waits longer than the tracker, so that it never closes a track that still lives


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did.

    Attributes:
        run: its number in the database.
        interrupted: whether somebody ended it before the footage did.
        status: "complete", or "partial" if a camera failed, footage broke or the run was interrupted.
        cameras: one report per camera of the config, in its order.
        observations, tracklets, identities: how many were stored.
        seconds: wall-clock time of the run.
        stage_seconds: busy seconds by stage, over all threads.
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


@dataclass(slots=True)
class _Camera:
    """One camera's state while it runs."""

    source: Source
    tracker: Tracker
    builder: TrackletBuilder


def run(config: Config, config_json: str, listener: RunListener, stop: threading.Event) -> Outcome:
    """Process all footage of a config and store the result.

    Args:
        config: checked, with resolved paths.
        config_json: the same, as it is kept with the run.
        listener: told how far the run has come.
        stop: set it to end early; what was done so far is stored, and the run marked as partial.

    Raises:
        SourceError: no camera's footage can be opened.
        WeightsError: a model cannot be loaded.
        StoreError: the database cannot be opened or written.
    """
    began = time.perf_counter()
    threads = config.threads or os.cpu_count() or 1
    sources, failed = open_sources(config)
    listener.opened(sources, failed)
    detector = open_detector(config.detector, threads)
    embedder = open_embedder(config.appearance, threads)
    clock = Stopwatch()
    with Store.open(config.database, create=True) as store:
        with store.start_run(config_json, [_camera_row(config, name, sources) for name in config.cameras]) as writer:
            job = Job(config, sources, detector, embedder, writer, clock)
            try:
                job.process(listener, stop)
                interrupted = stop.is_set()
                links = job.link()
            finally:
                stop.set()  # on an error the decoding threads must end too
                job.shut_down()
            reports = [job.report(name) if name in sources else failed[name] for name in config.cameras]
            for report in reports:
                writer.report(report)
            whole = all(report.status == "complete" for report in reports)
            status: Literal["complete", "partial"] = "complete" if whole else "partial"
            writer.finish(status)
        return Outcome(
            writer.run,
            interrupted,
            status,
            reports,
            job.observations,
            len(job.tracklets),
            len({link.identity for link in links}),
            time.perf_counter() - began,
            clock.seconds,
        )


def open_sources(config: Config) -> tuple[dict[str, Source], dict[str, CameraReport]]:
    """Open every camera; those that cannot be opened come back as failed reports.

    Raises:
        SourceError: not one camera could be opened.
    """
    sources: dict[str, Source] = {}
    failed: dict[str, CameraReport] = {}
    for name, camera in config.cameras.items():
        try:
            sources[name] = open_source(name, camera)
        except SourceError as error:
            failed[name] = CameraReport(name, status="failed", error=str(error))
    if not sources:
        raise SourceError("; ".join(report.error for report in failed.values()))
    return sources, failed


class Job:
    """One run's stages, from decoded frames to links; everything but decoding and the networks is in one thread."""

    def __init__(
        self,
        config: Config,
        sources: dict[str, Source],
        detector: Detector,
        embedder: Embeds,
        writer: RunWriter,
        clock: Stopwatch,
    ) -> None:
        self._config, self._detector, self._writer, self._clock = config, detector, writer, clock
        self._cameras = {name: _follow_camera(config, name, source) for name, source in sources.items()}
        self._embedding = EmbedStage(embedder, config.appearance, clock)
        self._unread: set[str] = set()
        self.observations = 0
        self.tracklets: list[Tracklet] = []

    def process(self, listener: RunListener, stop: threading.Event) -> None:
        """Take every frame through every stage up to finished tracklets."""
        readers = {name: CameraReader(camera.source, stop, self._clock) for name, camera in self._cameras.items()}
        frames = in_time_order(readers.values())
        for frame, people in detect_ahead(frames, self._detector, self._config.detector.batch, self._clock):
            listener.analysed(frame, self._analyse(frame, people))
        for camera in self._cameras.values():
            self._close_tracks(camera, math.inf)
        self._store_tracklets(flush=True)
        self._unread = {name for name, reader in readers.items() if not reader.finished}

    def link(self) -> list[Link]:
        """Give the tracklets their identities."""
        with self._clock.stage("link"):
            on_floor = {name for name, camera in self._config.cameras.items() if camera.homography is not None}
            links = link_tracklets(self.tracklets, self._config.linking, on_floor)
        self._writer.add_links(links)
        return links

    def report(self, name: str) -> CameraReport:
        """How one camera's footage was used, in the end."""
        report = self._cameras[name].source.report
        lost = report.decoded - report.analysed - report.thinned  # decoded, but the run ended before its turn
        if name in self._unread and report.status == "complete":
            return replace(report, dropped=lost, status="partial", error=f"camera {name}: stopped before its end")
        return replace(report, dropped=lost)

    def shut_down(self) -> None:
        """End the worker thread."""
        self._embedding.shut_down()

    def _analyse(self, frame: Frame, people: sv.Detections) -> int:
        """Track one frame's people and store them; returns how many are followed."""
        camera = self._cameras[frame.camera]
        with self._clock.stage("track"):
            observations, crops = camera.builder.follow(frame, camera.tracker.update(people))
        self._writer.add_observations(observations)
        self.observations += len(observations.track_ids)
        camera.source.report.analysed += 1
        for track, crop in crops:
            self._embedding.add(track, crop)
        self._close_tracks(camera, frame.seconds)
        self._store_tracklets()
        return len(observations.track_ids)

    def _close_tracks(self, camera: _Camera, now_seconds: float) -> None:
        for track, crop in camera.builder.finished(now_seconds):
            if crop is not None:
                self._embedding.add(track, crop)
            self._embedding.close(track)

    def _store_tracklets(self, flush: bool = False) -> None:
        for tracklet in self._embedding.tracklets(flush):
            self._writer.add_tracklet(tracklet)
            # Linking needs no pictures; keeping them would make memory grow with the footage.
            self.tracklets.append(replace(tracklet, crops=[], crop_appearance=None))


def _follow_camera(config: Config, name: str, source: Source) -> _Camera:
    camera, tracker = config.cameras[name], config.tracker
    rate = min(source.fps / camera.every, camera.fps or math.inf)
    settings = TrackerSettings(
        tracker.new_track_confidence,
        tracker.high_confidence,
        tracker.low_confidence,
        tracker.match_cost,
        lost_frames=max(1, round(tracker.lost_seconds * rate)),
    )
    homography = None if camera.homography is None else np.array(camera.homography)
    builder = TrackletBuilder(name, config.appearance, PATIENCE * tracker.lost_seconds, homography)
    return _Camera(source, TRACKERS[tracker.name](settings), builder)


def _camera_row(config: Config, name: str, sources: dict[str, Source]) -> CameraRow:
    camera, source = config.cameras[name], sources.get(name)
    if source is None:
        return CameraRow(name, camera.source, 0, 0, 0.0, 0.0, camera.homography)
    return CameraRow(
        name, camera.source, source.width, source.height, source.fps, source.start_seconds, camera.homography
    )
