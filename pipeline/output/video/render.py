"""Render a run's results as videos: one per camera, and a mosaic of all cameras side by side."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import supervision as sv
from pydantic import ValidationError

from ....reid.disk.files import Modes, make_folder, replacing
from ....reid.wording import did_you_mean
from ...config.cameras import CameraConfig
from ...config.references import expand
from ...corrections.identities import identity_names
from ...credentials import remember_secrets
from ...errors import ConfigError, SourceError, StoreError
from ...listener import RunListener, Silent
from ...running.inputs import guard_of_run, modes_of_run
from ...sources.opening import Source, open_source
from ...sources.time_order import CameraReader, in_time_order
from ...stopwatch import Stopwatch
from ...storage.queries import ObservationRow, observation_rows
from ...storage.runs import CameraSummary, list_cameras, run_config, run_number
from ...storage.store import Store
from ...types import CameraReport, Frame
from ..camera_files import camera_stems
from .mosaic import Mosaic, shrunk
from .paint import Painter
from .writer import VideoWriter, is_own_video

MOSAIC = "mosaic"
SLACK_SECONDS = 1.0  # boxes and frames are matched by index; a corrected clock may shift times a little


@dataclass(frozen=True, slots=True)
class RenderedCamera:
    """The result for one camera.

    Attributes:
        camera: the camera's name.
        path: its video; None where there is none.
        frames: number of frames in it.
        error: why there is no video, or what is missing in it; empty otherwise.
    """

    camera: str
    path: Path | None
    frames: int
    error: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """The result of rendering a run.

    Attributes:
        run: the run's number.
        cameras: the rendered cameras in the order of the run's config.
        mosaic: the video of all cameras; None where none was requested.
        mosaic_frames: number of frames in it.
        seconds: elapsed wall-clock time.
    """

    run: int
    cameras: list[RenderedCamera]
    mosaic: Path | None
    mosaic_frames: int
    seconds: float


class _View(NamedTuple):
    """One camera's footage, frames per second, painter and video."""

    source: Source
    rate: float
    painter: Painter
    writer: VideoWriter


def render_run(
    store: Store, folder: Path, run: int | None = None, only: Sequence[str] = (), with_mosaic: bool = True,
    listener: RunListener | None = None, inputs: Sequence[Path] = (), force: bool = False,
) -> Rendering:
    """Draw a run's boxes and identities into its footage; every video is written whole or not at all.

    A camera whose footage is missing is left out, and one whose footage ends early gets a shorter video; its `error`
    gives the reason.

    Args:
        store: the database.
        folder: output folder, created if it does not exist; holds `<camera>.mp4` and `mosaic.mp4`.
        run: the run's number; the newest by default.
        only: names of the cameras to render; all by default.
        with_mosaic: also render the mosaic.
        listener: receives the progress.
        inputs: files that must not be replaced, beside the database and the footage and weights of its runs.
        force: replace a file that is not an earlier video of this program, too.

    Raises:
        StoreError: there is no such run.
        ConfigError: the run has no such camera.
        SourceError: no camera's footage can be opened.
        OutputError: a video cannot be written, or must not replace the file in its place.
    """
    began, listener = time.perf_counter(), listener or Silent()
    number = run_number(store, run)
    summaries = list_cameras(store, number)
    wanted = _wanted(summaries, only)
    opened, failed = _open_footage(wanted, camera_configs(store, number))
    paths, mosaic_path = _paths(folder, [camera.camera for camera in summaries])
    guard, modes = guard_of_run(store, number, inputs, force), modes_of_run(store, number)
    people = identity_names(store, number)
    for path in (*(paths[name] for name in opened), *([mosaic_path] if with_mosaic else [])):
        guard.check(path, is_own_video)
    make_folder(folder, modes, parents=False)  # a missing parent is more likely a typing error
    listener.opened({name: source for name, (source, _) in opened.items()}, failed)
    with ExitStack() as outputs:
        views = {
            name: _view(outputs, source, rate, paths[name], modes, people)
            for name, (source, rate) in opened.items()}
        board = _Board(outputs, views, mosaic_path, modes, people) if with_mosaic else None
        boxes = _Boxes(observation_rows(store, number), views)
        _draw(views, board, boxes, listener)
    cameras = [
        RenderedCamera(name, paths[name], views[name].writer.frames, views[name].source.counts.error)
        if name in views else RenderedCamera(name, None, 0, failed[name].error)
        for name in (camera.camera for camera in wanted)]
    return Rendering(
        number, cameras, mosaic_path if board else None, board.writer.frames if board else 0,
        time.perf_counter() - began)


class _Boxes:
    """A run's boxes, streamed from the database frame by frame.

    Args:
        rows: all boxes of the run in time order.
        cameras: the cameras to render.
    """

    def __init__(self, rows: Iterator[ObservationRow], cameras: Iterable[str]) -> None:
        self._rows = rows
        self._waiting: dict[str, deque[ObservationRow]] = {camera: deque() for camera in cameras}
        self._next = next(rows, None)

    def of(self, frame: Frame) -> sv.Detections:
        """The people of a frame, as a painter takes them. Call it in time order."""
        while self._next is not None and self._next.seconds <= frame.seconds + SLACK_SECONDS:
            if self._next.camera in self._waiting:
                self._waiting[self._next.camera].append(self._next)
            self._next = next(self._rows, None)
        waiting, found = self._waiting[frame.camera], list[ObservationRow]()
        while waiting and waiting[0].frame <= frame.index:
            row = waiting.popleft()
            if row.frame == frame.index:
                found.append(row)
        return sv.Detections(
            xyxy=np.array([row[5:9] for row in found], np.float32).reshape(-1, 4),
            confidence=np.array([row.confidence for row in found], np.float32),
            class_id=np.array([row.identity or 0 for row in found], np.int64),
            tracker_id=np.array([row.track for row in found], np.int64))


