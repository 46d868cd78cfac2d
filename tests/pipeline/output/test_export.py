"""Exported files hold what the database holds, and are written whole or not at all."""

from __future__ import annotations

import csv
import json
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.corrections.decisions import merge, rename
from reidpipe.pipeline.errors import OutputError, StoreError
from reidpipe.pipeline.output.camera_files import camera_stems
from reidpipe.pipeline.output.columns import OBSERVATION_KINDS, VISIT_KINDS
from reidpipe.pipeline.output.export import export_trajectories
from reidpipe.pipeline.output.visits import list_visits
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Link, Observations
from tests.pipeline.stored_runs import people_run

FLOOR = [[0.01, 0.0, 0.0], [0.0, 0.02, 1.0], [0.0, 0.0, 1.0]]
START = 1769860800.0  # 2026-01-31T12:00:00Z


def box(camera: str, frame: int, *tracks: int) -> Observations:
    count = len(tracks)
    xyxy = np.array([[100 + track, 20.1, 140 + track, 120.25 + frame] for track in tracks], np.float32)
    return Observations(camera, frame, START + frame / 10, np.array(tracks, np.int64), xyxy.reshape(-1, 4),
                        np.full(count, 0.9, np.float32), np.full(count, 0.8, np.float32))


@pytest.fixture
def store(tmp_path):
    """Person 1: tracks 1 and 2 of `aisle` 1.1 s apart, and 3 much later; also at the door.  Track 9 is nobody."""
    with Store.open(tmp_path / "a.db", create=True) as store:
        cameras = [CameraRow("front/door", "d.mp4", 640, 480, 10.0, START),
                   CameraRow("aisle", "a.mp4", 640, 480, 10.0, START, FLOOR)]
        with store.start_run("{}", cameras) as run:
            for frame in (*range(10), *range(20, 30), *range(200, 203)):
                run.add_observations(box("aisle", frame, 1 if frame < 10 else 2 if frame < 30 else 3))
                run.add_observations(box("front/door", frame, *((1, 9) if frame < 5 else ())))
            run.add_links([
                Link("aisle", 1, 1, None, None, None), Link("aisle", 2, 1, 0.5, 0.5, 1.1, probability=0.8),
                Link("aisle", 3, 1, 0.75, 0.5, 17.0), Link("front/door", 1, 1, 0.9, 0.5, -1.0, probability=0.99)])
        yield store


