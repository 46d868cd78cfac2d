"""Linking a stored run again: the run's own setting gives its own identities, and the curve is drawn."""

import csv
import io
import json

import cv2
import numpy as np
import pytest

from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.errors import ConfigError
from reidpipe.pipeline.evaluation.linking.baseline import clusterings
from reidpipe.pipeline.evaluation.linking.sweep import parse_values, sweep_csv, sweep_run
from reidpipe.pipeline.evaluation.tracking import evaluate_run
from reidpipe.pipeline.linking.linker import link_tracklets
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Observations, Tracklet
from reidpipe.reid import Appearance
from tests.pipeline.commands import reidpipe

ANNA, BEN = 0.0, 1.1  # directions of their embeddings, radians
BOX = np.array([[10, 20, 60, 180]], np.float32)
VISITS = [("door", 1, 0, ANNA), ("door", 2, 20, BEN), ("hall", 1, 40, ANNA + 0.5), ("hall", 2, 60, BEN + 0.5)]


def visit(camera: str, track: int, first: int, angle: float) -> Tracklet:
    embedding = np.array([[np.cos(angle), np.sin(angle), 0, 0]], np.float32)
    return Tracklet(camera, track, first / 10, (first + 9) / 10, 10, Appearance(embedding, np.ones_like(embedding)))


@pytest.fixture
def database(tmp_path):
    """Two people at the door, then in the hall; the default links them correctly."""
    own = {"linking": {"false_link_rate": 0.3, "min_seconds": 0}}
    with Store.open(tmp_path / "a.db", create=True) as store:
        cameras = [CameraRow(name, "x", 640, 480, 10.0, 0.0) for name in ("door", "hall")]
        with store.start_run(json.dumps(own), cameras) as run:
            tracklets = [visit(*row) for row in VISITS]
            for camera, track, first, _ in VISITS:
                for frame in range(first, first + 10):
                    run.add_observations(Observations(
                        camera, frame, frame / 10, np.array([track]), BOX, np.ones(1, np.float32),
                        np.ones(1, np.float32)))
            for tracklet in tracklets:
                run.add_tracklet(tracklet)
            run.add_links(link_tracklets(tracklets, LinkingConfig(**own["linking"])))
    truth = tmp_path / "truth"
    truth.mkdir()
    for camera in ("door", "hall"):
        lines = [f"{frame},{'anna' if angle < 1 else 'ben'},10,20,60,180"
                 for name, _, first, angle in VISITS if name == camera for frame in range(first, first + 10)]
        (truth / f"{camera}.csv").write_text("frame,identity,x1,y1,x2,y2\n" + "\n".join(lines) + "\n")
    return tmp_path / "a.db", truth


def test_the_runs_own_setting_scores_as_the_run_itself(database):
    path, truth = database
    with Store.open(path) as store:
        sweep = sweep_run(store, truth, {"false_link_rate": [0.999999, 0.3, 0.001]})
        own = evaluate_run(store, truth)
    assert sweep.current.setting == {"false_link_rate": 0.3}
    assert (sweep.current.idf1, sweep.current.assa) == (own.cross_idf1, own.cross_assa)
    assert [point.identities for point in sweep.points] == [1, 2, 4]
    assert [(point.false, point.missed) for point in sweep.points] == [(1, 0), (0, 0), (0, 2)]
    assert [point.idf1 for point in sweep.points] == pytest.approx([0.5, 1.0, 0.5])
    assert sweep.best == sweep.current
    assert (sweep.people, sweep.tracklets_idf1, sweep.detection_idf1) == (2, 1.0, 1.0)


def test_the_baseline_has_the_threshold_that_suits_the_ground_truth(database):
    path, truth = database
    with Store.open(path) as store:
        baseline = sweep_run(store, truth, {"false_link_rate": [0.3]}).baseline
    assert (baseline.idf1, baseline.identities, baseline.false, baseline.missed) == (1.0, 2, 0, 0)
    assert baseline.setting["similarity"] < np.cos(0.5)


def test_the_baseline_knows_neither_time_nor_masks():
    """Two people whom one camera sees at once look the same: only time tells them apart."""
    pair = [visit("door", 1, 0, ANNA), visit("door", 2, 0, ANNA + 0.1)]
    found = dict(clusterings(pair))
    assert len(set(found[0.9].values())) == 1
    assert list(clusterings(pair[:1])) == []


