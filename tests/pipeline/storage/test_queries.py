"""Queries return what was stored."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.queries import (
    TrackletSummary,
    analysed_frames,
    crop_images,
    observation_rows,
    stored_appearances,
    tracklet_rows,
)
from reidpipe.pipeline.storage.runs import find_run, list_cameras, list_runs, run_config
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.storage.times import iso_time
from reidpipe.pipeline.types import CameraReport, Crop, Link, Observations, Tracklet
from reidpipe.reid import Appearance

DIMS = 16
FLOOR = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]


def boxes(camera: str, frame: int, tracks: list[int]) -> Observations:
    count = len(tracks)
    xyxy = np.array([[100 * track, 20, 100 * track + 40, 120] for track in tracks], np.float32).reshape(-1, 4)
    return Observations(camera, frame, 1000 + frame / 10, np.array(tracks, np.int64), xyxy,
                        np.full(count, 0.9, np.float32), np.full(count, 0.8, np.float32))


def appearance(rows: int, seed: int = 0) -> Appearance:
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(rows, DIMS)).astype(np.float32)
    return Appearance(embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
                      random.random((rows, DIMS), np.float32))


@pytest.fixture
def store(tmp_path):
    """Two runs; in the newest, person 1 is seen by both cameras and track 2 of `door` has no identity."""
    with Store.open(tmp_path / "a.db", create=True) as store:
        store.start_run('{"old": 1}', [CameraRow("door", "old.mp4", 1, 1, 1.0, 0.0)]).finish("partial")
        cameras = [CameraRow("door", "door.mp4", 640, 480, 10.0, 1000.0),
                   CameraRow("aisle", "aisle.mp4", 320, 240, 10.0, 1000.0, FLOOR)]
        with store.start_run('{"new": 1}', cameras) as run:
            for frame in range(4):
                run.add_observations(boxes("door", frame, [2, 1]))
                run.add_observations(boxes("aisle", frame, [1] if frame else []))
            crops = [Crop(n, 1000 + n / 10, [0.2, 0.9, 0.5][n], np.zeros((8, 8, 3), np.uint8)) for n in range(3)]
            run.add_tracklet(Tracklet("door", 1, 1000.0, 1000.3, 4, appearance(1), crops, appearance(3)))
            run.add_links([Link("door", 1, 5, None, None, None), Link("aisle", 1, 5, 0.25, 0.5, -0.1)])
            run.add_links([Link("door", 1, 1, None, None, None), Link("aisle", 1, 1, 0.75, 0.5, -0.1, "person")])
            run.report(CameraReport("aisle", decoded=5, analysed=4, thinned=1))
        yield store


def test_runs_are_listed_newest_first(store):
    new, old = list_runs(store)
    assert (new.run, new.status, new.cameras, new.people, new.tracklets, new.links, new.observations) == (
        2, "complete", 2, 1, 3, 2, 11)
    assert (old.run, old.status, old.people, old.observations) == (1, "partial", 0, 0)
    assert json.loads(json.dumps(asdict(new)))["started"].endswith("Z")


def test_the_newest_run_is_the_default(store):
    assert find_run(store).run == 2
    assert find_run(store, 1).run == 1
    assert run_config(store) == '{"new": 1}'


def test_an_unknown_run_is_reported(store):
    with pytest.raises(StoreError, match=r"a\.db: there is no run 7: the newest is 2"):
        find_run(store, 7)


def test_a_database_without_runs_is_reported(tmp_path):
    with Store.open(tmp_path / "b.db", create=True) as empty, pytest.raises(StoreError, match="holds no run yet"):
        list(observation_rows(empty))


def test_cameras_come_in_the_order_of_the_config(store):
    door, aisle = list_cameras(store)
    assert (door.camera, door.homography, door.people, door.tracklets, door.observations) == ("door", None, 1, 2, 8)
    assert (aisle.homography, aisle.decoded, aisle.thinned, aisle.width) == (FLOOR, 5, 1, 320)


def test_observations_come_by_seconds_then_camera_then_track(store):
    rows = list(observation_rows(store))
    assert [(row.frame, row.camera, row.track) for row in rows[:5]] == [
        (0, "door", 1), (0, "door", 2), (1, "aisle", 1), (1, "door", 1), (1, "door", 2)]
    assert rows[1].identity is None
    assert (rows[2].identity, rows[2].similarity) == (1, 0.75)
    assert rows[0][5:9] == (100.0, 20.0, 140.0, 120.0)
    assert {row.camera for row in observation_rows(store, camera="aisle")} == {"aisle"}


def test_tracklets_come_with_their_last_link(store):
    assert list(tracklet_rows(store)) == [
        TrackletSummary("door", 1, 1000.0, 1000.3, 4, 1, None, None, None, "model"),
        TrackletSummary("door", 2, 1000.0, 1000.3, 4, None, None, None, None, None),
        TrackletSummary("aisle", 1, 1000.1, 1000.3, 3, 1, 0.75, 0.5, -0.1, "person")]


def test_crops_come_best_first(store):
    assert [(crop.identity, crop.frame, crop.quality) for crop in crop_images(store)] == [
        (1, 1, 0.9), (1, 2, 0.5)]
    assert list(crop_images(store, identity=2)) == []


def test_appearances_are_returned_up_to_rounding(store):
    (whole,) = stored_appearances(store)
    assert whole[:4] == (1, "door", 1, 1000.0)
    np.testing.assert_allclose(whole.appearance.embedding, appearance(1).embedding, atol=4e-3)
    np.testing.assert_allclose(whole.appearance.mask, appearance(1).mask, atol=2e-3)
    assert [row.seconds for row in stored_appearances(store, kind="crop")] == [1000.0, 1000.1, 1000.2]


def test_frames_without_people_count_as_analysed(store):
    assert analysed_frames(store, "aisle") == {0, 1, 2, 3}


@pytest.mark.parametrize(("seconds", "text"), [
    pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="epoch"),
    pytest.param(1769860800.25, "2026-01-31T12:00:00.250Z", id="a day"),
    pytest.param(0.9996, "1970-01-01T00:00:01.000Z", id="rounds up into the second"),
    pytest.param(1 / 30, "1970-01-01T00:00:00.033Z", id="rounds down"),
])
def test_times_are_written_in_utc_to_the_millisecond(seconds, text):
    assert iso_time(seconds) == text


def test_where_one_track_takes_over_from_another_nobody_has_two_boxes_in_a_frame(tmp_path):
    with Store.open(tmp_path / "b.db", create=True) as store:
        cameras = [CameraRow(name, "x.mp4", 640, 480, 10.0, 1000.0) for name in ("door", "hall")]
        with store.start_run("{}", cameras) as run:
            for frame, tracks in enumerate([[1, 3], [1, 2, 3], [1, 2, 3], [2, 3]]):
                run.add_observations(boxes("door", frame, tracks))
                run.add_observations(boxes("hall", frame, [1]))
            run.add_links([
                Link("door", 1, 7, None, None, None), Link("door", 2, 7, 0.8, 0.5, -0.2, probability=0.9),
                Link("hall", 1, 7, 0.8, 0.5, -0.3, probability=0.9)])
        rows = list(observation_rows(store))
    assert [(row.frame, row.track, row.identity) for row in rows if row.camera == "door"] == [
        (0, 1, 7), (0, 3, None), (1, 1, None), (1, 2, 7), (1, 3, None), (2, 1, None), (2, 2, 7), (2, 3, None),
        (3, 2, 7), (3, 3, None)]
    assert {row.identity for row in rows if row.camera == "hall"} == {7}, "another camera may see the person, too"
    assert [row.probability for row in rows if row.camera == "door" and row.track == 2] == [0.9] * 3
