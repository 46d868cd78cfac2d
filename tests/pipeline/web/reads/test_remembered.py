"""What is remembered of a run that goes on stands for seconds, and not beyond the run's end."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.reads import remembered
from reidpipe.pipeline.web.reads.remembered import Remembered
from tests.pipeline.stored_runs import LINK, boxes, camera, tracklet


def test_a_run_that_has_ended_is_read_anew_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(remembered, "RUNNING_SECONDS", 3600.0)
    values, reads = Remembered(), iter(range(10))
    with Store.open(tmp_path / "a.db", create=True) as store:

        def read():
            return values.get("timeline", store, 1, lambda _store, _run: next(reads))

        with store.start_run("{}", [camera()]) as run:
            assert [read(), read()] == [0, 0]
            run.add_observations(boxes(0, [1]))
            run.add_tracklet(tracklet(1))
            run.add_links([LINK])
        assert [read(), read()] == [1, 1]