def table(path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_has_one_row_per_box_in_order_of_time(store, tmp_path):
    assert export_trajectories(store, tmp_path / "o.csv") == 33
    rows = table(tmp_path / "o.csv")
    assert list(rows[0]) == list(OBSERVATION_KINDS)
    assert rows[0] == {
        "identity": "1", "camera": "aisle", "track": "1", "time": "2026-01-31T12:00:00.000Z",
        "seconds": "1769860800.0", "frame": "0", "x1": "101.0", "y1": "20.09", "x2": "141.0", "y2": "120.25",
        "foot_x": "121.0", "foot_y": "120.25", "floor_x": "1.21", "floor_y": "3.405",
        "confidence": "0.9", "visible": "0.8", "interpolated": "0", "similarity": "", "name": "",
        "probability": ""}
    assert (rows[2]["identity"], rows[2]["track"], rows[2]["floor_x"], rows[2]["similarity"]) == ("", "9", "", "")
    keys = [(float(row["seconds"]), row["camera"], int(row["track"])) for row in rows]
    assert keys == sorted(keys)


def test_json_is_one_array(store, tmp_path):
    assert export_trajectories(store, tmp_path / "o.json", "json") == 33
    rows = json.loads((tmp_path / "o.json").read_text())
    assert len(rows) == 33
    assert list(rows[0]) == list(OBSERVATION_KINDS)
    assert rows[2]["identity"] is None
    assert {row["probability"] for row in rows if row["camera"] == "front/door"} == {None, 0.99}
    assert rows[0]["floor_y"] == 3.405
    assert len((tmp_path / "o.json").read_text().splitlines()) == 35


def test_parquet_holds_the_same_rows_with_types(store, tmp_path):
    export_trajectories(store, tmp_path / "o.parquet", "parquet")
    export_trajectories(store, tmp_path / "o.json", "json")
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert rows[0]["time"] == datetime(2026, 1, 31, 12, tzinfo=UTC)
    for row in rows:
        row["time"] = row["time"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rows == json.loads((tmp_path / "o.json").read_text())


def test_mot_has_a_file_per_camera_with_identities_only(store, tmp_path):
    assert export_trajectories(store, tmp_path / "mot", "mot") == 28
    assert sorted(path.name for path in (tmp_path / "mot").iterdir()) == ["aisle.txt", "front_door.txt"]
    lines = (tmp_path / "mot" / "front_door.txt").read_text().splitlines()
    assert lines[0] == "1,1,101.00,20.09,40.00,100.16,0.9000,-1,-1,-1"
    assert len(lines) == 5


def test_a_summary_has_one_row_per_visit(store, tmp_path):
    assert export_trajectories(store, tmp_path / "v.csv", summary=True) == 3
    first, door, later = table(tmp_path / "v.csv")
    assert list(first) == list(VISIT_KINDS)
    assert (first["camera"], first["tracks"], first["observations"]) == ("aisle", "1 2", "20")
    assert (first["enter_time"], first["leave_time"], first["duration_seconds"]) == (
        "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:02.900Z", "2.9")
    assert (first["entry_x"], first["entry_y"]) == ("121.0", "120.25")
    assert (first["exit_x"], first["exit_y"]) == ("122.0", "149.25")
    assert (first["entry_floor_x"], first["exit_floor_y"], first["similarity"]) == ("1.21", "3.985", "0.5")
    assert [visit["probability"] for visit in (first, door, later)] == ["0.8", "0.99", ""]
    assert (door["camera"], door["tracks"], door["entry_floor_x"], door["similarity"]) == ("front/door", "1", "", "0.9")
    assert (later["enter_seconds"], later["tracks"]) == ("1769860820.0", "3")


@pytest.mark.parametrize(("gap", "visits"), [
    pytest.param(1.0, 4, id="none together"), pytest.param(30.0, 2, id="all together")])
def test_visits_are_cut_at_the_gap(store, gap, visits):
    assert len(list_visits(store, gap_seconds=gap)) == visits


@pytest.mark.parametrize(("format", "summary"), [
    ("csv", False), ("json", False), ("parquet", False), ("mot", False),
    ("csv", True), ("json", True), ("parquet", True)])
def test_a_run_without_rows_exports_an_empty_file(tmp_path, format, summary):
    with Store.open(tmp_path / "b.db", create=True) as store:
        store.start_run("{}", [CameraRow("a", "a", 1, 1, 1.0, 0.0)]).finish("complete")
        assert export_trajectories(store, tmp_path / "out", format, summary=summary) == 0
    if format == "json":
        assert json.loads((tmp_path / "out").read_text()) == []
    if format == "parquet":
        assert pq.read_table(tmp_path / "out").num_rows == 0


def test_a_point_on_the_horizon_has_no_floor(tmp_path):
    with Store.open(tmp_path / "b.db", create=True) as store:
        horizon = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, -120.25]]
        with store.start_run("{}", [CameraRow("a", "a", 1, 1, 1.0, 0.0, horizon)]) as run:
            run.add_observations(box("a", 0, 1))
        export_trajectories(store, tmp_path / "o.csv")
    assert table(tmp_path / "o.csv")[0]["floor_x"] == ""


def test_a_summary_as_mot_is_refused(store, tmp_path):
    with pytest.raises(OutputError, match="choose csv"):
        export_trajectories(store, tmp_path / "mot", "mot", summary=True)


