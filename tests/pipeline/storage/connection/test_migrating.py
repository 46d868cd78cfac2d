"""A database of an earlier revision is converted when it is opened, and holds the same results afterwards."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from alembic import command
from sqlalchemy import create_engine

from reidpipe.pipeline.storage.connection.revision import VERSION_TABLE, migrations
from reidpipe.pipeline.storage.queries import crop_images, observation_rows, stored_appearances
from reidpipe.pipeline.storage.runs import find_run
from reidpipe.pipeline.storage.schema import REVISION
from reidpipe.pipeline.storage.store import Store

from ...stored_runs import rows

BOXES = [  # tracklet, frame, seconds, x1, y1, x2, y2, confidence, visible
    (1, 0, 1000.125, 10.0625, 20.1875, 50.3, 120.0, 0.87654, 1.0),
    (1, 1, 1000.25, 11.0, 21.0, 51.0, 121.0, 0.5, 95 / 96),
    (2, 1, 1000.25, 3000.7, 21.0, 3051.0, 121.0, 0.5, 0.0),
]
JPEG = b"\xff\xd8 a picture"


@pytest.fixture
def old(tmp_path):
    """A database of revision 0001, written by plain SQL as reidpipe 0.1 did."""
    path = tmp_path / "old.db"
    path.touch()
    config = migrations()
    with create_engine(f"sqlite:///{path}").begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = VERSION_TABLE
        command.upgrade(config, "0001")
    random = np.random.default_rng(1)
    embedding = random.normal(size=(2, 16)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    mask = np.array([np.full(16, 0.5), random.random(16)])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO runs VALUES (1, '2026-01-01 10:00:00', '2026-01-01 10:01:00', 'complete', "
                           "'0.1.0', '{}', 'a:1:b', '2026-01-01 10:01:00')")
        connection.execute("INSERT INTO cameras VALUES (1, 1, 'door', 'x', 640, 480, 8, 1000, NULL, "
                           "3, 3, 0, 0, 0, 'complete', '')")
        connection.executemany("INSERT INTO frames VALUES (1, ?)", [(0,), (1,), (2,)])
        connection.executemany("INSERT INTO tracklets VALUES (?, 1, ?, 1000.125, 1000.25, ?, NULL)",
                               [(1, 1, 2), (2, 2, 1)])
        connection.executemany("INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", BOXES)
        connection.executemany(
            "INSERT INTO appearances VALUES (?, ?, 'tracklet', 1000.125, 16, ?, ?)",
            [(n + 1, n + 1, embedding[n].astype("<f2").tobytes(), mask[n].astype("<f2").tobytes()) for n in range(2)])
        connection.execute("INSERT INTO crops VALUES (1, 0, 1000.125, 0.5, ?)", (JPEG,))
    connection.close()
    return path, embedding, mask


def test_results_are_the_same(old):
    path, embedding, mask = old
    with Store.open(path) as store:
        found = list(observation_rows(store))
        appearances = [one.appearance for one in stored_appearances(store)]
        assert [crop.image for crop in crop_images(store)] == [JPEG]
        assert find_run(store).observations == 3
    assert rows(path, f"select version_num from {VERSION_TABLE}") == [(REVISION,)]
    assert [(row.track, row.frame, row.seconds, row.interpolated) for row in found] == [
        (track, frame, seconds, False) for track, frame, seconds, *_ in BOXES]
    for row, box in zip(found, BOXES, strict=True):
        np.testing.assert_allclose((row.x1, row.y1, row.x2, row.y2), box[3:7], atol=1 / 128)
        assert row.confidence == round(box[7], 4)
        assert row.visible == box[8]
    assert (found[0].x1, found[0].y1) == (10.0625, 20.1875)  # sixteenths stay exact
    for one, expected, reliable in zip(appearances, embedding, mask, strict=True):
        np.testing.assert_allclose(one.embedding[0], expected, atol=4e-3)
        np.testing.assert_allclose(one.mask[0], reliable, atol=3e-3)


def test_boxes_can_be_queried_in_pixels(old):
    path, *_ = old
    Store.open(path).close()
    assert rows(path, "select frame_index, seconds, x1, y1, interpolated from boxes where track_id = 1 order by 1") == [
        (0, 1000.125, 10.0625, 20.1875, 0), (1, 1000.25, 11.0, 21.0, 0)]


def test_a_frame_without_boxes_has_no_time(old):
    path, *_ = old
    Store.open(path).close()
    assert rows(path, "select frame_index, seconds from frames order by 1") == [(0, 1000.125), (1, 1000.25), (2, None)]
