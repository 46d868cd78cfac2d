"""The pipeline benchmark, with every measurement in a process of its own."""

import json
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import psutil
import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.bench.process_memory import tree_mib
from reidpipe.pipeline.bench.speed import benchmark
from reidpipe.pipeline.bench.speed.benchmark import WARM_UP_FRAMES
from reidpipe.pipeline.bench.speed.compare import fallen_ratios, read_ratios
from reidpipe.pipeline.cli.main import main

from ...media import write_video
from ...networks import write_detector


@pytest.fixture
def config(tmp_path):
    weights = write_detector(tmp_path / "person.onnx", [[320, 240, 60, 140, 0.9]])
    for name in ("left", "right"):
        write_video(tmp_path / f"{name}.mp4", 20, size=(640, 480))
    path = tmp_path / "store.yaml"
    cameras = {name: {"source": f"{name}.mp4"} for name in ("left", "right")}
    path.write_text(yaml.safe_dump({"cameras": cameras, "detector": {"weights": str(weights)}, "database": "own.db"}))
    return path


def test_pipeline_and_bare_loop_go_through_the_same_frames(config, tmp_path):
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--rounds", "1", "--twice", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    ((pipeline, bare),) = result["rounds"]
    assert (pipeline["what"], bare["what"]) == ("pipeline", "bare")
    assert pipeline["frames"] == bare["frames"] == 40 > WARM_UP_FRAMES
    assert {"decode", "detect", "track", "embed", "link"} <= set(pipeline["stage_seconds"])
    assert set(bare["stage_seconds"]) == {"decode", "detect"}
    assert result["ratios"]["bare"] == pytest.approx(pipeline["frames_per_second"] / bare["frames_per_second"])
    assert result["peak_growth"] > 0.5
    assert pipeline["peak_mib"] > 100
    assert not (tmp_path / "own.db").exists(), "the config's own database is not touched"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("nowhere.pt", None, "no such baseline weights", id="missing"),
        pytest.param("damaged.pt", b"no weights", "is neither ONNX nor OpenVINO", id="untrusted"),
        pytest.param("notes.txt", b"no weights", "is neither ONNX nor OpenVINO", id="not weights"),
    ],
)
def test_an_unreadable_baseline_is_reported_before_anything_is_measured(config, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--baseline", str(tmp_path / name)])
    assert done.exit_code == 4, done.output
    assert name in done.output
    assert message in done.output


def test_the_deprecated_option_peer_still_names_the_baseline(config, tmp_path):
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--peer", str(tmp_path / "nowhere.pt")])
    assert done.exit_code == 4, done.output
    warning, error = done.stderr.splitlines()
    assert warning == "reidpipe: warning: --peer is deprecated, use --baseline"
    assert "nowhere.pt: no such baseline weights" in error


def test_other_numbers_of_cameras_and_threads_and_the_float_detector(config, tmp_path):
    chart = tmp_path / "out" / "bench.png"
    done = CliRunner().invoke(main, [
        "bench", "--cameras", str(config), "--rounds", "1", "--frames", "64", "--float", "--scale", "4",
        "--threads", "1", "--chart", str(chart), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert [one["what"] for one in result["rounds"][0]] == ["pipeline", "bare", "float"]
    assert set(result["ratios"]) == {"bare", "float"}
    assert [(one["cameras"], one["threads"] == 1) for one in result["scaling"]][1] == (2, True)
    assert result["scaling"][0]["cameras"] == 4
    assert 0 < result["rounds"][0][0]["first_frame_seconds"] < 120
    picture = cv2.imread(str(chart))
    assert picture.shape[0] > 200
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20, "bars in several colours"


def test_more_frames_than_asked_for_are_not_analysed(config):
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--rounds", "1", "--frames", "64",
                                     "--scale", "8", "--json"])
    result = json.loads(done.stdout)
    assert result["rounds"][0][0]["frames"] == 40
    assert [one["frames"] for one in result["scaling"]] == [160], "eight cameras show as much of their footage as two"
    assert done.exit_code == 0


def test_footage_that_is_too_short_is_reported(config, tmp_path):
    for name in ("left", "right"):
        write_video(tmp_path / f"{name}.mp4", 8, size=(640, 480))
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--rounds", "1"])
    assert done.exit_code != 0
    assert f"too short to measure: expected more than {WARM_UP_FRAMES} frames of each camera" in done.stderr


def test_fallen_ratios_are_found(tmp_path):
    path = tmp_path / "earlier.json"
    path.write_text(json.dumps({"result": {"ratios": {"bare": 0.8, "float": 1.5, "baseline a.pt": 2.0}}}))
    earlier = read_ratios(path)
    assert fallen_ratios(earlier, {"bare": 0.75, "float": 1.3}) == ["pipeline / float is 1.30, before 1.50"]
    assert fallen_ratios(earlier, earlier) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"ratios": 3}', '{"result": {"ratios": {"bare": "x"}}}'])
def test_a_file_without_ratios_is_reported(config, tmp_path, content):
    path = tmp_path / "earlier.json"
    path.write_text(content)
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--compare", str(path)])
    assert done.exit_code == 2, done.output
    assert "earlier.json" in done.output
    assert "ratios" in done.output


def test_other_code_is_measured_beside_this_code(config, tmp_path):
    program = tmp_path / "other" / ".venv" / "bin" / "reidpipe"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\nfrom reidpipe.pipeline.cli.main import main\n"
                       "if __name__ == '__main__':\n    main()\n")
    program.chmod(0o755)
    command = ["bench", "--cameras", str(config), "--rounds", "1", "--frames", "64", "--json", "--before"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "other")])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    ((pipeline, _, before),) = result["rounds"]
    assert before["what"] == "before"
    assert before["frames"] == pipeline["frames"]
    assert before["first_frame_seconds"] > 0
    assert result["ratios"]["before"] == pytest.approx(pipeline["frames_per_second"] / before["frames_per_second"])
    assert 100 < before["peak_mib"] < 2 * pipeline["peak_mib"]


def test_other_code_without_an_installed_command_is_reported_before_anything_is_measured(config, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "in_own_process", pytest.fail)
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--rounds", "1", "--before", str(tmp_path)])
    assert done.exit_code == 2, done.output
    assert "--before" in done.output
    assert ".venv/bin/reidpipe" in done.output


def test_memory_counts_processes_that_were_started():
    before = tree_mib(os.getpid())
    content = "x = bytearray(64 << 20); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", content], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        assert 60 < tree_mib(os.getpid()) - before < 120
        child.communicate(b"\n")


def test_a_measurement_ends_with_the_benchmark_that_is_killed(tmp_path):
    """Found by hand: it went on for an hour, and slowed all that was measured after it."""
    (tmp_path / "endless.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom reidpipe.pipeline.bench.own_process import in_own_process\n"
        "def measure():\n    Path('pid').write_text(str(os.getpid()))\n    time.sleep(600)\n"
        "if __name__ == '__main__':\n    in_own_process(measure)\n")
    benchmark = subprocess.Popen([sys.executable, "endless.py"], cwd=tmp_path)
    pid = tmp_path / "pid"
    assert _becomes_true(lambda: pid.exists() and pid.read_text() != "")
    benchmark.kill()
    benchmark.wait()
    assert _becomes_true(lambda: _has_ended(int(pid.read_text())))


def _has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # nobody may be there to collect it
    except psutil.NoSuchProcess:
        return True


def _becomes_true(is_so, seconds=60.0):
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    return is_so()