@pytest.mark.parametrize(("path", "message"), [
    pytest.param("none/o.csv", "its folder does not exist", id="missing folder"),
    pytest.param(".", "is not a file", id="a folder"),
])
def test_an_unwritable_path_is_refused(store, tmp_path, path, message):
    with pytest.raises(OutputError, match=message):
        export_trajectories(store, tmp_path / path)


def test_a_file_in_the_place_of_the_folder_is_refused(store, tmp_path):
    (tmp_path / "mot").touch()
    with pytest.raises(OutputError, match="cannot be created: File exists"):
        export_trajectories(store, tmp_path / "mot", "mot")


def test_a_failed_export_leaves_the_old_file_and_no_other(store, tmp_path):
    (tmp_path / "out").mkdir()
    old = "identity,camera,track,time,seconds,frame\n"
    (tmp_path / "out" / "o.csv").write_text(old)
    with store.writing() as connection:
        connection.exec_driver_sql("alter table observations rename column x1 to gone")
    with pytest.raises(StoreError):
        export_trajectories(store, tmp_path / "out" / "o.csv")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("o.csv", old)]


def test_memory_does_not_grow_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("reidpipe.pipeline.output.columns.ROWS_AT_ONCE", 250)
    monkeypatch.setattr("reidpipe.pipeline.storage.queries.ROWS_AT_ONCE", 250)
    peaks = []
    for frames in (1000, 4000):
        with Store.open(tmp_path / f"{frames}.db", create=True) as store:
            with store.start_run("{}", [CameraRow("a", "a", 1, 1, 1.0, 0.0)]) as run:
                for frame in range(frames):
                    run.add_observations(box("a", frame, 1, 2))
            export_trajectories(store, tmp_path / "warm.csv")
            tracemalloc.start()
            export_trajectories(store, tmp_path / "o.csv")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_file_names_are_safe_and_different():
    assert camera_stems(["../up", "a/b", "a b", "Tür", "..."]) == {
        "../up": "_up", "a/b": "a_b", "a b": "a_b_2", "Tür": "Tür", "...": "camera"}


def test_exports_follow_the_corrected_identities_and_their_names(tmp_path):
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        merge(store, None, 1, 3, "Ada")
        rename(store, None, 1, "Bob", "Ada")
        export_trajectories(store, tmp_path / "boxes.csv")
        export_trajectories(store, tmp_path / "visits.csv", summary=True)
        export_trajectories(store, tmp_path / "boxes.parquet", "parquet")
        export_trajectories(store, tmp_path / "mot", "mot")
    with (tmp_path / "boxes.csv").open(newline="") as file:
        people = {(row["camera"], row["track"]): (row["identity"], row["name"]) for row in csv.DictReader(file)}
    assert people == {
        ("door", "1"): ("1", "Bob"), ("door", "2"): ("2", ""), ("hall", "1"): ("1", "Bob"), ("hall", "2"): ("1", "Bob")}
    with (tmp_path / "visits.csv").open(newline="") as file:
        assert {(row["camera"], row["identity"], row["name"]) for row in csv.DictReader(file)} == {
            ("door", "1", "Bob"), ("door", "2", ""), ("hall", "1", "Bob")}
    assert set(pq.read_table(tmp_path / "boxes.parquet")["name"].to_pylist()) == {"Bob", None}
    assert {line.split(",")[1] for line in (tmp_path / "mot" / "hall.txt").read_text().splitlines()} == {"1"}


def test_the_command_counts_boxes_since_filled_in_ones_are_no_observations(tmp_path):
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        rows = export_trajectories(store, tmp_path / "o.csv")
    said = CliRunner().invoke(main, ["export", "trajectories", str(tmp_path / "p.csv"), "--database",
                                     str(tmp_path / "a.db")]).output
    assert said == f"{tmp_path / 'p.csv'}: {rows} boxes\n"
