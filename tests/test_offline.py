"""Nothing leaves the machine: every command runs without a network, contacts nobody and leaves no files at home."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from reidpipe import offline
from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.stages.detection.detect import BUNDLED
from reidpipe.reid.model.network import ModelSpec, create_model, packed_model

from .pipeline.media import write_video
from .pipeline.networks import PERSON, write_convolution, write_detector
from .pipeline.stored_runs import small_run

GUARD = Path(__file__).with_name("guarded_commands.py")
OUTSIDE = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*AF_INET6?\b")
DOCUMENTED = re.compile(  # docs/security.md lists them
    r"\.config(/Ultralytics(/(settings|persistent_cache)\.json)?|/matplotlib)?|\.cache(/matplotlib(/fontlist-v[\d.]+\.json)?)?"
)
RECIPE = {
    "train": ["crops"],
    "backbone": {"name": "osnet", "width": 0.25},
    "sampling": {"identities": 2, "crops": 2},
    "schedule": {"epochs": 1, "steps_per_epoch": 1},
    "held_out": {"identities": 2},
    "threads": 1,
}


def works(*command):
    """Whether the machine has a program and lets us use it."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0


@pytest.fixture(scope="module")
def outside_of_the_network():
    """The command prefix of a network namespace of its own, in which not even a name can be resolved."""
    return ["unshare", "--user", "--map-root-user", "--net"] if works("unshare", "-rn", "true") else []


@pytest.fixture(scope="module")
def traced():
    """Whether native calls can be traced here."""
    return works("strace", "-f", "-o", os.devnull, "true")


