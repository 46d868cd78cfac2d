"""A run is stored, and stays stored after errors, locks and kills."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from reidpipe.pipeline.errors import LockedError, StoreError
from reidpipe.pipeline.storage.store import CameraRow, Store, verify_database
from reidpipe.pipeline.storage.writing import writer
from reidpipe.pipeline.types import Link

from ..stored_runs import DIMS, LINK, boxes, camera, rows, small_run, tracklet, until


def test_a_run_is_stored_whole(tmp_path):
    path = tmp_path / "with space.db"
    small_run(path)
    assert rows(path, "select status, finished_at >= started_at from runs") == [("complete", 1)]
    assert rows(path, "select name, decoded, damaged, status, error from cameras order by id") == [
        ("door", 10, 0, "complete", ""), ("hall", 9, 1, "partial", "cut off")]
    assert rows(path, "select camera_id, track_id, first_seconds, last_seconds, observations, identity_id "
                      "from tracklets order by id") == [
        (1, 1, 1000.0, 1000.9, 10, 1), (1, 2, 1000.0, 1000.4, 5, 2), (2, 1, 1000.0, 1000.6, 7, 1)]
    assert rows(path, "select count(*), min(x1), max(y2) from boxes") == [(22, 10.0, 129.0)]
    assert rows(path, "select camera_id, count(*) from frames group by 1") == [(1, 10), (2, 10)]
    assert rows(path, "select kind, count(*), sum(length(embedding)) from appearances group by 1") == [
        ("crop", 12, 12 * DIMS), ("tracklet", 2, 2 * DIMS)]
    assert rows(path, "select similarity, shared_mask, gap_seconds, by from links order by id") == [
        (None, None, None, "model"), (0.75, 0.5, 0.3, "model"), (None, None, None, "model")]
    assert rows(path, "pragma journal_mode") == [("wal",)]


def test_only_the_best_crops_are_kept_as_small_pictures(tmp_path):
    small_run(tmp_path / "a.db")
    stored = rows(tmp_path / "a.db", "select frame_index, quality, image from crops where tracklet_id = 1")
    assert [(frame, quality) for frame, quality, _ in stored] == [(4, 0.4), (5, 0.5)]
    assert all(image[8:12] == b"WEBP" for _, _, image in stored)


def test_the_same_footage_gives_the_same_rows(tmp_path):
    small_run(tmp_path / "a.db")
    small_run(tmp_path / "b.db")
    for table, columns in {
        "runs": "id, status, version, config", "cameras": "*", "frames": "*", "identities": "*", "tracklets": "*",
        "observations": "*", "appearances": "*", "crops": "*",
        "links": "id, tracklet_id, identity_id, similarity, shared_mask, gap_seconds, by",
    }.items():
        query = f"select {columns} from {table} order by 1, 2"
        first = rows(tmp_path / "a.db", query)
        assert first, table
        assert first == rows(tmp_path / "b.db", query), table


def test_a_second_run_goes_beside_the_first(tmp_path):
    small_run(tmp_path / "a.db")
    small_run(tmp_path / "a.db")
    assert rows(tmp_path / "a.db", "select run_id, count(*) from cameras group by 1") == [(1, 2), (2, 2)]
    assert rows(tmp_path / "a.db", "select run_id, number from identities") == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_second_run_at_the_same_time_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "a.db"
    with Store.open(path, create=True) as store, store.start_run("{}", [camera()]) as run:
        with Store.open(path, create=True) as other:
            with pytest.raises(StoreError, match=r"run 1 is writing to it \(process \d+ on .*\): wait until"):
                other.start_run("{}", [camera()])
            with pytest.raises(StoreError, match="run 1 is writing to it"):
                verify_database(path)
        run.add_observations(boxes(0, [1]))
    verify_database(path)
    assert rows(path, "select id, status from runs") == [(1, "complete")]
    assert rows(path, "select count(*) from observations") == [(1,)]


def test_little_work_is_safe_within_a_second(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        run.add_observations(boxes(0, [1]))
        slack = 0.5  # for a busy machine
        assert until(tmp_path / "a.db", "select count(*) from observations", [(1,)]) < 1 + slack
        run.add_observations(boxes(1, [1]))
        assert until(tmp_path / "a.db", "select observations, last_seconds from tracklets", [(2, 1000.1)]) < 1 + slack


def test_a_later_link_replaces_the_earlier_one(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        run.add_observations(boxes(0, [1]))
        run.add_links([LINK])
        run.add_links([Link("door", 1, 7, 0.9, 0.4, 1.0, by="person")])
    assert rows(tmp_path / "a.db", "select number from tracklets t join identities i on t.identity_id = i.id") == [(7,)]
    assert rows(tmp_path / "a.db", "select by from links order by id") == [("model",), ("person",)]


def test_at_the_end_superseded_links_go_and_people_are_numbered_by_first_appearance(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        for frame in range(4):
            run.add_observations(boxes(frame, [1] if frame < 2 else [1, 2, 3]))
        run.add_links([Link("door", 2, 1, None, None, None), Link("door", 1, 2, None, None, None)])
        run.add_links([Link("door", 3, 3, None, None, None), Link("door", 2, 4, 0.5, 0.5, 1.0)])
        run.settle_links()
    shown = "select track_id, number from tracklets t join identities i on t.identity_id = i.id order by track_id"
    assert rows(tmp_path / "a.db", shown) == [(1, 1), (2, 3), (3, 2)]
    assert rows(tmp_path / "a.db", "select count(*) from links") == [(3,)]
    assert rows(tmp_path / "a.db", "select number from identities order by 1") == [(1,), (2,), (3,)]


def test_an_identity_that_revision_left_too_short_is_undecided_at_the_end(tmp_path):
    config = json.dumps({"linking": {"min_seconds": 0.25}})
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run(config, [camera()]) as run:
        for frame in range(4):  # a tenth of a second apart
            run.add_observations(boxes(frame, [1] if frame < 2 else [1, 2]))
        run.add_links([Link("door", 1, 1, None, None, None), Link("door", 2, 1, 0.9, 0.5, 1.0)])
        run.add_links([Link("door", 2, 2, None, None, None)])
        run.settle_links()
    assert rows(tmp_path / "a.db", "select track_id, identity_id is null from tracklets") == [(1, 0), (2, 1)]
    assert rows(tmp_path / "a.db", "select count(*) from links") == [(1,)]
    assert rows(tmp_path / "a.db", "select number from identities") == [(1,)]


def test_a_split_track_gives_its_later_boxes_to_the_new_tracklet(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        for frame in range(10):
            run.add_observations(boxes(frame, [1, 2]))
        run.add_tracklet(tracklet(1, frames=6))
        later = replace(tracklet(3, crops=2, frames=4), first_seconds=1000.6, last_seconds=1000.9, taken_from=(1, 6))
        run.add_tracklet(later)
    found = "select track_id, count(*), min(frame_index), max(frame_index) from observations o "
    found += "join tracklets t on o.tracklet_id = t.id group by 1 order by 1"
    assert rows(tmp_path / "a.db", found) == [(1, 6, 0, 5), (2, 10, 0, 9), (3, 4, 6, 9)]
    spans = "select track_id, observations, first_seconds, last_seconds from tracklets where track_id != 2 order by 1"
    assert rows(tmp_path / "a.db", spans) == [(1, 6, 1000.0, 1000.5), (3, 4, 1000.6, 1000.9)]


def test_an_exception_leaves_a_partial_run_with_what_came_before(tmp_path):
    with (
        pytest.raises(RuntimeError, match="failure"),
        Store.open(tmp_path / "a.db", create=True) as store,
        store.start_run("{}", [camera()]) as run,
    ):
        run.add_observations(boxes(0, [1, 2]))
        raise RuntimeError("failure")
    assert rows(tmp_path / "a.db", "select status from runs union all select status from cameras") == [
        ("partial",), ("partial",)]
    assert rows(tmp_path / "a.db", "select count(*) from observations") == [(2,)]


def test_a_finished_run_takes_no_more(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        run = store.start_run("{}", [camera()])
        run.finish("complete")
        run.finish("complete")
        with pytest.raises(ValueError, match="finished"):
            run.add_observations(boxes(0, [1]))


def test_a_link_of_an_unknown_tracklet_ends_the_run_with_an_error(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        run = store.start_run("{}", [camera()])
        run.add_observations(boxes(0, [2]))
        until(tmp_path / "a.db", "select count(*) from observations", [(1,)])
        run.add_links([LINK])
        with pytest.raises(RuntimeError, match="writing thread failed"):
            run.finish("complete")
    assert rows(tmp_path / "a.db", "select status, (select count(*) from observations) from runs") == [("partial", 1)]


def test_an_unknown_camera_is_refused_at_once(tmp_path):
    with (
        Store.open(tmp_path / "a.db", create=True) as store,
        store.start_run("{}", [camera()]) as run,
        pytest.raises(ValueError, match=r"camera: expected one of \['door'\], got 'roof'"),
    ):
        run.add_observations(boxes(0, [1], "roof"))


def test_credentials_are_not_stored(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        address = "rtsp://bob:s3cret@host/1"
        store.start_run(f'{{"source": "{address}"}}', [CameraRow("a", address, 1, 1, 1.0, 0.0)]).finish("complete")
    assert rows(tmp_path / "a.db", "select config, source from runs join cameras on run_id = runs.id") == [
        ('{"source": "rtsp://host/..."}', "rtsp://host/...")]


def fill(run, frames: int = 100_000, start: int = 0) -> None:
    for frame in range(start, start + frames):
        run.add_observations(boxes(frame, [1, 2, 3]))


def test_a_full_disk_is_reported_at_the_next_call_and_keeps_what_was_stored(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        run = store.start_run("{}", [camera()])
        with store.writing() as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar_one()
        # The limit is a connection's, and the thread may have one of its own.
        event.listen(store._engine, "begin", lambda each: each.exec_driver_sql(f"pragma max_page_count = {pages + 40}"))
        with pytest.raises(StoreError, match=r"a\.db: its disk is full") as raised:
            # A call after the failure must raise; how soon the thread meets it is up to the machine.
            for start in range(0, 600_000, 1000):
                fill(run, 1000, start)
                time.sleep(0.05)
        assert "\n" not in str(raised.value)
        with pytest.raises(StoreError, match="full"):
            run.finish("complete")
    assert rows(tmp_path / "a.db", "select status from runs") == [("partial",)]
    assert rows(tmp_path / "a.db", "select count(*) > 0 from observations") == [(1,)]


def test_a_full_disk_is_reported_once(tmp_path, caplog):
    """The error that ends the run says it; neither that it cannot be closed nor that it cannot be marked adds to it."""

    @contextmanager
    def full():
        raise StoreError("a.db: its disk is full: make room (what is already stored is kept)")
        yield

    with Store.open(tmp_path / "a.db", create=True) as store:
        with pytest.raises(StoreError, match="its disk is full"), store.start_run("{}", [camera()]) as run:
            run._writing = full
            for frame in range(1000):
                run.add_observations(boxes(frame, [1]))
                time.sleep(0.01)
        assert [one.getMessage() for one in caplog.records] == []
        run._thread.join()
    Store.open(tmp_path / "a.db").close()
    assert rows(tmp_path / "a.db", "select status from runs") == [("running",)], "until its process has ended"


def test_a_full_disk_is_reported_beside_another_error_that_ends_the_run(tmp_path, caplog):
    with (
        Store.open(tmp_path / "a.db", create=True) as store,
        pytest.raises(ZeroDivisionError),
        store.start_run("{}", [camera()]) as run,
    ):
        run._error = StoreError("a.db: its disk is full")
        raise ZeroDivisionError
    assert [one.getMessage() for one in caplog.records] == ["run 1 could not be closed: a.db: its disk is full"]


def lock(path):
    """A lock of another program on a database; closing it ends the lock."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin exclusive")
    return other


