"""Frames that look like an empty one are not searched; whoever enters, leaves or stands still is."""

import numpy as np
import pytest
import supervision as sv

from reidpipe.pipeline.stages.detect import BATCHES_AHEAD, detect_ahead
from reidpipe.pipeline.stages.quiet import QuietCameras
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame

BATCH, RATE = 2, 10
LATE = BATCH * (BATCHES_AHEAD + 1)  # frames that are on their way before the first result is known


class BrightDetector:
    """Finds one person wherever a picture has bright pixels; `searched` counts the pictures."""

    def __init__(self):
        self.searched = 0

    def detect(self, images):
        self.searched += len(images)
        return [
            sv.Detections(np.full((n, 4), 5, np.float32), confidence=np.full(n, 0.9, np.float32))
            for n in [int((image > 180).any()) for image in images]
        ]


def picture(person=False, grey=90.0, noise=0.0, seed=0):
    image = np.full((360, 640, 3), grey) + noise * np.random.default_rng(seed).standard_normal((360, 640, 3))
    if person:
        image[150:170, 300:308] = 200  # as 40 of 720 rows: the smallest that the detector is meant for
    return image.clip(0, 255).astype(np.uint8)


def run(images, quiet_seconds, cameras=("a",)):
    frames = [Frame(camera, i, i / RATE, image) for i, image in enumerate(images) for camera in cameras]
    detector = BrightDetector()
    pairs = list(detect_ahead(iter(frames), detector, BATCH, Stopwatch(), quiet_seconds))
    assert [(frame.camera, frame.index) for frame, _ in pairs] == [(frame.camera, frame.index) for frame in frames]
    return detector.searched, [len(people) for _, people in pairs]


def test_an_empty_scene_is_searched_once_per_full_look():
    searched, found = run([picture(noise=4, seed=i) for i in range(60)], 2.0)
    assert sum(found) == 0
    assert searched <= 3 * LATE + BATCH
    assert searched >= 3  # 6 seconds of footage


def test_by_default_every_frame_is_searched():
    assert run([picture()] * 20, 0.0)[0] == 20


@pytest.mark.parametrize("noise", [0, 4])
def test_a_small_person_is_found_from_the_first_to_the_last_frame(noise):
    present = [20 <= i < 45 for i in range(70)]  # stands still for 2.5 seconds
    _, found = run([picture(one, noise=noise, seed=i) for i, one in enumerate(present)], 30.0)
    assert found == [int(one) for one in present]


def test_slow_change_of_light_needs_few_searches():
    searched, _ = run([picture(grey=90 + i / 5) for i in range(100)], 2.0)
    assert searched < 60


def test_one_camera_does_not_silence_another():
    frames = [Frame(camera, 0, 0.0, picture()) for camera in ("a", "b")]
    cameras = QuietCameras(5.0)
    cameras.searched(frames[0], 0)
    assert [cameras.is_quiet(frame) for frame in frames] == [True, False]


@pytest.mark.parametrize("seconds", [-1.0, 5.0])
def test_a_reference_of_another_time_does_not_count(seconds):
    cameras = QuietCameras(5.0)
    cameras.searched(Frame("a", 0, 0.0, picture()), 0)
    assert not cameras.is_quiet(Frame("a", 1, seconds, picture()))


def test_another_picture_size_is_searched():
    cameras = QuietCameras(5.0)
    cameras.searched(Frame("a", 0, 0.0, picture()), 0)
    assert not cameras.is_quiet(Frame("a", 1, 0.1, np.full((640, 360, 3), 90, np.uint8)))