class _Board:
    """The mosaic, a painter for each of its tiles, and its video."""

    def __init__(
        self, outputs: ExitStack, views: dict[str, _View], path: Path, modes: Modes, people: dict[int, str]
    ) -> None:
        self._mosaic = Mosaic(
            {name: (view.source.width, view.source.height) for name, view in views.items()},
            {name: view.rate for name, view in views.items()})
        tiles = self._mosaic.tiles
        self._painters = {
            name: Painter(name, (tiles[name].width, tiles[name].height), view.rate, people)
            for name, view in views.items()}
        self.writer = _writer(outputs, path, self._mosaic.size_wh, self._mosaic.fps, modes)

    def show(self, frame: Frame, people: sv.Detections) -> None:
        """Add a frame that nothing is drawn into yet: text is only sharp if it is drawn at the tile's size."""
        for image in self._mosaic.until(frame.seconds):
            self.writer.write(image, float(self.writer.frames / self._mosaic.fps))
        tile = self._mosaic.tiles[frame.camera]
        image = shrunk(frame.image, tile)
        small = replace(people, xyxy=people.xyxy * np.float32(tile.width / frame.image.shape[1]))
        self._painters[frame.camera].paint(image, small, frame.seconds)
        self._mosaic.show(frame.camera, image, frame.seconds)

    def finish(self) -> None:
        """Write the remaining frames."""
        for image in self._mosaic.last():
            self.writer.write(image, float(self.writer.frames / self._mosaic.fps))


def _draw(views: dict[str, _View], board: _Board | None, boxes: _Boxes, listener: RunListener) -> None:
    stop = threading.Event()
    clock = Stopwatch()
    first_seconds: dict[str, float] = {}
    try:
        readers = [CameraReader(view.source, stop, clock) for view in views.values()]
        for frame in in_time_order(readers):
            people = boxes.of(frame)
            if board:
                board.show(frame, people)
            view = views[frame.camera]
            view.painter.paint(frame.image, people, frame.seconds)
            view.writer.write(frame.image, frame.seconds - first_seconds.setdefault(frame.camera, frame.seconds))
            listener.analysed(frame, len(people))
        if board:
            board.finish()
    finally:
        stop.set()  # after an error, the decoding threads must end, too


def _wanted(cameras: list[CameraSummary], only: Sequence[str]) -> list[CameraSummary]:
    names = [camera.camera for camera in cameras]
    for name in only:
        if name not in names:
            near = did_you_mean(name, names) or f"; it has {', '.join(names)}"
            raise ConfigError(f"the run has no camera {name}{near}")
    return [camera for camera in cameras if not only or camera.camera in only]


def camera_configs(store: Store, run: int) -> dict[str, CameraConfig]:
    """How the run read its footage: the same settings give every frame the same index again."""
    try:
        stored = expand(json.loads(run_config(store, run))["cameras"], Path())
        if stored.problems:
            place, problem = next(iter(stored.problems.items()))
            raise ConfigError(f"cameras.{'.'.join(place)}: {problem}")
        remember_secrets(stored.content)
        sections = cast(dict[str, object], stored.content)
        return {name: CameraConfig.model_validate(section) for name, section in sections.items()}
    except (ValueError, KeyError, ValidationError) as error:
        raise StoreError(f"{store.name}: the config of run {run} does not say how its footage was read: "
                         "run the pipeline again") from error


def _open_footage(
    cameras: list[CameraSummary], configs: dict[str, CameraConfig]
) -> tuple[dict[str, tuple[Source, float]], dict[str, CameraReport]]:
    """(source, analysed frames per second) per camera, and reports of the cameras that cannot be opened."""
    opened: dict[str, tuple[Source, float]] = {}
    failed: dict[str, CameraReport] = {}
    for camera in cameras:
        name = camera.camera
        try:
            config = configs[name]
            source = open_source(name, config)
            if camera.width and (source.width, source.height) != (camera.width, camera.height):
                raise SourceError(f"camera {name}: {config.source} is {source.width}x{source.height}, but the run saw "
                                  f"{camera.width}x{camera.height}: it is other footage; run the pipeline again")
        except SourceError as error:
            failed[name] = CameraReport(name, status="failed", error=str(error))
            continue
        opened[name] = source, min(source.fps / config.every, config.fps or source.fps)
    if not opened:
        raise SourceError("; ".join(report.error for report in failed.values()))
    return opened, failed


def _paths(folder: Path, cameras: list[str]) -> tuple[dict[str, Path], Path]:
    """Every camera's file, and the mosaic's."""
    stems = camera_stems(cameras)
    mosaic = MOSAIC if MOSAIC not in stems.values() else f"{MOSAIC}_of_all"
    return {camera: folder / f"{stem}.mp4" for camera, stem in stems.items()}, folder / f"{mosaic}.mp4"


def _view(
    outputs: ExitStack, source: Source, rate: float, path: Path, modes: Modes, people: dict[int, str]
) -> _View:
    size_wh = source.width, source.height
    writer = _writer(outputs, path, size_wh, Fraction(rate).limit_denominator(1001), modes)
    return _View(source, rate, Painter(source.camera, size_wh, rate, people), writer)


def _writer(outputs: ExitStack, path: Path, size_wh: tuple[int, int], fps: Fraction, modes: Modes) -> VideoWriter:
    return outputs.enter_context(VideoWriter(outputs.enter_context(replacing(path, modes)), size_wh, fps, path))
