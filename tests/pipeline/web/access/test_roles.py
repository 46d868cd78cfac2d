"""What each log-in may do, and the log of looks at people."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from starlette.testclient import TestClient

from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.access.security import Sessions, Views
from reidpipe.pipeline.web.app import make_app
from reidpipe.pipeline.web.database import Database
from reidpipe.pipeline.web.jobs import Jobs
from tests.pipeline.web.served import HOST, TOKEN, VIEW_TOKEN, Served, encoded
from tests.pipeline.web.small_store import RED


def test_those_who_may_only_look_correct_nothing(footage_path, tmp_path):
    page = Served(footage_path, tmp_path, token=VIEW_TOKEN)
    try:
        assert page.get("/api/session").json()["role"] == "view"
        assert page.get("/api/timeline").status_code == 200
        refused = page.post("/api/identities/1/name", json.dumps({"run": 1, "who": "Eve", "name": "x"}))
        assert (refused.status_code, "correct nothing" in refused.json()["error"]) == (403, True)
        assert page.post("/api/search/photo", encoded(np.full((120, 40, 3), RED, np.uint8))).status_code == 200
        assert page.get("/api/history").json() == [] or all(
            one["who"] != "Eve" for one in page.get("/api/history").json())
    finally:
        page.close()


def test_looks_at_people_are_logged_if_wanted(footage_path, tmp_path):
    with Store.open(footage_path) as store:
        database, jobs, views = Database(store), Jobs(tmp_path), Views(tmp_path / "views.jsonl")
        app = make_app(database, Sessions(TOKEN), jobs, "Ada", frozenset({HOST}), views=views)
        browser = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
        browser.get("/api/identities/1")
        browser.get("/login", params={"token": TOKEN})
        browser.get("/api/session")
        browser.get("/api/identities/1?run=1")
        views.close()
        jobs.close()
        database.close()
    (line,) = (tmp_path / "views.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["path"], found["query"], found["role"]) == ("/api/identities/1", "run=1", "edit")
    assert (tmp_path / "views.jsonl").stat().st_mode & 0o777 == 0o600