def test_all_combinations_of_several_keys_are_scored_in_order(database):
    path, truth = database
    with Store.open(path) as store:
        sweep = sweep_run(store, truth, {"mode": ["joint", "plain"], "max_gap_seconds": ["1", "9"]})
    assert [(one.setting["mode"], one.setting["max_gap_seconds"]) for one in sweep.points] == [
        ("joint", 1.0), ("joint", 9.0), ("plain", 1.0), ("plain", 9.0)]
    assert [one.identities for one in sweep.points] == [4, 2, 4, 2], "the same person returns after 3 seconds"
    rows = list(csv.DictReader(io.StringIO(sweep_csv(sweep))))
    assert [float(row["idf1"]) for row in rows] == [one.idf1 for one in sweep.points]
    assert rows[0]["mode"] == "joint"


@pytest.mark.parametrize("best", [
    pytest.param([0.2, 0.5, 0.55, 0.6, 0.9], id="a plateau"), pytest.param([0.55], id="one point"),
])
def test_the_best_is_the_middle_of_the_plateau_unless_the_run_is_on_it(database, best):
    path, truth = database
    with Store.open(path) as store:
        assert sweep_run(store, truth, {"false_link_rate": best}).best.setting == {"false_link_rate": 0.3}
        assert sweep_run(store, truth, {"false_link_rate": best, "max_gap_seconds": [1, 9, 99, 999]}).best.idf1 == 1.0


@pytest.mark.parametrize(("text", "values"), [
    ("0.3:0.6:0.1", [0.3, 0.4, 0.5, 0.6]), ("0.5:0.5:1", [0.5]), ("1:10:4", [1, 5, 9]),
    ("joint, plain", ["joint", "plain"]), ("5", ["5"]),
])
def test_values(text, values):
    assert parse_values("false_link_rate", text) == values


@pytest.mark.parametrize("text", ["0.3:0.6", "0.6:0.3:0.1", "0.3:0.6:0", "a:b:c", "0:1e9:1", "0:nan:1", "0:1:-1"])
def test_invalid_ranges_are_refused(text):
    with pytest.raises(ConfigError, match="false_link_rate: expected first:last:step"):
        parse_values("false_link_rate", text)


def test_the_command_draws_the_curve_and_writes_csv_and_json(database, tmp_path):
    path, truth = database
    out, table = tmp_path / "new" / "sweep.png", tmp_path / "new" / "sweep.csv"
    done = reidpipe("sweep", "--truth", truth, "--database", path, "--false-link-rate", "0.4:0.9:0.1", "--mode",
                    "joint,query", "--out", out, "--csv", table, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert len(result["points"]) == 12
    assert result["best"]["idf1"] == 1.0
    assert len(table.read_text().splitlines()) == 13
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 500
    assert picture.std() > 10, "something is drawn"


@pytest.mark.parametrize("grid", [["--mode", "joint,plain"], ["--set", "min_observations=1,5,50"], []])
def test_every_kind_of_grid_can_be_drawn(database, tmp_path, grid):
    path, truth = database
    done = reidpipe("sweep", "--truth", truth, "--database", path, "--out", tmp_path / "a.png", *grid)
    assert done.exit_code == 0, done.output
    assert "this run, best" in done.stdout
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(("arguments", "words"), [
    pytest.param(["--set", "max_gap=5"], ["linking.max_gap", "max_gap_seconds"], id="unknown key"),
    pytest.param(["--set", "max_gap_seconds"], ["--set", "KEY=VALUES"], id="no values"),
    pytest.param(["--false-link-rate", "0.3:7:0.1"], ["linking.false_link_rate", "less than 1"], id="out of range"),
    pytest.param(["--mode", "masked"], ["linking.mode", "joint"], id="unknown mode"),
    pytest.param(["--false-link-rate", "0.0005:0.9995:0.0009", "--mode", "joint,plain"], ["2222 settings", "2000"],
                 id="too many"),
    pytest.param(["--out", "curve.jpg"], ["curve.jpg", ".png"], id="not a PNG"),
])
def test_invalid_grids_are_reported_in_one_line(database, arguments, words):
    path, truth = database
    done = reidpipe("sweep", "--truth", truth, "--database", path, *arguments)
    assert done.exit_code == (6 if "--out" in arguments else 2), done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)
