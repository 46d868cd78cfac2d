"""Files of every kind that a command reads, and configs of small runs."""

import cv2
import numpy as np
import pytest
import torch
import yaml

from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.reid.model.network import ModelSpec, create_model, packed_model
from tests.pipeline.media import write_images, write_video
from tests.pipeline.networks import PERSON, write_detector
from tests.pipeline.stored_runs import boxes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store that was run once, with crops, a recipe and a checkpoint."""
    folder = tmp_path_factory.mktemp("world")
    footage = write_video(folder / "door.mp4", 4)
    write_images(folder / "photos", 2)
    weights = write_detector(folder / "detector.onnx", PERSON)
    cameras = {"door": CameraConfig(source=str(footage)), "photos": CameraConfig(source=str(folder / "photos"), fps=5)}
    config = Config(cameras=cameras, database=str(folder / "people.db"), detector={"weights": str(weights)})
    (folder / "store.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_none=True)))
    with (
        Store.open(folder / "people.db", create=True) as store,
        store.start_run(config.model_dump_json(), [CameraRow(name, one.source, 64, 48, 10.0, 0.0)
                                                   for name, one in cameras.items()]) as run,
    ):
        run.add_observations(boxes(0, [1]))
        run.finish("complete")
    crop = np.full((32, 16, 3), 90, np.uint8)
    cv2.imwrite(str(folder / "crop.png"), crop)
    for camid, name in enumerate(("query", "bounding_box_test", "bounding_box_train"), 1):
        (folder / "crops" / name).mkdir(parents=True)
        for pid in (1, 2):
            cv2.imwrite(str(folder / "crops" / name / f"{pid:04d}_c{camid}s1_000001_00.png"), crop)
    spec = ModelSpec("plain-conv", width=0.25)
    torch.save(packed_model(spec, create_model(spec).state_dict()), folder / "best.pt")
    recipe = {"train": [str(folder / "crops")], "held_out": {"identities": 0}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    crops = [str(folder / "crops" / name) for name in ("bounding_box_train", "bounding_box_test")]
    tests = {"leave_one_out": {"tests": [str(folder / "crops")] * 2}}
    (folder / "left.yaml").write_text(yaml.safe_dump(recipe | {"train": crops} | tests))
    (folder / "study.yaml").write_text(yaml.safe_dump(recipe | {"held_out": {"identities": 1}}))
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return write_detector(tmp_path_factory.mktemp("weights") / "person.onnx", PERSON)


@pytest.fixture
def store(tmp_path, detector):
    """Write a config with the given cameras, by default two valid ones."""

    def write(cameras=None, **sections):
        if cameras is None:
            write_video(tmp_path / "left.mp4", 20, size=(640, 480))
            write_video(tmp_path / "right.mp4", 30, size=(640, 480))
            cameras = {"left": {"source": "left.mp4"}, "right": {"source": "right.mp4"}}
        short = {"min_seconds": 3}  # of five seconds of footage
        sections = {"detector": {"weights": str(detector)}, "linking": short, "database": "people.db", **sections}
        path = tmp_path / "store.yaml"
        path.write_text(yaml.safe_dump({"cameras": cameras, **sections}))
        return path

    return write
