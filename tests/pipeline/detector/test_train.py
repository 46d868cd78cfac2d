"""Training, export and evaluation of the person detector, on a small untrained network."""

import math

import cv2
import numpy as np
import onnx
import pytest
import torch

from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.detector.train import (
    BACKBONE_STAGES,
    PERSON,
    keep_backbone,
    keep_person_class,
    save,
    train_detector,
)
from reidpipe.pipeline.errors import WeightsError
from reidpipe.pipeline.evaluation.detector import score_against_truth, score_agreement
from reidpipe.pipeline.stages.detection.detect import open_detector

from ..media import write_video
from ..networks import write_detector


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """An untrained YOLOv8n with COCO's 80 classes, saved as ultralytics saves it."""
    from ultralytics import YOLO

    path = tmp_path_factory.mktemp("coco") / "coco.pt"
    torch.manual_seed(0)
    model = YOLO("yolov8n.yaml", verbose=False)
    model.model.names = {0: "person", **{index: f"thing {index}" for index in range(1, 80)}}
    model.save(path)
    return path


def test_keeping_the_person_class_does_not_change_its_outputs(coco):
    from ultralytics import YOLO

    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = YOLO(coco).model.float().eval()(image)[0]  # (1, 84, boxes)
        actual = keep_person_class(coco).eval()(image)[0]  # (1, 5, boxes)
    torch.testing.assert_close(actual[:, :4], expected[:, :4])
    torch.testing.assert_close(actual[:, 4], expected[:, 4 + PERSON])


