"""Stored runs are linked again as a new set of links, and their identities are checked."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.errors import ConfigError, StoreError
from reidpipe.pipeline.relinking.relink import relink
from reidpipe.pipeline.relinking.violations import find_violations
from reidpipe.pipeline.storage.link_sets import list_link_sets, select_link_set
from reidpipe.pipeline.storage.runs import find_run
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Link, Observations, Tracklet
from reidpipe.reid import Appearance
from tests.pipeline.stored_runs import identities

FLOOR = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]  # 100 pixels are a metre


def looks(person):
    row = np.eye(4, dtype=np.float32)[person]
    return Appearance((row / np.linalg.norm(row))[None], np.ones((1, 4), np.float32))


def stored(path, tracklets, links, config='{"linking": {"max_gap_seconds": 100}}'):
    """A run of tracklets (camera, track, first second, last second, person, x in pixels), one box a second."""
    with Store.open(path, create=True) as store:
        cameras = [CameraRow(name, f"{name}.mp4", 9000, 480, 1.0, 0.0, FLOOR) for name in ("door", "hall")]
        with store.start_run(config, cameras) as run:
            for camera, track, first, last, person, x in tracklets:
                for second in range(first, last + 1):
                    run.add_observations(Observations(
                        camera, 1000 * track + second, float(second), np.array([track]),
                        np.array([[x, 0, x + 40, 100]], np.float32), np.ones(1, np.float32), np.ones(1, np.float32)))
                run.add_tracklet(Tracklet(camera, track, first, last, last - first + 1, looks(person)))
            run.add_links([Link(camera, track, identity, None, None, None) for camera, track, identity in links])


PEOPLE = [("door", 1, 0, 9, 0, 100), ("door", 2, 20, 29, 1, 100), ("hall", 1, 40, 49, 0, 300)]


@pytest.fixture
def database(tmp_path) -> Path:
    """Three tracklets of two people, of whom the links know three."""
    stored(tmp_path / "a.db", PEOPLE, [("door", 1, 1), ("door", 2, 2), ("hall", 1, 3)])
    return tmp_path / "a.db"


def test_links_become_a_new_set_and_the_old_ones_are_kept(database):
    with Store.open(database) as store:
        found = relink(store, None, {"false_link_rate": 0.6})
        assert (found.link_set, found.before, found.after, found.joined) == (2, 3, 2, [(1, [1, 3])])
        assert identities(store) == {("door", 1): 1, ("door", 2): 2, ("hall", 1): 1}
        assert [(one.number, one.selected, one.identities, one.links) for one in list_link_sets(store)] == [
            (1, False, 3, 3), (2, True, 2, 3)]
        assert json.loads(list_link_sets(store)[1].config)["max_gap_seconds"] == 100
        assert find_run(store).people == 2
        select_link_set(store, None, 1)
        assert identities(store) == {("door", 1): 1, ("door", 2): 2, ("hall", 1): 3}
        with pytest.raises(StoreError, match="no set 3 of links"):
            select_link_set(store, None, 3)


def test_a_dry_run_changes_nothing(database):
    with Store.open(database) as store:
        assert relink(store, None, {}, dry_run=True).after == 2
        assert len(list_link_sets(store)) == 1
        assert find_run(store).people == 3


def test_bad_settings_and_running_runs_are_refused(database):
    with Store.open(database) as store:
        with pytest.raises(ConfigError, match=r"--set: linking\.similarty: unknown key"):
            relink(store, None, {"similarty": 0.5})
        run = store.start_run("{}", [])
        with pytest.raises(StoreError, match="still goes on"):
            relink(store, None, {})
        run.finish("partial")


def test_lists_can_be_set_from_the_command_line(database):
    run = CliRunner().invoke
    done = run(main, ["link", "--database", str(database), "--set", "overlaps=[[door, hall]]", "--json"])
    assert json.loads(done.output)["config"]["overlaps"] == [["door", "hall"]]
    for value, message in [("[[door", "expected a list or mapping as in YAML"), ("[door]", "linking.overlaps")]:
        wrong = run(main, ["link", "--database", str(database), "--set", f"overlaps={value}"])
        assert (wrong.exit_code, message in wrong.output) == (2, True)


@pytest.mark.parametrize(("tracklets", "what"), [
    pytest.param(PEOPLE, None, id="nothing wrong"),
    pytest.param([PEOPLE[0], ("door", 2, 5, 14, 0, 100)], "twice in one camera at a time", id="twice in one camera"),
    pytest.param([PEOPLE[0], ("door", 2, 8, 29, 0, 100)], None, id="one track takes over from the other"),
    pytest.param([PEOPLE[0], ("hall", 1, 200, 209, 0, 100)], "away for 191 s, longer than max_gap_seconds", id="away"),
    pytest.param([PEOPLE[0], ("hall", 1, 11, 19, 0, 5000)], "walks too fast", id="too fast"),
    pytest.param([PEOPLE[0], ("hall", 1, 5, 14, 0, 5000)], "in two places at once", id="two places"),
    pytest.param([PEOPLE[0], ("hall", 1, 5, 14, 0, 100)], None, id="two cameras that may overlap"),
])
def test_violated_constraints_are_found(tmp_path, tracklets, what):
    stored(tmp_path / "a.db", tracklets, [(camera, track, 1) for camera, track, *_ in tracklets])
    with Store.open(tmp_path / "a.db") as store:
        assert [one.what for one in find_violations(store)] == ([] if what is None else [what])
        relink(store, None, {})
        assert find_violations(store) == []


def test_nobody_is_at_once_in_two_cameras_without_overlap(tmp_path):
    one, other = PEOPLE[0], ("hall", 1, 5, 14, 0, 100)
    stored(tmp_path / "a.db", [one, other], [("door", 1, 1), ("hall", 1, 1)], '{"linking": {"overlaps": []}}')
    with Store.open(tmp_path / "a.db") as store:
        assert [one.what for one in find_violations(store)] == ["in two cameras at a time that have no overlap"]
        relink(store, None, {})
        assert find_violations(store) == []
        assert find_run(store).people == 2


def test_the_commands_tell_what_changes_and_what_is_wrong(database):
    runner = CliRunner()
    shown = runner.invoke(main, ["link", "--database", str(database), "--dry-run"])
    assert shown.exit_code == 0 and "2 identities of 3 tracklets, 3 before; nothing was stored" in shown.output
    stored_set = json.loads(runner.invoke(main, ["link", "--database", str(database), "--json"]).output)
    assert stored_set["link_set"] == 2
    listed = json.loads(runner.invoke(main, ["link", "--database", str(database), "--use", "1", "--json"]).output)
    assert [one["selected"] for one in listed] == [True, False]
    assert runner.invoke(main, ["check", "--database", str(database)]).exit_code == 0
    connection = sqlite3.connect(database)
    connection.execute("update tracklets set identity_id = 1, first_seconds = 0")
    connection.commit()
    connection.close()
    wrong = runner.invoke(main, ["check", "--database", str(database), "--json"])
    assert wrong.exit_code == 1 and not json.loads(wrong.stdout)["ok"]
    assert runner.invoke(main, ["check"]).exit_code == 2


def test_a_run_of_an_earlier_version_is_checked(tmp_path):
    """Its threshold of similarity is no key any more."""
    stored(tmp_path / "a.db", PEOPLE, [("door", 1, 1)], '{"linking": {"similarity": 0.45, "max_gap_seconds": 100}}')
    with Store.open(tmp_path / "a.db") as store:
        assert find_violations(store) == []