def test_a_lock_of_minutes_ends_the_run_without_a_deadlock_and_it_is_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "QUEUE_BYTES", 100 * writer.ITEM_BYTES)  # full long before the lock ends
    with Store.open(tmp_path / "a.db", create=True, busy_seconds=0.1) as store:
        run = store.start_run("{}", [camera()], lock_seconds=1.0)
        run.add_observations(boxes(0, [1]))
        until(tmp_path / "a.db", "select count(*) from observations", [(1,)])
        with lock(tmp_path / "a.db"), pytest.raises(LockedError, match=r"has locked it.*locked for 1 s"):
            fill(run, 2000)
            run.finish("complete")
    Store.open(tmp_path / "a.db").close()
    assert rows(tmp_path / "a.db", "select status from runs") in ([("partial",)], [("running",)])
    assert rows(tmp_path / "a.db", "select count(*) from observations") == [(1,)]


def test_work_goes_on_in_memory_during_a_lock_and_is_written_when_it_ends(tmp_path, caplog):
    with (
        Store.open(tmp_path / "a.db", create=True, busy_seconds=0.1) as store,
        store.start_run("{}", [camera()]) as run,
    ):
        run.add_observations(boxes(0, [1]))
        until(tmp_path / "a.db", "select count(*) from observations", [(1,)])
        other = lock(tmp_path / "a.db")
        began = time.monotonic()
        for frame in range(1, 1000):
            run.add_observations(boxes(frame, [1, 2]))
        run.add_tracklet(tracklet(1))
        assert time.monotonic() - began < 1.0, "the stages do not wait"
        time.sleep(1.5)  # several attempts, each longer than SQLite's own wait
        assert rows(tmp_path / "a.db", "select count(*) from observations") == [(1,)]
        other.close()
    assert rows(tmp_path / "a.db", "select count(*) from observations") == [(1 + 2 * 999,)]
    assert rows(tmp_path / "a.db", "select status, (select count(*) from appearances) from runs") == [("complete", 7)]
    assert "kept in memory" in caplog.text
    assert "free again" in caplog.text


