"""The footage of a run as a browser plays it: H.264 files as they are, everything else as a copy in the cache."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from ...config.cameras import ADDRESS, DEVICE, CameraConfig
from ...credentials import without_credentials
from ...errors import SourceError
from ...output.video.render import camera_configs
from ...output.video.writer import VideoWriter
from ...sources.finding import Footage, find_footage
from ...sources.opening import open_source
from ...storage.store import Store
from ..database import Database
from ..jobs import Jobs, Progress
from ..reads.boxes import boxes_by_frame
from ..reads.runs import CameraOf, cameras_of
from .blur import blur_heads

WIDEST_PX = 1280  # of copies
MOST_PARTS = 2000  # files of one camera that are listed: a day in pieces of 43 seconds
PLAYABLE_FORMATS = frozenset({"yuv420p", "yuvj420p"})
LIVE = "It was a live stream, which is not kept. Boxes and pictures of people are in the database."
NOBODY = np.zeros((0, 4), np.float32)
Boxes = dict[int, NDArray[np.float32]]  # float32 (N, 4) by frame


class Part(TypedDict):
    """A file of a camera: when it begins (UTC epoch seconds), and how long it is."""

    part: int
    first_seconds: float
    duration_seconds: float


class CameraFootage(TypedDict):
    """What can be played of a camera: `parts` if it is ready, else `explanation` says why not, or how far it is."""

    id: int
    name: str
    width: int
    height: int
    fps: float
    first_seconds: float
    duration_seconds: float
    state: Literal["ready", "preparing", "failed", "gone", "live"]
    share: float
    explanation: str
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class PlayableFile:
    """An H.264 video in MP4 that browsers play, and its length."""

    path: Path
    duration_seconds: float


class Player:
    """Finds footage of runs, and makes copies of what browsers cannot play.

    Args:
        database: has the boxes of people.
        jobs: makes copies.
        blur: whether heads are blurred: then only copies are played.
    """

    def __init__(self, database: Database, jobs: Jobs, blur: bool = False) -> None:
        self._database, self._jobs, self._blur = database, jobs, blur
        self._known: dict[tuple[Path, int, int], PlayableFile | None] = {}
        self._configs: dict[int, dict[str, CameraConfig]] = {}
        self._lock = threading.Lock()

    def cameras(self, store: Store, run: int) -> list[CameraFootage]:
        """What can be played of each camera of a run.

        Raises:
            StoreError: there is no such run, or its config does not say how its footage was read.
        """
        configs = self._configs_of(store, run)
        return [self._camera(one, configs[one.name]) for one in cameras_of(store, run) if one.name in configs]

    def file(self, store: Store, run: int, camera: int, part: int) -> Path | None:
        """The file of a part of `cameras`; None if there is none (any more)."""
        name = next((one.name for one in cameras_of(store, run) if one.id == camera), None)
        config = None if name is None else self._configs_of(store, run).get(name)
        if config is None:
            return None
        try:
            footage = find_footage(config.source)
        except SourceError:
            return None
        files = self._playable(footage)
        if files is not None:
            return files[part].path if part < len(files) else None
        path = self._jobs.path(self._key(footage, config))
        return path if part == 0 and path.exists() else None

    def begin(self, store: Store, run: int, camera: int) -> float | None:
        """When the footage of a camera begins, UTC epoch seconds."""
        return next((one.start_seconds for one in cameras_of(store, run) if one.id == camera), None)

    def _configs_of(self, store: Store, run: int) -> dict[str, CameraConfig]:
        """The cameras of a run's config, which never changes; a player asks for its footage many times."""
        with self._lock:
            if run not in self._configs:
                self._configs[run] = camera_configs(store, run)
            return self._configs[run]

    def _camera(self, camera: CameraOf, config: CameraConfig) -> CameraFootage:
        found: CameraFootage = {
            "id": camera.id, "name": camera.name, "width": camera.width, "height": camera.height, "fps": camera.fps,
            "first_seconds": camera.start_seconds, "duration_seconds": 0.0, "state": "gone", "share": 0.0,
            "explanation": "", "parts": []}
        if ADDRESS.match(config.source) or DEVICE.fullmatch(config.source):
            return {**found, "state": "live", "explanation": LIVE}
        try:
            footage = find_footage(config.source)
        except SourceError as error:
            return {**found, "explanation": f"The footage is not there any more: {without_credentials(str(error))}"}
        files = self._playable(footage)
        if files is None:
            key = self._key(footage, config)
            job = self._jobs.ask(key, partial(self._copy, camera.id, camera.name, config))
            if job.state == "failed":
                return {**found, "state": "failed", "explanation": without_credentials(job.problem)}
            if job.state != "ready":
                return {**found, "state": "preparing", "share": job.share, "explanation":
                        "A copy that browsers play is being made." if job.state == "working"
                        else "A copy that browsers play will be made after those of other cameras."}
            probed = self._probed(self._jobs.path(key))
            files = [] if probed is None else [probed]
        begin = camera.start_seconds
        for number, one in enumerate(files):
            found["parts"].append({"part": number, "first_seconds": begin, "duration_seconds": one.duration_seconds})
            begin += one.duration_seconds
        return {**found, "state": "ready", "duration_seconds": begin - camera.start_seconds}

    def _copy(
        self, id_: int, camera: str, config: CameraConfig, path: Path, progress: Progress, stop: threading.Event
    ) -> None:
        boxes: dict[int, NDArray[np.float32]] | None = None
        if self._blur:
            with self._database.reading() as store:
                boxes = boxes_by_frame(store, id_)
        make_copy(camera, config, path, progress, stop, boxes)

    def _playable(self, footage: Footage) -> list[PlayableFile] | None:
        """The files of a camera, if browsers play all of them as they are."""
        if self._blur or footage.kind == "images" or len(footage.files) > MOST_PARTS:
            return None
        files = [self._probed(path) for path in footage.files]
        return None if None in files else [one for one in files if one is not None]

    def _probed(self, path: Path) -> PlayableFile | None:
        try:
            state = path.stat()
        except OSError:
            return None
        key = path, state.st_size, state.st_mtime_ns
        with self._lock:
            if key not in self._known:
                self._known[key] = probe(path)
            return self._known[key]

    def _key(self, footage: Footage, config: CameraConfig) -> str:
        """What a copy depends on: the files and their dates, how they are read, and whether heads are blurred."""
        files = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in footage.files]
        reading = config.model_dump_json(include={"every", "fps"}) if self._blur else ""
        return f"copy 1, blur {self._blur}, {reading}, {files}"


