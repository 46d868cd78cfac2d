"""The command line of a run: stored rows, messages, invalid input and help."""

import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.connection.revision import VERSION_TABLE
from reidpipe.pipeline.storage.writing import writer
from reidpipe.pipeline.storage.writing.writer import RunWriter

from ..commands import reidpipe
from ..media import cut, damage, write_images, write_sound, write_video
from ..networks import PERSON, write_detector
from ..stored_runs import rows

OBSERVATIONS = """
    select cameras.name, tracklets.track_id, frame_index, seconds, x1, y1, x2, y2, confidence, visible,
    identities.number
    from boxes join tracklets on tracklets.id = tracklet_id join cameras on cameras.id = tracklets.camera_id
    left join identities on identities.id = identity_id
    where cameras.run_id = {} order by seconds, cameras.name, tracklets.track_id
"""


def test_every_frame_is_accounted_for_and_every_box_is_stored(store, tmp_path):
    done = reidpipe("run", "--cameras", store(), "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    counts = {one["camera"]: (one["decoded"], one["analysed"], one["dropped"]) for one in outcome["cameras"]}
    assert counts == {"left": (20, 20, 0), "right": (30, 30, 0)}
    stored = rows(tmp_path / "people.db", OBSERVATIONS.format(1))
    assert len(stored) == outcome["observations"] == 50
    assert stored[0][4:8] == (290, 170, 350, 310)
    assert outcome["identities"] == 1, "the same picture of the same person in both cameras"


def test_the_same_footage_twice_gives_the_same_rows(store, tmp_path):
    config = store()
    for _ in range(2):
        assert reidpipe("run", "--cameras", config, "--quiet").exit_code == 0
    first, second = (rows(tmp_path / "people.db", OBSERVATIONS.format(run)) for run in (1, 2))
    assert first == second
    assert len(first) == 50


def test_quiet_prints_nothing_and_the_summary_counts_the_results(store):
    config = store()
    assert reidpipe("run", "--cameras", config, "--quiet").output == ""
    summary = reidpipe("run", "--cameras", config).output
    assert all(word in summary for word in ("left", "right", "complete", "identities: 1,", "people.db"))


@pytest.mark.parametrize("thinning", [{"every": 2}, {"fps": 5}])
def test_thinned_frames_are_counted(store, tmp_path, thinning):
    write_video(tmp_path / "only.mp4", 20, size=(640, 480))
    done = reidpipe("run", "--cameras", store({"only": {"source": "only.mp4", **thinning}}), "--json")
    (camera,) = json.loads(done.stdout)["cameras"]
    assert (camera["decoded"], camera["analysed"], camera["thinned"]) == (20, 10, 10)


def empty(path):
    path.write_bytes(b"")
    return path


def not_video(path):
    path.write_text("these are words")
    return path


BAD_FOOTAGE = {
    "missing file": (lambda folder: folder / "gone.mp4", "gone.mp4"),
    "empty file": (lambda folder: empty(folder / "empty.mp4"), "empty"),
    "truncated file": (lambda folder: cut(write_video(folder / "cut.mp4", 40, size=(640, 480)), 0.6), "cut.mp4"),
    "audio only": (lambda folder: write_sound(folder / "sound.mp4"), "sound.mp4"),
    "no video at all": (lambda folder: not_video(folder / "words.mp4"), "words.mp4"),
    "folder without images": (lambda folder: write_images(folder / "none", 0), "none"),
    "segments that match nothing": (lambda folder: folder / "part_*.mp4", "part_*.mp4"),
}


@pytest.mark.parametrize(("make", "word"), BAD_FOOTAGE.values(), ids=BAD_FOOTAGE)
def test_a_failing_camera_is_reported_in_one_line_and_stops_no_other(store, tmp_path, make, word):
    write_video(tmp_path / "good.mp4", 20, size=(640, 480))
    config = store({"good": {"source": "good.mp4"}, "bad": {"source": str(make(tmp_path))}})
    done = reidpipe("run", "--cameras", config, "--quiet")
    assert done.exit_code == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert "bad" in done.stderr
    assert word in done.stderr
    assert rows(tmp_path / "people.db", "select status from runs") == [("partial",)]
    cameras = dict(rows(tmp_path / "people.db", "select name, status from cameras"))
    assert cameras["good"] == "complete"
    assert cameras["bad"] in ("failed", "partial")
    assert len(rows(tmp_path / "people.db", OBSERVATIONS.format(1))) >= 20


def test_results_before_a_video_breaks_are_kept(store, tmp_path):
    damage(write_video(tmp_path / "broken.mkv", 60, size=(640, 480)), 0.5, 0.95)
    done = reidpipe("run", "--cameras", store({"broken": {"source": "broken.mkv"}}), "--json")
    assert done.exit_code == 3
    (camera,) = json.loads(done.stdout)["cameras"]
    assert camera["status"] == "partial"
    assert 10 < camera["analysed"] < 60
    assert camera["decoded"] == camera["analysed"] + camera["thinned"] + camera["dropped"]


def test_images_of_odd_sizes_in_one_folder_are_counted_as_damaged(store, tmp_path):
    write_images(tmp_path / "photos", 6, size=(640, 480))
    write_images(tmp_path / "small", 1, size=(320, 240))
    (tmp_path / "small" / "frame_0.png").rename(tmp_path / "photos" / "frame_6.png")
    done = reidpipe("run", "--cameras", store({"photos": {"source": "photos", "fps": 10}}), "--json")
    (camera,) = json.loads(done.stdout)["cameras"]
    assert (camera["decoded"], camera["damaged"], done.exit_code) == (6, 1, 3)
    assert "frame_6.png" in camera["error"]


def twice_named(path):
    path.write_text(path.read_text().replace("  right:", "  left:"))


BAD_CONFIG = {
    "unknown key": ({"detecter": {}}, 2, ["detecter", "detector"]),
    "wrong type": ({"detector": {"batch": "four"}}, 2, ["detector.batch", "four"]),
    "out of range": ({"linking": {"false_link_rate": 7}}, 2, ["linking.false_link_rate"]),
    "unknown tracker": ({"tracker": {"name": "kalman"}}, 2, ["tracker.name", "bytetrack"]),
    "weights missing": ({"detector": {"weights": "gone.onnx"}}, 4, ["detector.weights", "gone.onnx"]),
    "appearance weights missing": ({"appearance": {"weights": "gone.onnx"}}, 4, ["appearance.weights", "gone.onnx"]),
    "database folder missing": ({"database": "/proc/none/people.db"}, 5, ["/proc/none"]),
}


@pytest.mark.parametrize(("sections", "code", "words"), BAD_CONFIG.values(), ids=BAD_CONFIG)
def test_an_invalid_config_is_reported_in_one_line(store, sections, code, words):
    done = reidpipe("run", "--cameras", store(**sections), "--quiet")
    assert done.exit_code == code, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)


