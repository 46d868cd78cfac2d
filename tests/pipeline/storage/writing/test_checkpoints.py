"""A run that is resumed has exactly the rows that it had at its checkpoint."""

from dataclasses import replace

import pytest

from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.link_sets import add_link_set
from reidpipe.pipeline.storage.runs import runs_with_inputs
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.storage.writing.checkpoints import Checkpoint
from reidpipe.pipeline.types import CameraReport, Link

from ...stored_runs import LINK, boxes, camera, rows, tracklet, until

TABLES = ("frames", "observations", "tracklets", "appearances", "crops", "links", "identities")


def content(path):
    """All rows of a run's results, without the times at which links were made."""
    columns = {name: [row[1] for row in rows(path, f"pragma table_info({name})")] for name in TABLES}
    columns["links"].remove("created_at")
    return {name: rows(path, f"select {', '.join(columns[name])} from {name} order by 1, 2") for name in TABLES}


def linked(track, identity, name="door"):
    return Link(name, track, identity, 0.75, 0.5, 0.3)


def before_the_checkpoint(run):
    for frame in range(10):
        run.add_observations(boxes(frame, [1, 2] if frame < 5 else [1, 3]))
        run.add_observations(boxes(frame, [1], "hall"))
    run.add_tracklet(tracklet(2, frames=5))
    run.add_links([replace(LINK, track_id=2)])


def the_next_seconds(run):
    """Two tracks go on, one of which is split twice; others begin and end; links are revised."""
    for frame in range(10, 20):
        run.add_observations(boxes(frame, [1, 4] if frame < 15 else [1]))
        run.add_observations(boxes(frame, [1], "hall"))
    run.add_tracklet(replace(tracklet(1, frames=6), observations=6))
    run.add_tracklet(replace(tracklet(5, frames=6), first_seconds=1000.6, last_seconds=1001.1, taken_from=(1, 6)))
    run.add_tracklet(replace(tracklet(6, frames=8), first_seconds=1001.2, last_seconds=1001.9, taken_from=(5, 12)))
    run.add_tracklet(replace(tracklet(3, frames=5, crops=0), first_seconds=1000.5, last_seconds=1000.9))
    run.add_tracklet(replace(tracklet(4, frames=5), first_seconds=1001.0, last_seconds=1001.4))
    run.add_links([linked(2, 2), linked(1, 1), linked(5, 2), linked(6, 3), linked(4, 4)])
    run.report(CameraReport("door", decoded=20, analysed=20, status="partial", error="stopped"))


def broken_off(path):
    """A run that broke off after its checkpoint; returns the rows that it had there."""
    with Store.open(path, create=True) as store:
        run = store.start_run("{}", [camera("door"), camera("hall")], inputs="{}")
        before_the_checkpoint(run)
        run.checkpoint(Checkpoint(1001.0, b"state" * (2 << 20)))  # more than one part
        until(path, "select seconds from checkpoints", [(1001.0,)])
        at_checkpoint = content(path)
        the_next_seconds(run)
        run.finish("partial", ended=False)
    return at_checkpoint


def test_rows_are_those_of_the_checkpoint_again(tmp_path):
    path = tmp_path / "a.db"
    at_checkpoint = broken_off(path)
    for _ in range(2):  # a run may break off again before its next checkpoint
        assert content(path) != at_checkpoint
        with Store.open(path) as store:
            run, state = store.resume_run(1)
            assert state == b"state" * (2 << 20)
            assert content(path) == at_checkpoint
            assert rows(path, "select status, finished_at from runs") == [("running", None)]
            assert rows(path, "select status, error from cameras") == [("running", "")] * 2
            the_next_seconds(run)
            run.finish("partial", ended=False)


def test_a_resumed_run_stores_what_an_unbroken_one_does(tmp_path):
    broken_off(tmp_path / "broken.db")
    with Store.open(tmp_path / "broken.db") as store, store.resume_run(1)[0] as run:
        the_next_seconds(run)
        run.settle_links()
    with (
        Store.open(tmp_path / "whole.db", create=True) as store,
        store.start_run("{}", [camera("door"), camera("hall")]) as run,
    ):
        before_the_checkpoint(run)
        the_next_seconds(run)
        run.settle_links()
    assert content(tmp_path / "broken.db") == content(tmp_path / "whole.db")
    assert rows(tmp_path / "broken.db", "select count(*) from checkpoint_parts") == [(0,)]


def test_a_run_that_broke_off_before_its_first_checkpoint_begins_again(tmp_path):
    path = tmp_path / "a.db"
    with Store.open(path, create=True) as store:
        run = store.start_run("{}", [camera("door"), camera("hall")], inputs="{}")
        before_the_checkpoint(run)
        run.finish("partial", ended=False)
    with Store.open(path) as store:
        run, state = store.resume_run(1)
        assert state == b""
        assert all(found == [] for found in content(path).values())
        run.finish("complete")


def test_only_the_resumed_run_is_wound_back(tmp_path):
    path = tmp_path / "a.db"
    at_checkpoint = broken_off(path)
    with Store.open(path) as store, store.start_run("{}", [camera("door"), camera("hall")], inputs="[]") as run:
        before_the_checkpoint(run)
        the_next_seconds(run)
    other = {name: len(rows_of) for name, rows_of in content(path).items()}
    with Store.open(path) as store:
        assert [(one.run, one.has_ended, one.seconds) for one in runs_with_inputs(store)] == [
            (2, True, None), (1, False, 1001.0)]
        store.resume_run(1)[0].finish("partial", ended=False)
    with Store.open(tmp_path / "b.db", create=True) as store:
        run = store.start_run("{}", [camera("door"), camera("hall")])
        before_the_checkpoint(run)
        the_next_seconds(run)
        run.finish("partial")
    alone = content(tmp_path / "b.db")
    for name in TABLES:
        assert len(content(path)[name]) == len(at_checkpoint[name]) + len(alone[name]) < other[name], name


def test_links_that_were_made_in_between_are_left_out(tmp_path):
    path = tmp_path / "a.db"
    at_checkpoint = broken_off(path)
    with Store.open(path) as store:
        add_link_set(store, 1, "{}", [linked(2, 9), linked(4, 9)])
        run, _ = store.resume_run(1)
        assert content(path) == at_checkpoint
        run.finish("complete")
    assert rows(path, "select number, selected from link_sets") == [(1, 1)]


def test_a_run_that_has_ended_is_not_resumed(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        store.start_run("{}", [camera()], inputs="{}").finish("complete")
        with pytest.raises(StoreError, match="run 1 has ended or keeps no checkpoint"):
            store.resume_run(1)
