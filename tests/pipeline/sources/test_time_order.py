"""Frames of several cameras are merged in time order."""

import threading

import pytest

from reidpipe.pipeline.sources.time_order import FRAMES_AHEAD, CameraReader, in_time_order
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame


class ListSource:
    """Footage from a list of seconds; counts how many frames were read."""

    def __init__(self, camera, seconds, error=None):
        self.camera, self._seconds, self._error = camera, seconds, error
        self.read = 0

    def frames(self, stop):
        for index, seconds in enumerate(self._seconds):
            self.read += 1
            yield Frame(self.camera, index, seconds, None)
        if self._error is not None:
            raise self._error


def reader(source, stop=None):
    return CameraReader(source, stop or threading.Event(), Stopwatch())


def test_frames_are_ordered_by_time_at_any_frame_rate():
    cameras = [ListSource("b", [0.0, 0.4, 0.8]), ListSource("a", [0.1, 0.2, 0.3, 0.8]), ListSource("c", [])]
    merged = [(frame.camera, frame.seconds) for frame in in_time_order(map(reader, cameras))]
    assert merged == [("b", 0.0), ("a", 0.1), ("a", 0.2), ("a", 0.3), ("b", 0.4), ("a", 0.8), ("b", 0.8)]


def test_a_reader_decodes_only_a_few_frames_ahead():
    source = ListSource("a", list(range(1000)))
    stop = threading.Event()
    frames = iter(reader(source, stop))
    for _ in range(10):
        next(frames)
    assert source.read <= 10 + FRAMES_AHEAD + 2
    stop.set()
    assert list(frames) == []


def test_an_error_in_the_decoding_thread_reaches_the_reader():
    frames = iter(reader(ListSource("a", [0, 1], error=RuntimeError("a bug"))))
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(RuntimeError, match="a bug"):
        next(frames)
