"""`reidpipe check` reports every problem; one bad camera hides no other."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.pipeline.errors import ConfigError, OutputError
from reidpipe.pipeline.output.floors import draw_floors
from reidpipe.pipeline.running.check import check_config

from ..media import cut, write_images, write_video
from ..networks import write_detector, write_embedder


@pytest.fixture
def checked(tmp_path, tmp_path_factory):
    def check(text):
        path = tmp_path / "store.yaml"
        small = "".join(f"{key}: {{weights: {value}}}\n" for key, value in models.items() if f"{key}:" not in text)
        path.write_text(f"{text}\n{small}")
        return check_config(path)

    folder = tmp_path_factory.mktemp("models")
    models = {
        "detector": write_detector(folder / "person.onnx", [[32, 32, 20, 40, 0.9]]),
        "appearance": write_embedder(folder / "appearance.onnx"),
    }
    write_video(tmp_path / "entrance.mp4", 20)
    return check


def test_rows_describe_the_footage(checked, tmp_path):
    write_images(tmp_path / "aisle", 6)
    for part in (1, 2):
        write_video(tmp_path / f"till_{part}.mkv", 10)
    report = checked("""
cameras:
  entrance: {source: entrance.mp4, start_time: 2024-05-01T10:00:00+02:00, offset: 0.5}
  aisle: {source: aisle, start_time: 2024-05-01, fps: 2}
  till: {source: till_*.mkv, start_time: 2024-05-01}
""")
    entrance, aisle, till = report.cameras
    assert (entrance.camera, entrance.kind, entrance.status, entrance.error) == ("entrance", "video", "ok", "")
    assert (entrance.width, entrance.height, entrance.fps, entrance.frame_count) == (64, 48, 10.0, 20)
    assert entrance.duration_seconds == pytest.approx(2.0)
    assert entrance.start_time == "2024-05-01T08:00:00.500000Z"
    assert (aisle.kind, len(aisle.files), aisle.duration_seconds) == ("images", 6, 3.0)
    assert aisle.start_time == "2024-05-01T00:00:00Z"
    assert (till.kind, [path.name for path in till.files]) == ("segments", ["till_1.mkv", "till_2.mkv"])
    assert till.frame_count == pytest.approx(20, abs=2)
    assert report.problems == ()
    assert report.ok


def test_one_bad_camera_hides_no_other(checked, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    report = checked("""
cameras:
  empty: {source: empty.mp4}
  missing: {source: entrence.mp4}
  live: {source: 'rtsp://admin:secret@10.0.0.7/1'}
  none: {source: 'none/*.mp4'}
  entrance: {source: entrance.mp4}
""")
    assert [row.status for row in report.cameras] == ["failed"] * 4 + ["ok"]
    errors = {row.camera: row.error for row in report.cameras}
    assert errors["empty"] == f"{tmp_path}/empty.mp4: is empty (0 bytes); copy it again from the recorder"
    assert errors["missing"].endswith("did you mean entrance.mp4?")
    assert errors["live"].startswith("rtsp://10.0.0.7/...: live sources are not supported yet")
    assert not report.ok


def test_damaged_segments_are_found_before_the_run(checked, tmp_path):
    for part in (1, 2, 3):
        write_video(tmp_path / f"till_{part}.mp4", 10)
    cut(tmp_path / "till_2.mp4")
    (tmp_path / "till_3.mp4").write_bytes(b"")
    (row,) = checked("cameras: {till: {source: 'till_*.mp4'}}").cameras
    assert row.status == "partial"
    assert "till_2.mp4: was cut off" in row.error
    assert row.error.endswith("(and 1 more)")


CAMERA = "cameras: {entrance: {source: entrance.mp4}}\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("detector: {weights: w/mine.onnx}", "detector.weights: no such file {folder}/w/mine.onnx"),
        ("appearance: {weights: dpmp}", "appearance.weights: dpmp: no such weights file, did you mean dpmpp?"),
        ("database: .", "database: {folder} is a folder: give the path of a database file"),
        ("database: ':memory:'", "database: sqlite in memory keeps nothing: give the path of a file"),
        ("database: 'sqlite://'", "database: sqlite in memory keeps nothing: give the path of a file"),
        ("database: 'sqlite:///:memory:'", "database: sqlite in memory keeps nothing: give the path of a file"),
        (
            "database: entrance.mp4/out.db",
            "database: {folder}/entrance.mp4/out.db cannot be written: check the permissions, or give another path",
        ),
    ],
)
def test_weights_and_database_are_checked_too(line, problem, checked, tmp_path):
    report = checked(CAMERA + line)
    assert report.problems == (problem.format(folder=tmp_path),)
    assert not report.ok


@pytest.mark.parametrize(
    "line",
    [
        "database: out.db",
        "database: no/out.db",
        "threads: 2",
    ],
)
def test_what_a_run_would_make_is_accepted_and_not_made(line, checked, tmp_path):
    assert checked(CAMERA + line).ok
    assert {path.name for path in tmp_path.iterdir()} == {"entrance.mp4", "store.yaml"}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user can write everywhere")
def test_a_folder_that_cannot_be_written_is_reported(checked, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    (problem,) = checked(CAMERA + "database: locked/out.db").problems
    assert "cannot be written" in problem


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that even root cannot write")
@pytest.mark.parametrize("database", ["/proc/out.db", "/proc/new/out.db", "/sys/out.db"])
def test_a_file_system_without_files_of_users_is_reported(database, checked):
    advice = "cannot be written: check the permissions, or give another path"
    assert checked(CAMERA + f"database: {database}").problems == (f"database: {database} {advice}",)


def test_the_last_possible_time_is_within_the_calendar(checked):
    camera = "{source: entrance.mp4, start_time: 2200-12-31, offset: 1e9}"
    (row,) = checked(f"cameras: {{entrance: {camera}}}").cameras
    assert row.start_time == "2232-09-08T01:46:40Z"


def test_a_bad_config_is_raised_to_the_caller(checked):
    with pytest.raises(ConfigError, match="unknown key"):
        checked(CAMERA + "foo: 1")


def test_cameras_with_and_without_start_time_are_refused(checked):
    with pytest.raises(ConfigError, match="entrance has a start_time, till has none"):
        checked("cameras: {entrance: {source: entrance.mp4, start_time: 2024-05-01}, till: {source: entrance.mp4}}")


def test_unreadable_names_are_reported_where_they_are_used(checked):
    name = "x" * 300  # too long for a file name
    report = checked(f"cameras: {{entrance: {{source: {name}}}}}\n" + "\n".join(
        [f"database: {name}", f"detector: {{weights: w/{name}}}", f"appearance: {{weights: {name}}}"]))
    assert "File name too long" in report.cameras[0].error
    assert [problem.split(":")[0] for problem in report.problems] == [
        "detector.weights", "appearance.weights", "database"]


def test_floors_are_drawn_for_cameras_that_have_one(checked, tmp_path):
    checked("""