def guarded(folder, program, prefix, traced):
    """Run a program of Python arguments with a fresh home; returns its report, traced calls and the home's content."""
    home, trace = folder / "home", folder / "trace.txt"
    home.mkdir()
    tracer = ["strace", "-f", "-qq", "-e", "trace=%network", "-o", str(trace)] if traced else []
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TMPDIR", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": str(home)}
    done = subprocess.run(
        [*prefix, *tracer, sys.executable, *map(str, program)],
        check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    calls = [line for line in trace.read_text().splitlines() if OUTSIDE.search(line)] if traced else []
    return done, calls, sorted(str(path.relative_to(home)) for path in home.rglob("*"))


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Footage, crops, weights and truth: what the commands need."""
    folder = tmp_path_factory.mktemp("material")
    write_video(folder / "left.mp4", 20, size=(640, 480))
    write_video(folder / "right.mp4", 20, size=(640, 480))
    write_detector(folder / "person.onnx", PERSON)
    cameras = {"left": {"source": "left.mp4"}, "right": {"source": "right.mp4"}}
    config = {"cameras": cameras, "detector": {"weights": "./person.onnx"}, "database": "people.db", "threads": 1}
    (folder / "store.yaml").write_text(yaml.safe_dump(config))
    rows = "".join(f"{frame},1,290,170,350,310\n" for frame in range(12))
    (folder / "truth").mkdir()
    (folder / "truth" / "left.csv").write_text("frame,identity,x1,y1,x2,y2\n" + rows)
    rng = np.random.default_rng(0)
    for part, cameras in {"crops": (1, 2), "query": (1,), "bounding_box_test": (2,)}.items():
        (folder / part).mkdir()
        for pid in range(1, 6):
            for camid in cameras:
                for index in range(2):
                    name = f"{pid:04d}_c{camid}s1_{index:06d}_00.png"
                    cv2.imwrite(str(folder / part / name), rng.integers(0, 256, (96, 40, 3), np.uint8))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    shutil.copytree(folder / "crops", folder / "more_crops")
    sections = {"train": ["crops", "more_crops"], "held_out": {"identities": 0}, "leave_one_out": {"tests": [".", "."]}}
    (folder / "leave_one_out.yaml").write_text(yaml.safe_dump(RECIPE | sections))
    (folder / "discriminant.yaml").write_text(
        yaml.safe_dump(RECIPE | {"held_out": {"identities": 0}, "discriminant": {}}))
    spec = ModelSpec("plain-conv", width=0.25)
    torch.save(packed_model(spec, create_model(spec).state_dict()), folder / "best.pt")
    return folder


CROP = "query/0001_c1s1_000000_00.png"
COMMANDS = {
    "results": [
        ["check", "store.yaml"],
        ["run", "--cameras", "store.yaml"],
        ["runs", "--database", "people.db"],
        ["export", "trajectories", "out.csv", "--database", "people.db"],
        ["export", "trajectories", "out.parquet", "--format", "parquet", "--summary", "--database", "people.db"],
        ["evaluate", "--truth", "truth", "--database", "people.db"],
        ["sweep", "--truth", "truth", "--database", "people.db", "--out", "sweep.png"],
        ["render", "--out", "video", "--database", "people.db"],
        ["evaluate-detector", "--cameras", "store.yaml", "--truth", "truth"],
        ["evaluate-detector", "--cameras", "store.yaml", "--reference", "person.onnx"],
        ["bench", "--cameras", "store.yaml", "--rounds", "1", "--baseline", "person.onnx"],
        ["bench", "search", "--sizes", "300", "--dimensions", "64", "--rounds", "1", "--threads", "1"],
        ["calibrate", "--database", "people.db", "--out", "calibration.png"],
        ["link", "--database", "people.db"],
        ["identities", "list", "--database", "people.db"],
        ["search", "--image", CROP, "--database", "people.db", "--sheet", "found.png"],
        ["prune", "--crops", "1", "--database", "people.db"],
    ],
    "models": [
        ["train", "--config", "recipe.yaml", "--out", "trained"],
        ["ablate", "--config", "recipe.yaml", "--out", "ablated", "--seeds", "1", "--part", "triplet loss"],
        ["leave-one-out", "--config", "leave_one_out.yaml", "--out", "left"],
        ["fit-discriminant", "best.pt", "--config", "discriminant.yaml", "--out", "mapped.pt"],
        ["export-model", "best.pt", "model.onnx"],
        ["evaluate-reid", "--data", ".", "--page", "../page.png"],
        ["explain", CROP, "--out", "explained.png"],
        ["thin-detector", str(BUNDLED["person"]), "thin.onnx", "--footage", "left.mp4", "--steps", "2"],
    ],
}
WITH_WEIGHTS_OF_ULTRALYTICS = ["train-detector"]  # needs a checkpoint, see below
WITH_NNCF = ["export-detector"]  # an extra, see below
ENDED_BY_A_SIGNAL = ["serve"]  # see below, too


def test_every_command_is_guarded():
    named = {words[0] for group in COMMANDS.values() for words in group} | {
        *WITH_WEIGHTS_OF_ULTRALYTICS, *WITH_NNCF, *ENDED_BY_A_SIGNAL}
    assert named == set(main.commands)


def assert_offline(folder, done, calls, left, commands):
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((folder / "report.json").read_text())
    assert list(report["exit_codes"].values()) == [0] * len(commands), report["exit_codes"]
    assert report["events"] == [], "Python uses the network or starts another program"
    assert calls == [], "a native library uses the network"
    assert [name for name in left if not DOCUMENTED.fullmatch(name)] == [], "undocumented files in the home folder"


@pytest.mark.parametrize("group", sorted(COMMANDS))
def test_no_command_uses_the_network_or_leaves_files_at_home(
    tmp_path, material, outside_of_the_network, traced, group
):
    folder = tmp_path / "work"
    shutil.copytree(material, folder)
    program = [GUARD, folder / "report.json", json.dumps(COMMANDS[group])]
    assert_offline(folder, *guarded(folder, program, outside_of_the_network, traced), COMMANDS[group])


def test_quantising_a_detector_uses_no_network(tmp_path, outside_of_the_network, traced):
    pytest.importorskip("nncf", reason="NNCF (the extra int8) is not installed")
    write_convolution(tmp_path / "cells.onnx")
    write_video(tmp_path / "real.mp4", 20, size=(96, 64))
    command = ["export-detector", "cells.onnx", "cells_openvino_model", "--int8", "--calibrate", "real.mp4",
               "--image-size", "64"]
    program = [GUARD, tmp_path / "report.json", json.dumps([command])]
    assert_offline(tmp_path, *guarded(tmp_path, program, outside_of_the_network, traced), [command])


def test_training_a_detector_uses_no_network(tmp_path, outside_of_the_network, traced):
    from ultralytics import YOLO

    model = YOLO("yolov8n.yaml", verbose=False)
    model.model.names = {0: "person", **{index: f"thing {index}" for index in range(1, 80)}}
    model.save(tmp_path / "coco.pt")
    write_video(tmp_path / "real.mp4", 100, size=(96, 64))
    command = ["train-detector", "--trust-weights", "--weights", "coco.pt", "--footage", "real.mp4", "--out", "out",
               "--epochs", "1"]
    program = [GUARD, tmp_path / "report.json", json.dumps([command])]
    assert_offline(tmp_path, *guarded(tmp_path, program, outside_of_the_network, traced), [command])


def test_serving_the_review_page_contacts_nobody(tmp_path, outside_of_the_network, traced):
    pytest.importorskip("uvicorn", reason="needs the extra `web`")
    small_run(tmp_path / "people.db")
    command = ["serve", "--port", "0", "--database", "people.db"]
    program = f"""
import click, os, signal, sys, threading
sys.path.insert(0, {str(GUARD.parent)!r})
import guarded_commands as guard
def echo_and_end(text, write=click.echo, **options):
    write(text, **options)
    if "http://127.0.0.1:" in text:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
click.echo = echo_and_end
sys.addaudithook(guard.record)
guard.run([{command!r}])
guard.Path("report.json").write_text(guard.json.dumps(guard.report))
"""
    assert_offline(tmp_path, *guarded(tmp_path, ["-c", program], outside_of_the_network, traced), [command])


def test_the_guard_sees_python_and_native_calls(tmp_path, traced):
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    program = f"import sys; sys.path.insert(0, {str(GUARD.parent)!r}); import guarded_commands as guard; " \
        f"sys.addaudithook(guard.record); {code}; print(guard.report['events'])"
    done, calls, _ = guarded(tmp_path, ["-c", program], [], traced)
    assert "socket.sendto" in done.stdout, done.stderr
    assert len(calls) == traced


@pytest.mark.parametrize("package", ["reid", "trackers", "pipeline"])
def test_the_switches_are_set_before_the_first_dependency_is_imported(package):
    code = f"""
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"numpy", "torch", "onnxruntime", "openvino", "ultralytics", "supervision"}}:
            assert os.environ.get("ORT_DISABLE_TELEMETRY") == "1" and os.environ.get("YOLO_OFFLINE") == "true", name
            assert sys.modules["openvino_telemetry"] is None, name
sys.meta_path.insert(0, Watch())
import reidpipe.{package}
assert os.environ["YOLO_AUTOINSTALL"] == "false"
"""
    environment = {name: value for name, value in os.environ.items() if name not in offline.SWITCHES}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("switch", sorted(offline.SWITCHES))
def test_the_environment_cannot_switch_telemetry_on(switch):
    code = f"import os, reidpipe.reid; print(os.environ[{switch!r}])"
    environment = {**os.environ, switch: "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == offline.SWITCHES[switch]
