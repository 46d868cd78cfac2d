"""One identity's visits as one annotated video, in the order of time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ...config.cameras import CameraConfig
from ...corrections.identities import identity_names
from ...errors import SourceError
from ...output.video.paint import Painter
from ...output.video.render import camera_configs
from ...output.video.writer import VideoWriter
from ...sources.opening import open_source
from ...storage.store import Store
from ...types import Frame, Image
from ..database import Database
from ..jobs import Job, Jobs, Progress
from ..reads.boxes import boxes_by_frame
from ..reads.runs import cameras_of
from ..reads.tracklets import Visit, of_identity, visits_of
from .blur import blur_heads
from .footage import NOBODY

CLIP_WH = (1280, 720)
CLIP_FPS = 12
AROUND_SECONDS = 1.0  # shown before and after each visit
LONGEST_CLIP = 1800.0  # seconds of visits; the rest is left out


class Clips:
    """Makes clips in the background.

    Args:
        database: what is drawn.
        jobs: makes them.
        blur: whether heads are blurred.
    """

    def __init__(self, database: Database, jobs: Jobs, blur: bool) -> None:
        self._database, self._jobs, self._blur = database, jobs, blur

    def ask(self, store: Store, run: int, identity: int) -> Job:
        """The job of an identity's clip as it is now; it begins if there is none.

        Raises:
            CorrectionError: there is no such identity.
        """
        visits = visits_of(store, run, identity)
        work = partial(self._make, run, identity, visits)
        return self._jobs.ask(self._key(store, run, identity, visits), work)

    def file(self, store: Store, run: int, identity: int) -> Path | None:
        """The clip of an identity as it is now, if it is ready."""
        path = self._jobs.path(self._key(store, run, identity, visits_of(store, run, identity)))
        return path if path.exists() else None

    def _key(self, store: Store, run: int, identity: int, visits: list[Visit]) -> str:
        """What a clip depends on: a correction gives it other visits or another name."""
        sources = {name: config.source for name, config in camera_configs(store, run).items()}
        name = identity_names(store, run).get(identity)
        return f"clip 1, blur {self._blur}, {store.file}, {run}, {identity}, {name}, {visits}, {sources}"

    def _make(
        self, run: int, identity: int, visits: list[Visit], path: Path, progress: Progress, stop: threading.Event
    ) -> None:
        with self._database.reading() as store:
            configs = camera_configs(store, run)
            names = identity_names(store, run)
            cameras = {one.id: one.name for one in cameras_of(store, run)}
            boxes = {camera: boxes_by_frame(store, camera, of_identity(run, identity))
                     for camera in {one.camera for one in visits}}
            heads = {camera: boxes_by_frame(store, camera) for camera in boxes} if self._blur else {}
        footage = {camera: _Footage(cameras[camera], configs[cameras[camera]]) for camera in boxes}
        total, done, shown = sum(one.last_seconds - one.first_seconds for one in visits), 0.0, 0.0
        with VideoWriter(path, CLIP_WH, Fraction(CLIP_FPS), Path("the clip")) as writer:
            for visit in visits:
                own = footage[visit.camera]
                painter = Painter(cameras[visit.camera], CLIP_WH, own.rate, names)
                begin: float | None = None
                first, last = visit.first_seconds - AROUND_SECONDS, visit.last_seconds + AROUND_SECONDS
                for frame in own.between(first, min(last, first + LONGEST_CLIP - shown), stop):
                    begin = frame.seconds if begin is None else begin
                    image = frame.image if not heads else blur_heads(
                        frame.image, heads[visit.camera].get(frame.index, NOBODY))
                    own_boxes = boxes[visit.camera].get(frame.index, NOBODY)
                    _paint(painter, image, own_boxes, identity, frame.seconds, writer, shown + frame.seconds - begin)
                    progress((done + frame.seconds - visit.first_seconds) / max(total, 1.0))
                done += visit.last_seconds - visit.first_seconds
                shown += 0.0 if begin is None else last - begin + 1 / CLIP_FPS
                if shown >= LONGEST_CLIP or stop.is_set():
                    break
        if not writer.frames and not stop.is_set():
            raise SourceError("no frame of the visits is left in the footage")


class _Footage:
    """One camera's footage, decoded once: the visits to it are asked for in the order of time."""

    def __init__(self, camera: str, config: CameraConfig) -> None:
        source = open_source(camera, config)
        self.rate = min(source.fps / config.every, config.fps or source.fps)
        self._source = source
        self._frames: Iterator[Frame] | None = None
        self._next: Frame | None = None

    def between(self, first: float, last: float, stop: threading.Event) -> Iterator[Frame]:
        """The frames from one second to another, UTC epoch."""
        if self._frames is None:
            self._frames = self._source.frames(stop)
            self._next = next(self._frames, None)
        while self._next is not None and self._next.seconds <= last:
            if self._next.seconds >= first:
                yield self._next
            self._next = next(self._frames, None)


def _paint(
    painter: Painter, image: Image, xyxy: NDArray[np.float32], identity: int, seconds: float, writer: VideoWriter,
    at: float,
) -> None:
    """Fit a frame into the clip, draw the identity's box, and write it."""
    height, width = image.shape[:2]
    scale = min(CLIP_WH[0] / width, CLIP_WH[1] / height)
    size = round(width * scale), round(height * scale)
    left, top = (CLIP_WH[0] - size[0]) // 2, (CLIP_WH[1] - size[1]) // 2
    canvas = np.zeros((CLIP_WH[1], CLIP_WH[0], 3), np.uint8)
    canvas[top:top + size[1], left:left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    moved = xyxy * np.float32(scale) + np.array([left, top, left, top], np.float32)
    count = len(moved)
    painter.paint(canvas, sv.Detections(
        xyxy=moved.astype(np.float32), confidence=np.ones(count, np.float32),
        class_id=np.full(count, identity, np.int64), tracker_id=np.full(count, identity, np.int64)), seconds)
    writer.write(canvas, at)
