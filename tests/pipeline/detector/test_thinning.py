"""A thinner head learns the outputs of the old one, and the network runs as before."""

import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.detector.thinning import BINS, distillation_loss, thin_detector
from reidpipe.pipeline.stages.detection.detect import BUNDLED, open_detector

from ..media import write_video
from ..networks import write_convolution

PERSON = BUNDLED["person"]
SMALL = {"batch": 2, "hw": (64, 96)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(6):
        image = cv2.resize(rng.integers(0, 256, (6, 9, 3), np.uint8), (96, 64))
        cv2.imwrite(str(folder / f"{number}.jpg"), image)
    return folder


def outputs(weights, image):
    model = ov.Core().read_model(weights)
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    pixels = image[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    request.infer({0: np.ascontiguousarray(pixels)})
    return request.get_output_tensor(0).data[0].copy()  # (5, boxes)


def test_a_head_that_keeps_all_channels_starts_with_the_old_outputs(tmp_path, photos):
    thin = thin_detector(PERSON, [photos], tmp_path / "thin.onnx", channels=80, every=1, steps=1, **SMALL)
    image = cv2.imread(str(photos / "0.jpg"))
    old, new = outputs(PERSON, image), outputs(thin, image)
    np.testing.assert_allclose(new[:4], old[:4], atol=1.5)  # pixels; one step of training moves them a little
    np.testing.assert_allclose(new[4], old[4], atol=0.01)


def test_a_thin_head_learns_the_outputs_of_the_old_one(tmp_path, photos, caplog):
    caplog.set_level("INFO")
    for steps in (1, 60):
        thin_detector(PERSON, [photos], tmp_path / "thin.onnx", channels=16, every=1, steps=steps, **SMALL)
    first, *_, last = (float(re.search(r"boxes ([\d.]+)", line)[1]) for line in caplog.messages)
    assert last < first / 2
    assert "step 60 of 60" in caplog.text


def test_the_thin_detector_is_smaller_and_runs(tmp_path, photos):
    out = tmp_path / "thin.onnx"
    thin_detector(PERSON, [photos], out, channels=8, every=1, steps=1, **SMALL)
    assert out.stat().st_size < 0.98 * PERSON.stat().st_size
    detector = open_detector(DetectorConfig(weights=str(out), confidence=0.0, image_size=96), 1)
    (found,) = detector.detect([cv2.imread(str(photos / "0.jpg"))])
    assert np.isfinite(found.xyxy).all()
    onnx.checker.check_model(str(out), full_check=True)
    thin_detector(PERSON, [photos], out, channels=8, every=1, steps=1, **SMALL)  # its own output may be replaced


def random_outputs(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(1, 4 * BINS, 4, 6), (1, 1, 4, 6), (1, 4 * BINS, 2, 3), (1, 1, 2, 3)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_the_loss_is_smallest_for_the_same_outputs():
    wanted, other = random_outputs(0), random_outputs(1)
    same, different = distillation_loss(wanted, wanted), distillation_loss(other, wanted)
    assert same[1].item() == pytest.approx(0, abs=1e-5)
    assert different[1].item() > 0.1
    assert different[0].item() > same[0].item() + 0.1


def test_boxes_where_the_old_head_sees_nobody_do_not_count():
    wanted = random_outputs(0)
    wanted[1][:], wanted[3][:] = -30.0, -30.0
    wanted[1][0, 0, 0, 0] = 30.0  # but in one cell
    found = [one.clone() for one in wanted]
    found[0][:, :, 1:], found[2][:] = 0.0, 0.0
    assert distillation_loss(found, wanted)[1].item() == pytest.approx(0, abs=1e-5)
    found[0][:, :, 0, 0] = 0.0
    assert distillation_loss(found, wanted)[1].item() > 0.1


def refused(*arguments):
    done = CliRunner().invoke(main, ["thin-detector", *map(str, arguments)])
    assert done.exit_code != 0
    assert len(done.output.strip().splitlines()) == 1, done.output
    return done.output


def test_another_head_is_refused(tmp_path, photos):
    weights = write_convolution(tmp_path / "cells.onnx")
    assert "cells.onnx: expected the head of a YOLOv8" in refused(weights, tmp_path / "out.onnx", "--footage", photos)
    assert not (tmp_path / "out.onnx").exists()


def test_a_detector_whose_convolutions_share_constants_can_be_thinned(tmp_path, photos):
    from ultralytics import YOLO

    YOLO("yolov8n.yaml", verbose=False).save(tmp_path / "new.pt")  # untrained: many biases are equal
    exported = YOLO(tmp_path / "new.pt").export(format="onnx", imgsz=64, simplify=False, verbose=False)
    assert "Identity" in {node.op_type for node in onnx.load(exported).graph.node}
    thin = thin_detector(Path(exported), [photos], tmp_path / "thin.onnx", channels=8, every=1, steps=1, **SMALL)
    assert np.isfinite(outputs(thin, np.zeros((64, 64, 3), np.uint8))).all()


def test_a_video_that_is_none_is_refused(tmp_path):
    (tmp_path / "door.mp4").write_text("hello")
    said = refused(PERSON, tmp_path / "out.onnx", "--footage", tmp_path / "door.mp4")
    assert "door.mp4: is damaged or no video" in said


def test_the_input_is_not_replaced(tmp_path):
    weights, video = write_convolution(tmp_path / "cells.onnx"), write_video(tmp_path / "door.mp4", 4)
    before = weights.read_bytes()
    assert "cells.onnx" in refused(weights, weights, "--footage", video, "--force")
    assert weights.read_bytes() == before
