"""The database of a day that the benchmark of the review page is made on."""

from __future__ import annotations

import pytest

from reidpipe.pipeline.bench.page import stored_day
from reidpipe.pipeline.storage.runs import list_runs
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import people_run


def test_a_day_is_stored_whole_or_not_at_all(measured, tmp_path, monkeypatch):
    people_run(tmp_path / "a.db")
    monkeypatch.setattr(stored_day, "measure_run", lambda *_: measured)  # what ground truth of that run would give
    path, asked = tmp_path / "day.db", stored_day.PageDay(400, 20, 0.5, 3)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stored_day, "_boxes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stored_day.store_day(path, str(tmp_path / "a.db"), tmp_path, None, asked)
    assert {one.name for one in tmp_path.iterdir()} == {"a.db"}
    count = stored_day.store_day(path, str(tmp_path / "a.db"), tmp_path, None, asked)
    with Store.open(path) as store:
        (run,) = list_runs(store)
    assert (run.status, run.tracklets) == ("complete", count)
    assert {one.name for one in tmp_path.iterdir()} == {"a.db", "day.db"}
