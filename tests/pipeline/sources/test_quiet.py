"""Frames in which nothing has moved have the last one's detections; whoever enters, moves or leaves is searched."""

import numpy as np
import pytest

from reidpipe.pipeline.stages.detection.detect import detect_ahead
from reidpipe.pipeline.stages.detection.quiet import QuietCameras
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame
from reidpipe.trackers import Detections

RATE = 10


class BrightDetector:
    """Finds one person where a picture has bright pixels; `searched` counts the pictures."""

    def __init__(self):
        self.searched = 0

    def detect(self, images):
        self.searched += len(images)
        return [self._box(image) for image in images]

    @staticmethod
    def _box(image):
        rows, columns = np.nonzero(image[:, :, 1] > 180)
        box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else np.zeros((0, 4))
        return Detections(np.array(box, np.float32), confidence=np.full(len(box), 0.9, np.float32))


def picture(left=None, grey=90.0, noise=0.0, seed=0, width=640, height=360):
    scene = np.broadcast_to(np.linspace(grey - 60, grey + 60, width)[:, None], (height, width, 3))
    image = scene + noise * np.random.default_rng(seed).standard_normal((height, width, 3))
    if left is not None:
        image[150:170, left : left + 8] = 200  # as 40 of 720 rows: the smallest that the detector is meant for
    return image.clip(0, 255).astype(np.uint8)


def frames_of(images, camera="a"):
    return [Frame(camera, i, i / RATE, image) for i, image in enumerate(images)]


def run(frames, look_seconds, restart_seconds=np.inf, batch=2):
    detector = BrightDetector()
    quiet = QuietCameras(look_seconds, restart_seconds)
    pairs = list(detect_ahead(iter(frames), detector, batch, Stopwatch(), quiet))
    assert [(frame.camera, frame.index) for frame, _ in pairs] == [(frame.camera, frame.index) for frame in frames]
    return detector.searched, [people.xyxy.round().tolist() for _, people in pairs]


@pytest.mark.parametrize("left", [None, 300], ids=["nobody", "somebody who stands still"])
@pytest.mark.parametrize("noise", [0, 3])
def test_a_still_scene_is_searched_once_per_look(left, noise):
    images = [picture(left, noise=noise, seed=i) for i in range(60)]
    searched, found = run(frames_of(images), 2.0)
    assert searched == 3
    assert [len(boxes) for boxes in found] == [int(left is not None)] * 60


def test_with_no_time_between_looks_every_frame_is_searched():
    assert run(frames_of([picture()] * 20), 0.0)[0] == 20


@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_small_person_is_found_from_the_first_to_the_last_frame(noise, batch):
    where = [None] * 20 + [300] * 10 + list(range(300, 400, 4)) + [396] * 10 + [None] * 20
    images = [picture(left, noise=noise, seed=i) for i, left in enumerate(where)]
    searched, found = run(frames_of(images), 30.0, batch=batch)
    assert found == [[] if left is None else [[left, 150, left + 8, 170]] for left in where]
    assert searched < 35


def test_slow_change_of_light_needs_few_searches():
    assert run(frames_of([picture(grey=90 + i / 5) for i in range(100)]), 2.0)[0] < 15


def test_cameras_do_not_silence_each_other():
    ours, theirs = [picture()] * 10, [picture(10 * i) for i in range(10)]
    both = [frame for pair in zip(frames_of(ours), frames_of(theirs, "b"), strict=True) for frame in pair]
    searched, found = run(both, 5.0)
    assert searched == 1 + 10
    assert found[1::2] == [[[10 * i, 150, 10 * i + 8, 170]] for i in range(10)]


@pytest.mark.parametrize("seconds", [-1.0, 5.0])
def test_a_frame_of_another_time_is_searched(seconds):
    cameras = QuietCameras(5.0)
    assert not cameras.is_quiet(Frame("a", 0, 0.0, picture()))
    assert not cameras.is_quiet(Frame("a", 1, seconds, picture()))
    assert cameras.is_quiet(Frame("a", 1, seconds + 0.1, picture()))


def test_another_picture_size_is_searched():
    cameras = QuietCameras(5.0)
    cameras.is_quiet(Frame("a", 0, 0.0, picture()))
    assert not cameras.is_quiet(Frame("a", 1, 0.1, picture(width=360, height=640)))


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_what_is_searched_after_a_restart_does_not_depend_on_what_came_before(batch):
    images = [picture(None if i % 30 < 20 else i, noise=3, seed=i) for i in range(100)]
    frames, restart = frames_of(images), 4.0
    resumed = [frame for frame in frames if frame.seconds >= restart]
    _, found = run(frames, 3.0, restart)
    searched, again = run(resumed, 3.0, restart, batch)
    assert again == found[len(frames) - len(resumed) :]
    assert searched == run(frames, 3.0, restart)[0] - run(frames[: len(frames) - len(resumed)], 3.0, restart)[0]


def test_large_and_tiny_pictures_are_compared_too():
    for width, height in ((3840, 2160), (40, 2000), (33, 17)):
        cameras = QuietCameras(5.0)
        images = [picture(None, width=width, height=height) for i in range(2)]
        assert [cameras.is_quiet(Frame("a", i, i / RATE, image)) for i, image in enumerate(images)] == [False, True]
        images[0][:, :20] = 200
        assert not cameras.is_quiet(Frame("a", 2, 0.2, images[0]))