def probe(path: Path) -> PlayableFile | None:
    """A file, if it is a video in MP4 that browsers play."""
    try:
        # The format is fixed, so that no text file can make FFmpeg open other files or addresses.
        with av.open(str(path.absolute()), format="mp4", metadata_errors="replace") as container:
            streams = container.streams.video
            if len(streams) != 1 or container.duration is None:
                return None
            codec = streams[0].codec_context
            if codec.name != "h264" or codec.pix_fmt not in PLAYABLE_FORMATS:
                return None
            frame = next(container.decode(streams[0]), None)
            if frame is None or frame.rotation:
                return None
            return PlayableFile(path, container.duration / av.time_base)
    except (OSError, ValueError, av.error.FFmpegError):
        return None


def make_copy(
    camera: str, config: CameraConfig, path: Path, progress: Progress, stop: threading.Event, boxes: Boxes | None
) -> None:
    """Write a camera's footage as H.264 in MP4, at most WIDEST_PX wide.

    Args:
        camera: its name.
        config: how the run read it.
        path: the file to write.
        progress: called with the share that is done.
        stop: ends it early.
        boxes: of people, whose heads are blurred; then only the frames that the run analysed are written, because only
            of these are boxes known. None to show everything.

    Raises:
        SourceError: the footage cannot be read.
        OutputError: the file cannot be written.
    """
    if boxes is None:
        config = config.model_copy(update={"every": 1, "fps": None})
    source = open_source(camera, config)
    scale = min(1.0, WIDEST_PX / source.width)
    size = round(source.width * scale), round(source.height * scale)
    rate = Fraction(min(source.fps / config.every, config.fps or source.fps)).limit_denominator(1001)
    with VideoWriter(path, size, rate, Path(camera)) as writer:
        for frame in source.frames(stop):
            image = frame.image if boxes is None else blur_heads(frame.image, boxes.get(frame.index, NOBODY))
            if scale < 1:
                image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            writer.write(image, frame.seconds - source.start_seconds)
            if source.duration_seconds:
                progress((frame.seconds - source.start_seconds) / source.duration_seconds)
