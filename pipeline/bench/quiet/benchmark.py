"""Measure what is lost where frames that look the same as the last one are not searched (`detector.quiet_seconds`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ....trackers import Detections
from ...config.schema import Config
from ...evaluation.ground_truth import Boxes, Truth, read_truth, truth_files
from ...evaluation.metrics import identity_score
from ...evaluation.scene import camera_scene
from ...evaluation.tracking import MIN_VISIBLE
from ...running.prepare import network_threads, open_cameras
from ...running.stages import analysed_rate, quiet_scene
from ...sources.opening import Source
from ...sources.quiet import grey_of, grey_plane
from ...stages.detection.detect import Detector, open_detector
from ...stages.embed import CropEmbedder, open_embedder
from ...stages.track import TrackStage
from ...stopwatch import Stopwatch
from ...types import Frame, Image, Observations
from .variations import varied

SEEN_CONFIDENCE = 0.25  # a box of at least this confidence is a person whom full detection sees
MATCH_IOU = 0.5
LONGEST_PAUSE_FRAMES = 50  # that are kept in memory, and played to and fro
SHORTEST_PAUSE_FRAMES = 5


@dataclass(frozen=True, slots=True)
class QuietScore:
    """One camera's footage, searched in full and with quiet frames left out.

    Attributes:
        camera: its name.
        variation: how the footage was changed.
        frames, searched: how many there are, and how many of them were searched.
        people: boxes of full detection with confidence >= 0.25.
        lost: those of them without a box of any confidence at IoU >= 0.5 where quiet frames were left out.
        idf1_full, idf1_quiet: of the tracks against ground truth, in [0, 1]; None without ground truth.
        agreement: IDF1 of the tracks against those of full detection, in [0, 1]; None if there are none.
    """

    camera: str
    variation: str
    frames: int
    searched: int
    people: int
    lost: int
    idf1_full: float | None
    idf1_quiet: float | None
    agreement: float | None


@dataclass(slots=True)
class _Pass:
    """One camera's footage, tracked with all detections and with those of the frames that would be searched."""

    full: list[Observations] = field(default_factory=list)
    quiet: list[Observations] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    searched: int = 0
    people: int = 0
    lost: int = 0
    empty: list[Image] = field(default_factory=list)  # the longest stretch without anybody


def bench_quiet(
    config: Config, truth: Path | None, variations: Sequence[str], frames: int | None, pause_seconds: float,
    trust_weights: bool = False,
) -> list[QuietScore]:
    """Search every frame, and compare with what `detector.quiet_seconds` of the config would have found.

    Args:
        config: cameras and settings; its database is not touched.
        truth: folder of ground truth, or None.
        variations: as `varied` knows them; "pauses" includes "plain", and is left out for cameras that never show an
            empty scene.
        frames: of each camera, at most.
        pause_seconds: length of each of the pauses of "pauses".
        trust_weights: whether weights of formats that can run programs may be loaded.

    Raises:
        SourceError, WeightsError, ConfigError: as for a run.
    """
    detector = open_detector(config.detector, network_threads(config), trust_weights)
    embedder = open_embedder(config.appearance, network_threads(config))
    files = {} if truth is None else truth_files(truth, config.cameras)
    kinds = [one for one in variations if one not in ("plain", "pauses")]
    if {"plain", "pauses"} & {*variations}:  # pauses need to know when the scene is empty
        kinds.insert(0, "plain")
    if "pauses" in variations:
        kinds.append("pauses")
    scores = []
    for name in config.cameras:
        expected = read_truth(files[name], MIN_VISIBLE) if name in files else None
        empty: list[Image] = []
        for kind in kinds:
            alone = config.model_copy(update={"cameras": {name: config.cameras[name]}})
            source = open_cameras(alone)[0][name]
            if kind == "pauses" and not empty:
                continue
            footage = varied(islice(source.frames(threading.Event()), frames), kind, empty, pause_seconds)
            done = _measured(config, source, footage, detector, embedder)
            if kind == "plain":
                empty = done.empty
            scores.append(_score(name, kind, done, expected))
    return scores


def _measured(
    config: Config, source: Source, footage: Iterator[Frame], detector: Detector, embedder: CropEmbedder
) -> _Pass:
    result, latest, stretch = _Pass(), Detections.none(), list[Image]()
    quiet = quiet_scene(config)
    rate, size = analysed_rate(config, source), (source.width, source.height)
    full_stage, quiet_stage = (TrackStage(source.camera, config, rate, size, embedder, Stopwatch()) for _ in range(2))
    while batch := list(islice(footage, config.detector.batch)):
        for frame, people in zip(batch, detector.detect([frame.image for frame in batch]), strict=True):
            if quiet is None or not quiet.is_quiet(grey_plane(grey_of(frame.image)), frame.seconds):
                latest = people
                result.searched += 1
            result.frames.append(frame.index)
            seen, lost = _lost(people, latest)
            result.people, result.lost = result.people + seen, result.lost + lost
            stretch = [] if len(people) else [*stretch, frame.image][-LONGEST_PAUSE_FRAMES:]
            if len(stretch) >= max(SHORTEST_PAUSE_FRAMES, len(result.empty) + 1):
                result.empty = stretch
            result.full += full_stage.update(frame, people)[0]
            result.quiet += quiet_stage.update(frame, latest)[0]
    result.full += full_stage.finish()[0]
    result.quiet += quiet_stage.finish()[0]
    return result


def _lost(full: Detections, quiet: Detections) -> tuple[int, int]:
    """How many people full detection sees in a frame, and how many of them are missing."""
    seen = full.xyxy[full.confidence >= SEEN_CONFIDENCE]
    if not len(seen) or not len(quiet):
        return len(seen), len(seen)
    return len(seen), int((sv.box_iou_batch(seen, quiet.xyxy).max(1) < MATCH_IOU).sum())


def _score(camera: str, variation: str, done: _Pass, truth: Truth | None) -> QuietScore:
    full, quiet = _boxes(done.full), _boxes(done.quiet)
    counted = np.ones(len(full.frames), np.bool_)
    as_truth = Truth(full.frames, full.tracks.astype(np.str_), full.xyxy, full.xyxy, counted)
    idf1_full, idf1_quiet = (None if truth is None else _idf1(camera, truth, one, done.frames) for one in (full, quiet))
    return QuietScore(
        camera, variation, len(done.frames), done.searched, done.people, done.lost, idf1_full, idf1_quiet,
        agreement=_idf1(camera, as_truth, quiet, done.frames))


def _boxes(observations: Sequence[Observations]) -> Boxes:
    def column(name: str, shape: tuple[int, ...] = (0,)) -> NDArray[np.float64]:
        return np.concatenate([np.zeros(shape), *(getattr(one, name) for one in observations)])

    frames = np.concatenate([
        np.zeros(0, np.int64), *(np.full(len(one.track_ids), one.frame_index, np.int64) for one in observations)])
    tracks = column("track_ids").astype(np.int64)
    return Boxes(frames, tracks, tracks, column("confidence"), column("xyxy", (0, 4)))


def _idf1(camera: str, truth: Truth, boxes: Boxes, frames: Sequence[int]) -> float | None:
    scene = camera_scene(camera, truth, boxes, frames, {}, labelled_only=False)
    return identity_score(scene, scene.tracks + 1).idf1