def test_a_camera_named_twice_is_refused(store):
    config = store()
    twice_named(config)
    done = reidpipe("run", "--cameras", config)
    assert done.exit_code == 2
    assert "left" in done.stderr


def test_weights_without_a_person_class_are_refused(store, tmp_path):
    weights = write_detector(tmp_path / "dogs.onnx", PERSON, names="{0: 'dog'}")
    done = reidpipe("run", "--cameras", store(detector={"weights": str(weights)}), "--quiet")
    assert (done.exit_code, "no class called person" in done.stderr) == (4, True)


def test_a_corrupt_database_is_refused_and_left_as_it_was(store, tmp_path):
    (tmp_path / "people.db").write_bytes(b"not a database" * 100)
    done = reidpipe("run", "--cameras", store(), "--quiet")
    assert done.exit_code == 5
    assert "people.db" in done.stderr
    assert (tmp_path / "people.db").read_bytes() == b"not a database" * 100


def test_a_newer_database_is_refused(store, tmp_path):
    config = store()
    assert reidpipe("run", "--cameras", config, "--quiet").exit_code == 0
    with sqlite3.connect(tmp_path / "people.db") as connection:
        connection.execute(f"update {VERSION_TABLE} set version_num = '9999'")
    done = reidpipe("run", "--cameras", config, "--quiet")
    assert (done.exit_code, "newer" in done.stderr) == (5, True)