def test_a_write_that_was_rolled_back_is_repeated_whole(tmp_path):
    """Outside of WAL mode, a reader's lock stops the commit, after new tracklets got their row numbers."""
    Store.open(tmp_path / "a.db", create=True).close()
    plain = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    assert plain.execute("pragma journal_mode = delete").fetchone() == ("delete",)
    with Store.open(tmp_path / "a.db", busy_seconds=0.1) as store, store.start_run("{}", [camera()]) as run:
        plain.execute("begin")
        plain.execute("select count(*) from observations").fetchall()
        for frame in range(10):
            run.add_observations(boxes(frame, [1, 2]))
        time.sleep(1.5)
        plain.close()
    assert rows(tmp_path / "a.db", "select track_id, observations from tracklets") == [(1, 10), (2, 10)]
    assert rows(tmp_path / "a.db", "select count(*) from observations") == [(20,)]


def test_a_short_lock_is_waited_for(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        other = lock(tmp_path / "a.db")
        threading.Timer(0.5, other.close).start()
        run.add_observations(boxes(0, [1]))
    assert rows(tmp_path / "a.db", "select status from runs") == [("complete",)]


def test_readers_read_while_a_run_writes(tmp_path):
    with (
        Store.open(tmp_path / "a.db", create=True) as store,
        store.start_run("{}", [camera()]) as run,
        Store.open(tmp_path / "a.db") as reader,
        reader.reading() as connection,
    ):
        assert connection.exec_driver_sql("select count(*) from observations").scalar() == 0
        fill(run, 256)


KILLED = """
import sys, time
from reidpipe.pipeline.storage.store import CameraRow, Store, verify_database
store = Store.open(sys.argv[1], create=True)
run = store.start_run("{}", [CameraRow("door", "x.mp4", 1, 1, 1.0, 0.0)])
print("started", flush=True)
time.sleep(60)
"""


def test_a_killed_run_is_partial_at_the_next_opening_but_a_living_one_is_not(tmp_path, caplog):
    path = tmp_path / "a.db"
    process = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        with Store.open(path) as store, pytest.raises(StoreError, match=f"process {process.pid} on"):
            store.start_run("{}", [camera()])
        assert rows(path, "select status from runs") == [("running",)]
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    Store.open(path).close()
    assert "run 1 was cut off before its end" in caplog.text
    assert rows(path, "select status, finished_at = heartbeat_at from runs") == [("partial", 1)]
    assert rows(path, "select status from cameras") == [("partial",)]


def test_our_own_process_number_of_a_former_life_does_not_count_as_alive(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        store.start_run("{}", [camera()]).finish("complete")
        with store.writing() as connection:
            connection.exec_driver_sql("update runs set status = 'running', writer = writer || 'x'")
    Store.open(tmp_path / "a.db").close()
    assert rows(tmp_path / "a.db", "select status from runs") == [("partial",)]


def test_a_file_that_is_mostly_room_of_deleted_rows_is_known_and_compacted(tmp_path):
    path = tmp_path / "a.db"
    small_run(path)
    with Store.open(path) as store:
        assert not store.is_mostly_free()
        with store.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE filler (content BLOB)")
            connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")
            connection.exec_driver_sql("DROP TABLE filler")
        assert store.is_mostly_free()
        store.compact()
        assert not store.is_mostly_free()
