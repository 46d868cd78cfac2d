"""Read one camera's video, in one file or in many segments, as one sequence of frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from ....reid.wording import counted
from ...config.cameras import CameraConfig
from ...errors import SourceError
from ...types import Frame, Image, Place
from ..counts import FootageCounts
from ..quiet import QuietScene
from ..timestamps import Thinning
from .file import VideoInfo, VideoReader, probe_video
from .frame_image import bgr_image, first_plane, small_grey, upright_size
from .place import VideoPlace, mark_of


class VideoSource:
    """One camera's video files, joined in time; see `Source`. It can be read once.

    A file starts where the one before ended: one frame interval after its last frame, damaged or not, or, if it was cut
    off, at the end that its header states. A file that cannot be opened has no known length and takes no time. Frames
    that differ in size from the first count as damaged.

    Raises:
        SourceError: none of the files has a frame that can be decoded.
    """

    def __init__(self, camera: str, config: CameraConfig, files: Sequence[Path]) -> None:
        self.camera = camera
        self._files = files
        info = _probe_first(files)
        self.width, self.height, self.fps = info.width, info.height, info.fps
        self.frame_count, self.duration_seconds = info.frame_count, info.duration_seconds
        self.start_seconds = (config.start_time.timestamp() if config.start_time else 0.0) + config.offset
        self._thinning = Thinning(config.every, config.fps, info.fps)
        self.counts = FootageCounts(camera)
        self._seconds = 0.0  # of the last frame read, since the first
        self._reformatter = VideoReformatter()
        self._file, self._file_start_seconds = 0, 0.0  # the one that is read, and where it starts
        self._place: Place | None = None
        self._quiet: QuietScene | None = None
        self._image: Image | None = None  # of the last frame that was not quiet, while quiet ones are looked for

    def continue_after(self, place: Place) -> None:
        """Leave out the frames up to a place; see `Source.continue_after`."""
        self._place = place

    def frames(self, stop: threading.Event, quiet: QuietScene | None = None) -> Iterator[Frame]:
        """Decode the footage from its start; damage is counted, never raised.

        Args:
            stop: once set, no further frame is yielded.
            quiet: see `Source.frames`.
        """
        self._quiet = quiet
        reached_end = False
        last_index = -1 if self._place is None else self._place.index
        try:
            opened = None if self._place is None else self._reopened(self._place, stop)
            for number, path in list(enumerate(self._files))[self._file :]:
                self._file = number
                try:
                    reader, opened = opened or VideoReader(path), None
                except SourceError as error:
                    self.counts.add_problem(str(error))
                    continue
                with reader:
                    yield from self._frames_of(reader, last_index, stop)
                self._file_start_seconds += reader.end_seconds
            reached_end = not stop.is_set()
        finally:  # also when the consumer closes the generator early
            self.counts.finish(reached_end=reached_end, seconds=self._seconds)

    def _reopened(self, place: Place, stop: threading.Event) -> VideoReader | None:
        """The file of a place, to be read on from there; None if all must be read again from the start."""
        at = VideoPlace.model_validate_json(place.inside) if place.inside else None
        if at is None or at.file >= len(self._files):
            return None
        try:
            reader = VideoReader(self._files[at.file])
        except SourceError:
            return None

        def is_it(frame: VideoFrame) -> bool:
            return mark_of(first_plane(frame)) == at.mark

        found = reader.skip_to(at.timestamp, at.clock, is_it, stop)
        if found or stop.is_set():
            self.counts.mirror(place.counts)
        if not found:
            reader.close()
            return None
        self._file, self._file_start_seconds = at.file, at.file_start_seconds
        self._thinning.next_slot = at.next_slot
        return reader

    def _place_of(self, index: int, reader: VideoReader, frame: VideoFrame) -> Place:
        if reader.place is None:
            return Place(index, self.counts.state())
        timestamp, clock = reader.place
        at = VideoPlace(
            file=self._file, file_start_seconds=self._file_start_seconds, timestamp=timestamp,
            mark=mark_of(first_plane(frame)), clock=clock, next_slot=self._thinning.next_slot)
        return Place(index, self.counts.state(), at.model_dump_json())

    def _frames_of(self, reader: VideoReader, last_index: int, stop: threading.Event) -> Iterator[Frame]:
        """The frames of one file, without those up to an index."""
        counted_damage = odd_sizes = 0
        try:
            for seconds, frame in reader.frames(stop):
                self.counts.add_damaged(reader.damaged - counted_damage)
                counted_damage = reader.damaged
                self._seconds = self._file_start_seconds + seconds
                if upright_size(frame) != (self.width, self.height):
                    odd_sizes += 1
                    self.counts.add_damaged()
                    continue
                index = self.counts.add_decoded()
                if not self._thinning.keeps(index, self._seconds):
                    self.counts.add_thinned()
                elif index > last_index:
                    yield self._converted(frame, index, reader)
        finally:
            self.counts.add_damaged(reader.damaged - counted_damage)
            self._report_problems(reader, odd_sizes)

    def _converted(self, frame: VideoFrame, index: int, reader: VideoReader) -> Frame:
        """A decoded frame as one of this camera; `_frames_of` keeps no name of its picture while it makes the next."""
        seconds, place = self.start_seconds + self._seconds, self._place_of(index, reader, frame)
        if self._quiet is None:
            return Frame(self.camera, index, seconds, bgr_image(frame, self._reformatter), place)
        plane, gain = small_grey(frame, self._reformatter)
        is_quiet = self._quiet.is_quiet(plane, seconds, gain)
        if self._image is None or not is_quiet:
            self._image = None  # lets go of it before the next is made
            self._image = bgr_image(frame, self._reformatter)
        return Frame(self.camera, index, seconds, self._image, place, is_quiet)

    def _report_problems(self, reader: VideoReader, odd_sizes: int) -> None:
        if reader.problem:
            self.counts.add_problem(f"{reader.path}: {reader.problem}")
        if odd_sizes:
            size = f"{self.width}x{self.height}"
            self.counts.add_problem(f"{reader.path}: left out {counted(odd_sizes, 'frame')} that are not {size}")


def _probe_first(files: Sequence[Path]) -> VideoInfo:
    """The first readable file's header, its length scaled up to all files by their sizes on disk."""
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
    # Opening each of a day's 1440 segments would take too long for a progress bar.
    return replace(
        info,
        duration_seconds=None if info.duration_seconds is None else info.duration_seconds * factor,
        frame_count=None if info.frame_count is None else round(info.frame_count * factor),
    )


def _bytes(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files if path.exists())
