"""How a camera's video, in one file or in many, becomes one line of frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from av.video.reformatter import VideoReformatter

from ...reid.wording import counted
from ..config.schema import CameraConfig
from ..errors import SourceError
from ..types import CameraReport, Frame
from .tally import Tally
from .timestamps import Thinning
from .video_file import VideoInfo, VideoReader, bgr_image, probe_video, upright_size


class VideoSource:
    """One camera's video files, one after the other on one line of time; read it once.

    A file starts where the one before ended: one picture interval after its last picture, damaged or not, or where
    its header says that it should have ended if it was cut off. How long a file lasted that cannot be opened nobody
    knows: time goes on as if it was not there. Pictures of another size than the first are counted as damaged.

    Raises:
        SourceError: none of the files has a picture.
    """

    def __init__(self, camera: str, config: CameraConfig, files: Sequence[Path]) -> None:
        self.camera = camera
        self._files = files
        info = _first_good(files)
        self.width, self.height, self.fps = info.width, info.height, info.fps
        self.frame_count, self.duration_seconds = info.frame_count, info.duration_seconds
        self.start_seconds = (config.start_time.timestamp() if config.start_time else 0.0) + config.offset
        self._thinning = Thinning(config.every, config.fps, info.fps)
        self._tally = Tally(camera)
        self._seconds = 0.0  # since the first picture: where reading has got to
        self._reformatter = VideoReformatter()

    @property
    def report(self) -> CameraReport:
        """What became of the footage so far."""
        return self._tally.report

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """Decode the footage from its start; damage ends up in the report, never in an exception.

        Args:
            stop: once set, no further frame is handed out.
        """
        finished = False
        file_start_seconds = 0.0
        try:
            for path in self._files:
                try:
                    reader = VideoReader(path)
                except SourceError as error:
                    self._tally.trouble(str(error))
                    continue
                with reader:
                    yield from self._frames_of(reader, file_start_seconds, stop)
                file_start_seconds += reader.end_seconds
            finished = not stop.is_set()
        finally:  # also when whoever takes the frames gives up on them
            self._tally.conclude(finished=finished, seconds=self._seconds)

    def _frames_of(self, reader: VideoReader, file_start_seconds: float, stop: threading.Event) -> Iterator[Frame]:
        counted_damage = odd_sizes = 0
        try:
            for seconds, picture in reader.pictures(stop):
                self._tally.damage(reader.damaged - counted_damage)
                counted_damage = reader.damaged
                self._seconds = file_start_seconds + seconds
                if upright_size(picture) != (self.width, self.height):
                    odd_sizes += 1
                    self._tally.damage()
                    continue
                index = self._tally.take()
                if self._thinning.keeps(index, self._seconds):
                    image = bgr_image(picture, self._reformatter)
                    yield Frame(self.camera, index, self.start_seconds + self._seconds, image)
                else:
                    self._tally.thin()
        finally:
            self._tally.damage(reader.damaged - counted_damage)
            self._tell(reader, odd_sizes)

    def _tell(self, reader: VideoReader, odd_sizes: int) -> None:
        if reader.trouble:
            self._tally.trouble(f"{reader.path}: {reader.trouble}")
        if odd_sizes:
            size = f"{self.width}x{self.height}"
            self._tally.trouble(f"{reader.path}: left out {counted(odd_sizes, 'picture')} that are not {size}")


def _first_good(files: Sequence[Path]) -> VideoInfo:
    """What the first readable file says, its length scaled up to all files by their sizes on disk."""
    errors: list[SourceError] = []
    for path in files:
        try:
            info = probe_video(path)
        except SourceError as error:
            errors.append(error)
            continue
        return info if len(files) == 1 else _scaled(info, _bytes(files) / max(1, _bytes([path])))
    if len(files) == 1:
        raise errors[0]
    raise SourceError(f"none of {len(files)} segments can be read; {errors[0]}") from errors[0]


def _scaled(info: VideoInfo, factor: float) -> VideoInfo:
    # Opening every one of a day's 1440 segments would take longer than a progress bar is worth.
    return replace(
        info,
        duration_seconds=None if info.duration_seconds is None else info.duration_seconds * factor,
        frame_count=None if info.frame_count is None else round(info.frame_count * factor),
    )


def _bytes(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files if path.exists())
