"""Detectors return every image's people in its own pixels, whatever the weights."""

import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.errors import WeightsError
from reidpipe.pipeline.stages.detection.detect import BUNDLED, detect_ahead, open_detector
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame
from reidpipe.reid.embedder import Embedder

from ...networks import write_detector

ONE = [[320, 192, 64, 128, 0.9]]


def open_on(path, **config):
    return open_detector(DetectorConfig(weights=str(path), **config), threads=2)


def picture(width, height, colour=(114, 114, 114)):
    return np.full((height, width, 3), colour, np.uint8)


def test_boxes_are_in_the_pixels_of_their_own_image(tmp_path):
    detector = open_on(write_detector(tmp_path / "one.onnx", ONE))
    large, native = detector.detect([picture(1280, 720), picture(640, 384)])
    np.testing.assert_allclose(large.xyxy, [[576, 232, 704, 488]], atol=0.01)  # half the size, 12 rows of padding
    np.testing.assert_allclose(native.xyxy, [[288, 128, 352, 256]], atol=0.01)
    np.testing.assert_allclose(large.confidence, [0.9])


def test_boxes_are_clipped_to_the_image(tmp_path):
    detector = open_on(write_detector(tmp_path / "edge.onnx", [[0, 0, 100, 100, 0.9], [640, 384, 60, 60, 0.8]]))
    (found,) = detector.detect([picture(1280, 720)])
    np.testing.assert_allclose(found.xyxy, [[0, 0, 100, 76], [1220, 684, 1280, 720]], atol=0.01)


def test_of_overlapping_boxes_the_more_confident_is_kept(tmp_path):
    rows = [[100, 100, 50, 100, 0.6], [102, 100, 50, 100, 0.9], [300, 100, 50, 100, 0.7]]
    detector = open_on(write_detector(tmp_path / "three.onnx", rows))
    (found,) = detector.detect([picture(640, 384)])
    np.testing.assert_allclose(found.confidence, [0.9, 0.7])


def test_boxes_of_low_confidence_and_other_classes_are_left_out(tmp_path):
    rows = [[100, 100, 50, 100, 0.05, 0.0], [200, 100, 50, 100, 0.1, 0.9], [300, 100, 50, 100, 0.8, 0.1]]
    path = write_detector(tmp_path / "classes.onnx", rows, names="{0: 'person', 1: 'dog'}")
    (found,) = open_on(path, confidence=0.25).detect([picture(640, 384)])
    np.testing.assert_allclose(found.confidence, [0.8])


def test_an_image_without_people_gives_empty_arrays(tmp_path):
    detector = open_on(write_detector(tmp_path / "none.onnx", [[100, 100, 50, 100, 0.0]]))
    (found,) = detector.detect([picture(640, 384)])
    assert found.xyxy.shape == (0, 4)
    assert found.confidence.shape == (0,)
    assert detector.detect([]) == []


def test_the_network_sees_rgb_between_0_and_1(tmp_path):
    detector = open_on(write_detector(tmp_path / "red.onnx", ONE, scale_by_red=True), confidence=0.0)
    red, blue, dark = detector.detect([picture(640, 640, colour) for colour in ((0, 0, 255), (255, 0, 0), (0, 0, 51))])
    np.testing.assert_allclose([found.confidence[0] for found in (red, blue, dark)], [0.9, 0.0, 0.18], atol=0.01)


def test_a_fixed_size_export_is_used_at_its_size(tmp_path):
    detector = open_on(write_detector(tmp_path / "fixed.onnx", ONE, hw=(640, 640)))
    (found,) = detector.detect([picture(1280, 720)])
    np.testing.assert_allclose(found.xyxy, [[576, 0, 704, 232]], atol=0.01)  # 140 rows of padding above


def test_boxes_of_confidence_0_are_found_after_an_appearance_model_has_run(tmp_path):
    Embedder(threads=1).embed([picture(64, 128, (9, 9, 9))])  # it switches denormal numbers off, also here
    detector = open_on(write_detector(tmp_path / "red.onnx", ONE, scale_by_red=True), confidence=0.0)
    (blue,) = detector.detect([picture(640, 640, (255, 0, 0))])
    np.testing.assert_allclose(blue.confidence, [0.0], atol=0.01)


def test_several_threads_can_share_a_detector(tmp_path):
    detector = open_on(write_detector(tmp_path / "red.onnx", ONE, scale_by_red=True), confidence=0.0)
    shades = [picture(640, 640, (0, 0, 5 * shade)) for shade in range(40)]
    with ThreadPoolExecutor(4) as workers:
        found = [one for (one,) in workers.map(lambda image: detector.detect([image]), shades)]
    np.testing.assert_allclose([one.confidence[0] for one in found], 0.9 * 5 * np.arange(40) / 255, atol=0.01)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 23])
def test_detecting_ahead_keeps_every_frame_in_order(tmp_path, count):
    detector = open_on(write_detector(tmp_path / "red.onnx", ONE, scale_by_red=True), confidence=0.0)
    frames = (Frame("a", index, index / 10, picture(64, 64, (0, 0, 10 * index))) for index in range(count))
    clock = Stopwatch()
    pairs = list(detect_ahead(frames, detector, 4, clock))
    assert [frame.index for frame, _ in pairs] == list(range(count))
    np.testing.assert_allclose([people.confidence[0] for _, people in pairs], 9 * np.arange(count) / 255, atol=0.01)
    assert count == 0 or clock.seconds["detect"] > 0


def test_detecting_ahead_keeps_no_picture_that_was_used(tmp_path):
    detector = open_on(write_detector(tmp_path / "plain.onnx", ONE))
    pictures = []
    kept = []

    def made():
        for index in range(24):
            frame = Frame("a", index, index / 10, picture(64, 64))
            pictures.append(weakref.ref(frame.image))
            yield frame
            del frame

    for frame, _ in detect_ahead(made(), detector, 4, Stopwatch()):
        used = frame.index
        del frame
        kept += [number for number, one in enumerate(pictures[:used]) if one() is not None]
    assert len(pictures) == 24
    assert kept == []


def damaged(path):
    path.write_bytes(b"this is no network")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda folder: folder / "gone.onnx", ["gone.onnx", "no such file"], id="missing onnx"),
        pytest.param(lambda folder: folder / "gone.pt", ["gone.pt", "no such file"], id="missing pt"),
        pytest.param(lambda folder: damaged(folder / "bad.onnx"), ["bad.onnx", "damaged"], id="damaged onnx"),
        pytest.param(lambda folder: damaged(folder / "bad.pt"), ["bad.pt", "--trust-weights"], id="untrusted pt"),
        pytest.param(
            lambda folder: write_detector(folder / "dogs.onnx", ONE, names="{0: 'dog'}"),
            ["dogs.onnx", "no class called person", "dog"], id="no person class",
        ),
    ],
)
def test_bad_weights_are_reported_in_one_line(tmp_path, make, words):
    with pytest.raises(WeightsError) as raised:
        open_on(make(tmp_path))
    message = str(raised.value)
    assert "\n" not in message
    assert all(word in message for word in words)


@pytest.mark.skipif(not BUNDLED["person"].is_file(), reason="the bundled detector has not been trained yet")
def test_opening_the_bundled_detector_loads_no_telemetry():
    program = (
        "import sys; from reidpipe.pipeline.config.stages import DetectorConfig; "
        "from reidpipe.pipeline.stages.detection.detect import open_detector; open_detector(DetectorConfig(), 1); "
        "print([name for name in sys.modules if 'telemetry' in name and sys.modules[name] is not None "
        "and not name.startswith(('openvino.tools.ovc', 'openvino.utils'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