def test_every_camera_that_failed_is_named(store, tmp_path):
    write_video(tmp_path / "good.mp4", 10, size=(640, 480))
    cut(write_video(tmp_path / "cut.mkv", 40, size=(640, 480)), 0.6)
    cameras = {"good": {"source": "good.mp4"}, "door": {"source": "cut.mkv"}, "hall": {"source": "gone.mp4"}}
    config = store(cameras)
    done = reidpipe("run", "--cameras", config, "--quiet")
    assert done.exit_code == 3
    assert re.search(r"camera door: [^;]*cut\.mkv: .*; camera hall: [^;]*gone\.mp4: no such file", done.stderr)
    assert done.stderr.count("camera hall") == 1
    done = reidpipe("check", store({"good": {"source": "good.mp4"}, "hall": {"source": "gone.mp4"}}))
    assert "camera hall: " in done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "hall " in line)
    assert "0x0" not in row and "0.00" not in row, "what is not known is no number"


def test_help_is_quick_because_nothing_heavy_is_imported():
    program = (
        "import sys; from click.testing import CliRunner; from reidpipe.pipeline.cli.main import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; "
        "print([name for name in ('torch', 'cv2', 'ultralytics', 'sqlalchemy', 'supervision', 'numpy', 'rich') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_overview_of_commands_shows_whole_sentences():
    done = reidpipe("--help")
    assert done.exit_code == 0
    commands = done.output.partition("Commands:")[2]
    assert "run  " in commands
    assert "..." not in commands


def test_check_lists_every_camera_and_fails_if_one_is_bad(store, tmp_path):
    good = reidpipe("check", store())
    assert good.exit_code == 0
    assert "left" in good.output
    assert re.search(r"networks compute on this machine: detector in \w+, appearance in \w+", good.output)
    write_video(tmp_path / "fine.mp4", 5)
    bad = reidpipe("check", store({"fine": {"source": "fine.mp4"}, "gone": {"source": "gone.mp4"}}), "--json")
    assert bad.exit_code == 3
    report = json.loads(bad.stdout)
    assert [one["status"] for one in report["cameras"]] == ["ok", "failed"]


def test_check_names_bad_cameras_beside_a_bad_database(store, tmp_path):
    done = reidpipe("check", store({"left": {"source": "missing.mp4"}}, database=str(tmp_path)))
    assert done.exit_code == 5, done.output
    assert len(done.stderr.splitlines()) == 1
    assert "missing.mp4: no such file" in done.stderr
    assert "is a folder: give the path of a database file" in done.stderr


def test_a_full_disk_ends_a_run_with_one_line(store, monkeypatch, caplog):
    @contextmanager
    def full():
        raise StoreError("people.db: its disk is full: make room (what is already stored is kept)")
        yield

    initialise = RunWriter.__init__
    monkeypatch.setattr(RunWriter, "__init__", lambda self, _writing, *rest: initialise(self, full, *rest))
    monkeypatch.setattr(writer, "COMMIT_SECONDS", 0.0)  # it fails at once, and the cameras are stopped
    done = reidpipe("run", "--cameras", store(), "--quiet")
    assert done.exit_code == 5, done.output
    assert done.stderr.splitlines() == [
        "reidpipe: people.db: its disk is full: make room (what is already stored is kept)"]
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


@pytest.mark.skipif(not Path("/proc").exists() or os.name != "posix", reason="needs a POSIX system")
def test_an_export_to_a_missing_folder_is_reported(store, tmp_path):
    config = store()
    assert reidpipe("run", "--cameras", config, "--quiet").exit_code == 0
    done = reidpipe("export", "trajectories", "/proc/none/out.csv", "--cameras", config)
    assert done.exit_code == 6
    assert "/proc/none" in done.stderr
    done = reidpipe("export", "trajectories", tmp_path / "out.csv", "--cameras", config)
    assert (done.exit_code, len((tmp_path / "out.csv").read_text().splitlines())) == (0, 51)
