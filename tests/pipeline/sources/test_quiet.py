"""Frames in which nothing has moved have the last one's detections; whoever enters, moves or leaves is searched."""

import threading
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter

from reidpipe.pipeline.output.video.writer import VideoWriter
from reidpipe.pipeline.sources.quiet import QuietScene, grey_of, grey_plane, has_changed
from reidpipe.pipeline.sources.video.frame_image import bgr_image, small_grey
from reidpipe.pipeline.stages.detection.detect import detect_ahead
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame
from reidpipe.trackers import Detections

from ..media import open_camera, write_images

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


def is_quiet(scene, image, seconds):
    return scene.is_quiet(grey_plane(grey_of(image)), seconds)


def run(frames, look_seconds, restart_seconds=np.inf, batch=2):
    detector, scenes = BrightDetector(), {}
    compared = (
        replace(one, quiet=is_quiet(scenes.setdefault(one.camera, QuietScene(look_seconds, restart_seconds)),
                                    one.image, one.seconds))
        for one in frames)
    pairs = list(detect_ahead(compared, detector, batch, Stopwatch()))
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
    scene = QuietScene(5.0)
    assert not is_quiet(scene, picture(), 0.0)
    assert not is_quiet(scene, picture(), seconds)
    assert is_quiet(scene, picture(), seconds + 0.1)


def test_another_picture_size_is_searched():
    scene = QuietScene(5.0)
    is_quiet(scene, picture(), 0.0)
    assert not is_quiet(scene, picture(width=360, height=640), 0.1)


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
        scene = QuietScene(5.0)
        images = [picture(None, width=width, height=height) for i in range(2)]
        assert [is_quiet(scene, image, i / RATE) for i, image in enumerate(images)] == [False, True]
        images[0][:, :20] = 200
        assert not is_quiet(scene, images[0], 0.2)


@pytest.mark.parametrize("noise", range(1, 7))
def test_noise_is_measured_by_the_median_change(noise):
    """A change counts if it is larger than the limit by as much as half of the plane has changed."""
    before = np.full((180, 320), 100, np.uint8)
    before[::2] += 60  # as much contrast as a lit scene
    after = before + np.uint8(noise)
    after[40:50, 40:50] += 5
    assert has_changed(before, after) == (noise + 5 >= 5 + min(noise, 4))
    after[40:50, 40:50] -= 1
    assert has_changed(before, after) == (noise + 4 >= 5 + min(noise, 4))


def show(path, images):
    """A video of these pictures."""
    height, width = images[0].shape[:2]
    with VideoWriter(path, (width, height), Fraction(RATE), path) as writer:
        for number, image in enumerate(images):
            writer.write(image, number / RATE)
    return path


@pytest.mark.parametrize("isolate", [True, False])
def test_a_source_searches_what_changes_and_repeats_the_last_picture_that_is_not_quiet(tmp_path, isolate):
    images = [picture(None if i < 10 else 300) for i in range(20)]
    video = show(tmp_path / "a.mp4", images)
    every = list(open_camera(video, isolate).frames(threading.Event()))
    compared = list(open_camera(video, isolate).frames(threading.Event(), QuietScene(60.0)))
    assert [frame.index for frame in compared if not frame.quiet] == [0, 10]
    assert not any(frame.quiet for frame in every)
    places = [[(one.index, one.seconds, one.place) for one in frames] for frames in (compared, every)]
    assert places[0] == places[1]
    for frame in compared:
        assert (frame.image == every[10 * (frame.index >= 10)].image).all()


def test_a_folder_of_images_is_told_apart_too(tmp_path):
    folder = write_images(tmp_path / "in", 3)
    for number, left in enumerate([None, None, 300]):
        cv2.imwrite(str(folder / f"frame_{number}.png"), picture(left))
    compared = list(open_camera(folder, fps=10).frames(threading.Event(), QuietScene(60.0)))
    assert [frame.quiet for frame in compared] == [False, True, False]
    assert (compared[1].image == compared[0].image).all()


FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "gray", "rgb24", "gbrp"]


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("full", [True, False], ids=["full range", "limited range"])
def test_what_is_compared_is_the_grey_of_the_picture_in_every_format(pixels, full):
    grey = cv2.cvtColor(picture(300, width=1288, height=728), cv2.COLOR_BGR2GRAY)
    wanted = ColorRange.JPEG if full else ColorRange.MPEG
    frame = av.VideoFrame.from_ndarray(cv2.merge([grey] * 3), "bgr24").reformat(
        format=pixels, dst_color_range=wanted)
    small, gain = small_grey(frame, VideoReformatter())
    assert small.shape == (181, 320)
    black = 0 if gain == 1 else 16
    converted = grey_plane(grey_of(bgr_image(frame, VideoReformatter())))
    difference = (small - float(black)) * gain - converted
    assert np.abs(difference).max() <= 4  # libswscale rounds in its way; with a wrong range it would be 16 or more
