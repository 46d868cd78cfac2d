"""The queries of the page use indices."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from sqlalchemy import event

from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.reads.boxes import boxes_between, boxes_by_frame, floor_map
from reidpipe.pipeline.web.reads.person import crop_appearance, crop_file, identity_page, link_pair, portrait_file
from reidpipe.pipeline.web.reads.tracklets import of_identity, visits_of
from tests.pipeline.web.small_store import START

LARGE = ("observations", "frames", "crops", "appearances", "links", "tracklets", "identities")
BY_CAMERA = "tracklets USING INDEX sqlite_autoindex_tracklets_1 (camera_id=?)"  # goes through all of a day


def plans(path, read):
    """The steps of every query that a read makes."""
    queries = []
    with Store.open(path) as store, store.reading() as connection:
        def note(_connection, _cursor, statement, parameters, _context, _many):
            queries.append((statement, parameters))

        event.listen(connection.engine, "before_cursor_execute", note)
        read(store)
        event.remove(connection.engine, "before_cursor_execute", note)
        selects = [one for one in queries if one[0].startswith("SELECT")]
        assert selects
        return [step[-1] for statement, parameters in selects
                for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize("read", [
    pytest.param(lambda store: identity_page(store, 1, 2), id="page"),
    pytest.param(lambda store: visits_of(store, 1, 2), id="visits"),
    pytest.param(lambda store: floor_map(store, 1, 2), id="path"),
    pytest.param(lambda store: link_pair(store, 1, 3), id="link"),
    pytest.param(lambda store: portrait_file(store, 1, 2), id="portrait"),
    pytest.param(lambda store: crop_file(store, 1, 1, 2), id="crop"),
    pytest.param(lambda store: crop_appearance(store, 1, 1, 2), id="appearance of a crop"),
    pytest.param(lambda store: boxes_by_frame(store, 1, of_identity(1, 2)), id="boxes"),
])
def test_reads_of_one_person_go_through_no_large_table(footage_path, read):
    for step in plans(footage_path, read):
        assert not step.startswith(tuple(f"SCAN {table}" for table in LARGE)), step
        assert BY_CAMERA not in step, step


def test_boxes_of_some_seconds_go_through_no_large_table(footage_path):
    for step in plans(footage_path, lambda store: boxes_between(store, 1, 1, START, START + 10)):
        assert not step.startswith(tuple(f"SCAN {table}" for table in LARGE)), step