def test_weights_that_are_none_are_refused_before_anything_is_labelled(coco, tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    for weights, start in ((tmp_path / "text.pt", None), (coco, tmp_path / "text.pt")):
        with pytest.raises(WeightsError, match=r"text\.pt cannot be loaded") as found:
            train_detector(weights, [], [], tmp_path / "out", start_from=start, trust_weights=True)
        assert len(str(found.value).splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["text.pt"]


def test_a_kept_backbone_is_an_average_with_the_original_and_frozen(coco):
    original, model = keep_person_class(coco), keep_person_class(coco)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    keep_backbone(model, original, 0.25)
    for stage, (own, first) in enumerate(zip(model.model, original.model, strict=True)):
        for one, before in zip(own.parameters(), first.parameters(), strict=True):
            shift = 0.75 if stage < BACKBONE_STAGES else 1.0
            torch.testing.assert_close(one, before + shift)
            assert one.requires_grad == (stage >= BACKBONE_STAGES and one is not model.model[-1].dfl.conv.weight)


def test_training_writes_a_model_that_the_pipeline_can_use(coco, tmp_path):
    scenes = tmp_path / "scenes"
    for part in ("images", "labels"):
        (scenes / part).mkdir(parents=True)
    for number in range(4):
        image = np.full((64, 96, 3), 90, np.uint8)
        image[10:50, 20 + number : 40 + number] = 250
        cv2.imwrite(str(scenes / "images" / f"{number}.jpg"), image)
        (scenes / "labels" / f"{number}.txt").write_text("0 0.3 0.47 0.2 0.6\n" if number else "")
    footage = write_video(tmp_path / "real.mp4", 4, size=(96, 64))
    out = tmp_path / "out"
    settings = {"every": 2, "epochs": 1, "hw": (64, 96), "batch": 2}
    exported = train_detector(coco, [scenes], [footage], out, **settings, trust_weights=True)
    detector = open_detector(DetectorConfig(weights=str(exported), confidence=0.0, image_size=96), 1)
    (found,) = detector.detect([image])
    assert found.xyxy.shape[1] == 4
    assert np.isfinite(found.xyxy).all()
    weights = [one for one in onnx.load(exported).graph.initializer if math.prod(one.dims) > 4096]
    assert {one.data_type for one in weights} == {onnx.TensorProto.FLOAT16}, "half the size"
    assert len(list((out / "real" / "labels").glob("*.txt"))) == 2
    before, after = (
        keep_person_class(coco).state_dict(),
        torch.load(out / "person.pt", weights_only=False)["model"].state_dict(),
    )
    assert any(not torch.equal(before[name].half(), after[name].half()) for name in before), "the weights have changed"


def test_a_training_can_go_on_from_an_earlier_one_with_other_images(coco, tmp_path):
    people_only = keep_person_class(coco)
    save(people_only, coco, tmp_path / "person.pt")
    again = keep_person_class(tmp_path / "person.pt")
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(image)[0], people_only.eval()(image)[0], rtol=0.01, atol=0.5)
    pictures = tmp_path / "photos"
    pictures.mkdir()
    for number in range(4):
        cv2.imwrite(str(pictures / f"{number}.jpg"), np.full((64, 96, 3), 40 * number, np.uint8))
    settings = {"every": 2, "epochs": 1, "hw": (64, 96), "batch": 2, "start_from": tmp_path / "person.pt"}
    train_detector(coco, [], [pictures], tmp_path / "out", **settings, trust_weights=True)
    assert len(list((tmp_path / "out" / "real" / "images").glob("*.jpg"))) == 2, "every second photo"


TRUTH = "frame,seconds,identity,x1,y1,x2,y2,visible_x1,visible_y1,visible_x2,visible_y2,visible,floor_x,floor_y\n"


def scene(tmp_path, boxes):
    """Five frames of one camera with a person at (288, 128, 352, 256), and a detector that finds `boxes`."""
    write_video(tmp_path / "a.mp4", 5, size=(640, 384))
    rows = [f"{frame},{frame / 10},1,288,128,352,256,288,128,352,256,1.0,0,0\n" for frame in range(5)]
    (tmp_path / "a.csv").write_text(TRUTH + "".join(rows))
    weights = write_detector(tmp_path / "found.onnx", boxes)
    detector = DetectorConfig(weights=str(weights), confidence=0.05)
    return Config(cameras={"a": CameraConfig(source=str(tmp_path / "a.mp4"))}, detector=detector)


@pytest.mark.parametrize(
    ("boxes", "precision", "recall"),
    [
        pytest.param([[320, 192, 64, 128, 0.9]], 1.0, 1.0, id="found"),
        pytest.param([[320, 192, 64, 128, 0.2]], 1.0, 0.0, id="found, below the confidence of recall"),
        pytest.param([[100, 192, 64, 128, 0.9]], 0.0, 0.0, id="somewhere else"),
        pytest.param([[320, 192, 64, 128, 0.8], [100, 192, 64, 128, 0.9]], 0.5, 1.0, id="a more confident false one"),
        pytest.param([[320, 192, 64, 128, 0.9], [100, 192, 64, 128, 0.8]], 1.0, 1.0, id="a less confident false one"),
    ],
)
def test_average_precision_of_known_boxes(tmp_path, boxes, precision, recall):
    camera, everything = score_against_truth(scene(tmp_path, boxes), tmp_path, 0.3)
    assert camera.average_precision == pytest.approx(precision, abs=0.01)
    assert camera.recall == pytest.approx(recall)
    assert (everything.camera, everything.people) == ("all", 5)
    assert everything.average_precision == camera.average_precision


def test_agreement_counts_found_and_false_boxes(tmp_path):
    config = scene(tmp_path, [[320, 192, 64, 128, 0.9], [100, 192, 64, 128, 0.9]])
    reference = write_detector(
        tmp_path / "reference.onnx", [[322, 192, 64, 128, 0.9], [500, 192, 64, 128, 0.9]], hw=(384, 640)
    )
    camera, _ = score_agreement(config, str(reference))
    assert (camera.reference_boxes, camera.found) == (10, 0.5)
    assert (camera.false_boxes, camera.reference_false_boxes) == (5, 0)


def test_a_bad_reference_is_named_as_the_option(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    config = Config(cameras={"door": CameraConfig(source="door.mp4")})
    with pytest.raises(WeightsError, match=r"^--reference: .*text\.onnx"):
        score_agreement(config, str(tmp_path / "text.onnx"))
