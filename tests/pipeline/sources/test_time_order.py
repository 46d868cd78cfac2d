"""Frames of several cameras are merged in time order."""

import threading
import time

import pytest

from reidpipe.pipeline.sources.counts import FootageCounts
from reidpipe.pipeline.sources.time_order import FRAMES_AHEAD, CameraReader, in_time_order
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame


class ListSource:
    """Footage from a list of seconds; counts how many frames were read."""

    def __init__(self, camera, seconds, error=None, hang=None):
        self.camera, self._seconds, self._error, self._hang = camera, seconds, error, hang
        self.read = 0
        self.counts = FootageCounts(camera)

    def frames(self, stop, quiet=None):
        for seconds in self._seconds:
            self.read += 1
            yield Frame(self.camera, self.counts.add_decoded(), seconds, None)
        if self._error is not None:
            raise self._error
        if self._hang is not None:
            self._hang.wait()


def reader(source, stop=None, stall_seconds=60.0):
    return CameraReader(source, stop or threading.Event(), Stopwatch(), stall_seconds)


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
    assert source.read <= 10 + FRAMES_AHEAD
    stop.set()
    assert list(frames) == []


ERRORS = [IndexError("list index out of range"), MemoryError(), RecursionError("deep"), OSError(5, "I/O error")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("frames", "status"), [(2, "partial"), (0, "failed")])
def test_any_error_while_decoding_ends_that_camera_only(error, frames, status):
    bad, good = ListSource("a", list(range(frames)), error), ListSource("b", list(range(5)))
    merged = [frame.camera for frame in in_time_order(map(reader, [bad, good]))]
    assert (merged.count("a"), merged.count("b")) == (frames, 5)
    assert (bad.counts.status, good.counts.status) == (status, "complete")
    assert "memory" in bad.counts.error if isinstance(error, MemoryError) else type(error).__name__ in bad.counts.error
    assert "\n" not in bad.counts.error


def test_a_camera_that_hangs_ends_after_the_limit_and_the_others_go_on():
    hang = threading.Event()
    bad, good = ListSource("a", [0, 1], hang=hang), ListSource("b", list(range(50)))
    began = time.monotonic()
    merged = [frame.camera for frame in in_time_order([reader(one, stall_seconds=1.0) for one in (bad, good)])]
    assert 1.0 <= time.monotonic() - began < 5.0
    hang.set()
    assert (merged.count("a"), merged.count("b")) == (2, 50)
    assert bad.counts.status == "partial"
    assert "no progress for 1 s" in bad.counts.error


def test_a_slow_consumer_is_no_stall():
    source = ListSource("a", list(range(6)))
    for _ in reader(source, stall_seconds=0.4):
        time.sleep(0.5)
    assert (source.read, source.counts.status) == (6, "complete")
