"""End to end on the small rendered store: run, evaluate and export with the bundled models."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.running.check import check_config

ROOT = Path(__file__).parents[1]
KIT = ROOT.parent / "shared" / "kit"


def reidpipe(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def small_store(tmp_path_factory):
    """Run the small store into a database of its own; returns its config and the outcome."""
    folder = tmp_path_factory.mktemp("small")
    text = (ROOT / "configs" / "tiny.yaml").read_text().replace("../sample_videos", str(ROOT / "sample_videos"))
    lines = [line for line in text.splitlines() if not line.startswith("database:")]
    path = folder / "small.yaml"
    path.write_text("\n".join([*lines, f"database: {folder / 'small.db'}"]))
    outcome = json.loads(reidpipe("run", "--cameras", path, "--json"))
    return path, outcome


def test_every_decodable_frame_is_accounted_for(small_store):
    _, outcome = small_store
    counts = {one["camera"]: (one["decoded"], one["analysed"], one["status"]) for one in outcome["cameras"]}
    assert counts == {"left": (100, 100, "complete"), "right": (100, 100, "complete")}


def test_people_keep_their_identity_across_cameras(small_store):
    path, outcome = small_store
    scores = json.loads(reidpipe("evaluate", "--cameras", path, "--truth", ROOT / "sample_videos/tiny/truth", "--json"))
    assert scores["people"] == 6
    # Well below the measured scores, well above those of unlinked or randomly linked tracklets.
    assert scores["cross_idf1"] > 0.6
    assert all(camera["mota"] > 0.6 for camera in scores["cameras"])
    assert 4 <= outcome["identities"] <= 12


def test_the_export_has_one_row_per_box_with_its_time(small_store, tmp_path):
    path, outcome = small_store
    reidpipe("export", "trajectories", tmp_path / "all.csv", "--cameras", path)
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["interpolated"] == "0" for row in rows) == outcome["observations"]
    assert all((row["confidence"] == "0.0") == (row["interpolated"] == "1") for row in rows)
    assert rows[0]["time"].startswith("2026-03-02T09:00:0")
    assert all(row["floor_x"] and row["floor_y"] for row in rows)
    shared = {
        identity
        for identity in {row["identity"] for row in rows} - {""}
        if {row["camera"] for row in rows if row["identity"] == identity} == {"left", "right"}
    }
    assert shared, "at least one identity is seen by both cameras"


def test_visits_add_up_to_the_observations_of_their_tracks(small_store, tmp_path):
    path, _ = small_store
    reidpipe("export", "trajectories", tmp_path / "all.csv", "--cameras", path)
    reidpipe("export", "trajectories", "--summary", tmp_path / "visits.csv", "--cameras", path)
    with (tmp_path / "all.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["interpolated"] == "0"]
    tracks = {(row["camera"], row["track"]) for row in rows if row["identity"]}
    identified = sum((row["camera"], row["track"]) in tracks for row in rows)
    with (tmp_path / "visits.csv").open() as file:
        assert sum(int(row["observations"]) for row in csv.DictReader(file)) == identified


def test_a_run_with_the_defaults_imports_no_large_package_that_it_does_not_need(tmp_path):
    text = (ROOT / "configs" / "tiny.yaml").read_text().replace("../sample_videos", str(ROOT / "sample_videos"))
    lines = [f"{line}\n    every: 20" if "source:" in line else line
             for line in text.splitlines() if not line.startswith("database:")]
    path = tmp_path / "small.yaml"
    path.write_text("\n".join([*lines, f"database: {tmp_path / 'small.db'}"]))
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from reidpipe.pipeline.config.loader import load_config\n"
        "from reidpipe.pipeline.listener import Silent\n"
        "from reidpipe.pipeline.run import run_pipeline\n"
        f"outcome = run_pipeline(load_config(Path({str(path)!r})), Silent(), threading.Event())\n"
        "assert outcome.observations > 0\n"
        "print({'torch', 'ultralytics', 'supervision', 'scipy', 'av'} & set(sys.modules))\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


@pytest.mark.parametrize("name", ["store.yaml", "tiny.yaml"])
def test_the_sample_configs_are_valid(name):
    report = check_config(ROOT / "configs" / name)
    assert report.ok, (report.problems, [camera.error for camera in report.cameras])


@pytest.mark.skipif(not KIT.is_dir(), reason="the development kit is not beside this checkout")
def test_people_keep_their_identity_across_four_real_cameras(tmp_path):
    cameras = {f"cam{number}": f"{KIT}/mc/lab4/cam{number}.mp4" for number in range(4)}
    listed = "".join(f"  {name}: {{source: {source}, every: 5}}\n" for name, source in cameras.items())
    path = tmp_path / "lab.yaml"
    path.write_text(f"database: lab.db\ncameras:\n{listed}")
    outcome = json.loads(reidpipe("run", "--cameras", path, "--json"))
    assert all(camera["decoded"] == 268 for camera in outcome["cameras"])
    scores = json.loads(
        reidpipe("evaluate", "--cameras", path, "--truth", KIT / "mc/lab4/gt", "--labelled-only", "--json")
    )
    assert scores["cross_idf1"] > 0.6
