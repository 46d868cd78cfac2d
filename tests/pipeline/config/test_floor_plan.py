"""The picture of the floor: where its pixels lie, what is stored of it, and what is wrong with it."""

import cv2
import numpy as np
import pytest

from reidpipe.pipeline.config import floor_plan
from reidpipe.pipeline.config.cameras import FloorPlanConfig
from reidpipe.pipeline.config.floor_plan import LONGEST_PX, read_floor_plan
from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.errors import ConfigError
from reidpipe.pipeline.running.check import check_config

GOOD = "cameras: {door: {source: door.mp4}}\n"
SCALE = "metres_per_pixel: 0.02, origin: [100, 200]"


def metres(matrix, x, y):
    return (np.array(matrix) @ [x, y, 1])[:2].tolist()


@pytest.fixture
def written(tmp_path):
    def write(section):
        path = tmp_path / "store.yaml"
        path.write_text(f"{GOOD}floor_plan: {{{section}}}\n")
        return path

    return write


def test_metres_grow_to_the_right_and_upwards_from_the_origin():
    matrix = FloorPlanConfig(image="a.png", metres_per_pixel=0.02, origin=(100, 200)).pixels_to_floor
    assert metres(matrix, 100, 200) == pytest.approx([0, 0])
    assert metres(matrix, 150, 100) == pytest.approx([1, 2])


@pytest.mark.parametrize(("points", "expected"), [
    pytest.param([(0, 0, 5, 6), (100, 0, 7, 6), (0, 100, 5, 8)], [6, 7], id="y downwards"),
    pytest.param([(0, 0, 0, 0), (100, 0, 0, 2), (0, 100, -2, 0), (100, 100, -2, 2)], [-1, 1], id="turned"),
])
def test_points_place_a_picture_of_any_orientation(points, expected):
    assert metres(FloorPlanConfig(image="a.png", points=points).pixels_to_floor, 50, 50) == pytest.approx(expected)


def test_the_stored_copy_is_small_and_keeps_its_place(tmp_path):
    cv2.imwrite(str(tmp_path / "plan.png"), np.full((1000, 2 * LONGEST_PX, 3), 255, np.uint8))
    plan = read_floor_plan(FloorPlanConfig(image=str(tmp_path / "plan.png"), metres_per_pixel=0.02, origin=(100, 200)))
    assert (plan.width, plan.height) == (LONGEST_PX, 500)
    assert plan.image[8:12] == b"WEBP"
    assert metres(plan.pixels_to_floor, 75, 50) == pytest.approx([1, 2])


def test_what_is_transparent_becomes_white(tmp_path):
    cv2.imwrite(str(tmp_path / "plan.png"), np.zeros((40, 40, 4), np.uint8))
    plan = read_floor_plan(FloorPlanConfig(image=str(tmp_path / "plan.png"), metres_per_pixel=1, origin=(0, 0)))
    assert cv2.imdecode(np.frombuffer(plan.image, np.uint8), cv2.IMREAD_COLOR).min() > 250


@pytest.mark.parametrize(("section", "line"), [
    pytest.param(SCALE, "floor_plan: give the picture as `image`", id="no picture"),
    pytest.param("image: a.png", "floor_plan: say where the picture lies: give `metres_per_pixel` and", id="no place"),
    pytest.param("image: a.png, metres_per_pixel: 0.02", "say where the picture lies", id="no origin"),
    pytest.param(f"image: a.png, {SCALE}, points: [[0, 0, 0, 0]]", "not both", id="two places"),
    pytest.param("image: a.png, metre_per_pixel: 1", "floor_plan.metre_per_pixel: unknown key, did you mean "
                 "metres_per_pixel?", id="near miss"),
    pytest.param("image: a.png, metres_per_pixel: 0, origin: [1, 2]", "metres_per_pixel: expected more than 0", id="0"),
    pytest.param("image: a.png, points: [[0, 0, 0, 0], [1, 0, 1, 0]]", "expected 3 to 1000 points, got 2", id="two"),
    pytest.param("image: a.png, points: [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]]", "do not lie on one line",
                 id="points on a line"),
    pytest.param("image: a.png, points: [[0, 0, 0, 0], [9, 0, 1, 0], [0, 9, 0, 3]]", "no plan to", id="stretched"),
    pytest.param("image: a.png, points: [[0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]]", "no plan to", id="one place"),
])
def test_a_wrong_section_is_one_line(written, section, line):
    with pytest.raises(ConfigError) as error:
        load_config(written(section))
    assert line in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert "(line 2)" in str(error.value)


def test_a_bad_picture_is_one_line(written, tmp_path, monkeypatch):
    monkeypatch.setattr(floor_plan, "LARGEST_FILE", 100)
    (tmp_path / "large.png").write_bytes(b"x" * 101)
    (tmp_path / "text.png").write_text("<svg/>")
    (tmp_path / "folder").mkdir()
    for name, expected in {
        "gone.png": "No such file", "x" * 300: "File name too long", "large.png": "is larger than",
        "folder": "is no file", "text.png": "expected a JPEG, PNG or WebP picture",
    }.items():
        problems = check_config(written(f"image: {name}, {SCALE}")).problems
        own = [line for line in problems if line.startswith(f"floor_plan.image: {tmp_path / name}: ")]
        assert len(own) == 1, problems
        assert expected in own[0]
        assert len(own[0].splitlines()) == 1
