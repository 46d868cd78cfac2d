"""A detector is quantised to 8 bits, and runs as before."""

import numpy as np
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.stages.detection import detect, openvino_detector
from reidpipe.pipeline.stages.detection.detect import BUNDLED, BUNDLED_INT8, open_detector

from ..media import write_video
from ..networks import write_convolution


def export(*arguments):
    return CliRunner().invoke(main, ["export-detector", *map(str, arguments)])


def people_in(image, weights, confidence):
    config = DetectorConfig(weights=str(weights), image_size=64, confidence=confidence)
    return open_detector(config, threads=1).detect([image])[0]


def test_a_quantised_detector_finds_what_the_original_finds(tmp_path):
    pytest.importorskip("nncf", reason="NNCF (the extra int8) is not installed")
    weights, video = write_convolution(tmp_path / "cells.onnx"), write_video(tmp_path / "door.mp4", 20)
    out = tmp_path / "cells_int8_openvino_model"
    done = export(weights, out, "--int8", "--calibrate", video, "--image-size", 64)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["cells.bin", "cells.xml"]
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, 32:] = 110  # within the range of the footage
    found = [people_in(image, path, confidence=0.3) for path in (weights, out)]
    assert [len(one) for one in found] == [1, 1]
    assert found[1].confidence == pytest.approx(found[0].confidence, abs=0.05)
    again = export(weights, out, "--int8", "--calibrate", video, "--image-size", 64)
    assert again.exit_code == 0, "its own export may be replaced"


def test_weights_that_are_all_rounded_down_shift_no_confidence(tmp_path):
    pytest.importorskip("nncf", reason="NNCF (the extra int8) is not installed")
    weights, video = write_convolution(tmp_path / "cells.onnx", uneven=True), write_video(tmp_path / "door.mp4", 20)
    out = tmp_path / "cells_int8_openvino_model"
    done = export(weights, out, "--int8", "--calibrate", video, "--image-size", 64)
    assert done.exit_code == 0, done.output
    image = np.full((64, 64, 3), 110, np.uint8)  # about as bright as the footage
    found = [people_in(image, path, confidence=0.2) for path in (weights, out)]
    assert found[0].confidence == pytest.approx([0.3 + 110 / 255], abs=0.02)
    assert found[1].confidence == pytest.approx(found[0].confidence, abs=0.15)


def test_activations_stay_within_the_convolution_before_them(tmp_path):
    pytest.importorskip("nncf", reason="NNCF (the extra int8) is not installed")
    weights, video = write_convolution(tmp_path / "cells.onnx", activated=True), write_video(tmp_path / "door.mp4", 20)
    out = tmp_path / "cells_int8_openvino_model"
    done = export(weights, out, "--int8", "--calibrate", video, "--image-size", 64)
    assert done.exit_code == 0, done.output
    operations = openvino_detector.read_network(out / "cells.xml").get_ops()
    assert "FakeQuantize" in {one.get_type_name() for one in operations}
    products = [one for one in operations if one.get_friendly_name() == "/model.0/act/Mul"]
    given = {source.get_node().get_type_name() for one in products for source in one.input_values()}
    assert given == {"Add", "Sigmoid"}, "a FakeQuantize would part them"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["cells.onnx", "out_openvino_model", "--calibrate", "door.mp4"], ["--int8"], id="no precision"),
        pytest.param(["cells.onnx", "out_openvino_model", "--int8"], ["--calibrate"], id="no footage"),
        pytest.param(
            ["cells.onnx", "out", "--int8", "--calibrate", "door.mp4"], ["out", "_openvino_model"], id="another name"
        ),
        pytest.param(
            ["cells.onnx", "out_openvino_model", "--int8", "--calibrate", "none.mp4"], ["none.mp4"], id="no such video"
        ),
        pytest.param(
            ["cells.onnx", "out_openvino_model", "--int8", "--calibrate", "cells.onnx"], ["cells.onnx"], id="no video"
        ),
        pytest.param(
            ["none.onnx", "out_openvino_model", "--int8", "--calibrate", "door.mp4"], ["none.onnx"], id="no weights"
        ),
    ],
)
def test_mistakes_are_reported_in_one_line(tmp_path, monkeypatch, arguments, words):
    pytest.importorskip("nncf", reason="NNCF (the extra int8) is not installed")
    monkeypatch.chdir(tmp_path)
    write_convolution(tmp_path / "cells.onnx")
    write_video(tmp_path / "door.mp4", 20)
    done = export(*arguments)
    assert done.exit_code in (2, 4), done.output
    assert all(word in done.stderr for word in words)
    assert len([line for line in done.stderr.splitlines() if line.startswith(("reidpipe:", "Error:"))]) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("precision", "fast", "expected"),
    [("auto", True, BUNDLED_INT8), ("auto", False, BUNDLED), ("float", True, BUNDLED), ("int8", False, BUNDLED_INT8)],
)
def test_the_bundled_detector_comes_in_the_precision_that_suits_the_processor(monkeypatch, precision, fast, expected):
    monkeypatch.setattr(detect, "computes_int8", lambda: fast)
    assert detect._bundled(DetectorConfig(precision=precision)) == expected["person"]
    assert expected["person"].is_file()


def test_a_detector_of_ones_own_is_never_replaced(tmp_path):
    assert detect._bundled(DetectorConfig(weights="mine.onnx", precision="int8")) is None


def test_a_damaged_openvino_file_is_refused_in_one_line(tmp_path):
    folder = tmp_path / "bad_openvino_model"
    folder.mkdir()
    (folder / "bad.xml").write_text("<net>")
    (folder / "bad.bin").write_bytes(b"")
    with pytest.raises(detect.WeightsError, match=r"bad\.xml: is damaged or no OpenVINO model") as caught:
        open_detector(DetectorConfig(weights=str(folder)), threads=1)
    assert "\n" not in str(caught.value)
