"""The picture of the floor that a run stores."""

import cv2
import numpy as np
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.storage.floor_plans import read_floor_plan
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.media import write_video
from tests.pipeline.networks import write_detector, write_embedder


def test_a_run_stores_the_picture_that_its_config_names(tmp_path):
    write_video(tmp_path / "door.mp4", 6)
    cv2.imwrite(str(tmp_path / "plan.png"), np.full((60, 80, 3), 200, np.uint8))
    config = {
        "cameras": {"door": {"source": "door.mp4"}}, "database": "store.db",
        "detector": {"weights": str(write_detector(tmp_path / "detector.onnx", [[32, 32, 20, 40, 0.9]]))},
        "appearance": {"weights": str(write_embedder(tmp_path / "appearance.onnx"))},
        "floor_plan": {"image": "plan.png", "metres_per_pixel": 0.1, "origin": [10, 60]}}
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(main, ["run", "--quiet", "--cameras", str(tmp_path / "store.yaml")])
    assert done.exit_code == 0, done.output
    (tmp_path / "plan.png").unlink()
    with Store.open(tmp_path / "store.db") as store, store.reading() as connection:
        plan = read_floor_plan(connection, 1)
    assert (plan.width, plan.height, plan.pixels_to_floor[0]) == (80, 60, [0.1, 0, -1])
    done = CliRunner().invoke(main, ["run", "--quiet", "--cameras", str(tmp_path / "store.yaml")])
    assert (done.exit_code, "floor_plan.image: " in done.output, len(done.output.splitlines())) == (2, True, 1)