cameras:
  entrance: {source: entrance.mp4, homography: [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]}
  aisle: {source: entrance.mp4}
""")
    written = draw_floors(tmp_path / "store.yaml", tmp_path / "floors")
    assert [path.name for path in written] == ["entrance.png"]
    assert cv2.imread(str(written[0])).shape == (48, 64, 3)
    draw_floors(tmp_path / "store.yaml", tmp_path / "floors")  # its own drawings may be replaced
    (tmp_path / "floors" / "entrance.png").write_bytes(b"a picture of somebody else")
    with pytest.raises(OutputError, match=r"entrance\.png"):
        draw_floors(tmp_path / "store.yaml", tmp_path / "floors")


def test_the_plan_is_drawn_with_its_grid_beside_a_camera_of_its_name(checked, tmp_path):
    cv2.imwrite(str(tmp_path / "plan.png"), np.full((300, 400, 3), 255, np.uint8))
    checked("""
cameras: {floor_plan: {source: entrance.mp4, homography: [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]}}
floor_plan: {image: plan.png, metres_per_pixel: 0.02, origin: [100, 250]}
""")
    written = draw_floors(tmp_path / "store.yaml", tmp_path / "floors")
    assert [path.name for path in written] == ["floor_plan_.png", "floor_plan.png"]
    drawn = cv2.imread(str(written[0]))
    assert drawn.shape == (300, 400, 3)
    blue, _, red = drawn[125, 100].astype(int)  # on the line of x = 0
    assert red > blue + 50


def test_without_any_floor_there_is_nothing_to_draw(checked, tmp_path):
    checked("cameras: {entrance: {source: entrance.mp4}}")
    with pytest.raises(ConfigError, match="no camera has a homography or floor_points"):
        draw_floors(tmp_path / "store.yaml", tmp_path / "floors")


def test_a_check_says_what_each_network_computes_with(checked):
    report = checked(CAMERA)
    floats = {"float32", "bfloat16", "float16"}
    assert set(report.arithmetic) == {"detector", "appearance"}
    assert set(report.arithmetic.values()) <= floats, "tiny networks without 8-bit integers"
    int8 = checked(CAMERA + "detector: {precision: int8}\nappearance: {precision: int8}")
    assert {one.removeprefix("int8 and ") for one in int8.arithmetic.values()} <= floats
    assert all(one.startswith("int8 and ") for one in int8.arithmetic.values())


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("cameras: {entrance: {source: gone.mp4}}", {"appearance"}),
        (CAMERA + "detector: {weights: w/mine.onnx}", {"appearance"}),
        (CAMERA + "appearance: {weights: w/mine.onnx}", {"detector"}),
    ],
    ids=["no camera to try the detector on", "no detector", "no appearance model"],
)
def test_nothing_is_said_of_a_network_that_was_not_tried(line, reported, checked):
    assert set(checked(line).arithmetic) == reported
