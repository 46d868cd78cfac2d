"""Bad requests are one line; the API describes itself."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.storage.store import Store
from tests.pipeline.web.served import TOKEN, client_of, post


@pytest.mark.parametrize(("address", "status", "message"), [
    pytest.param("/api/timeline?run=7", 404, "no run 7", id="unknown run"),
    pytest.param("/api/timeline?run=x", 400, "run: expected a whole number", id="run that is no number"),
    pytest.param("/api/timeline?from=noon", 400, "from: expected seconds", id="time that is none"),
    pytest.param("/api/timeline?to=nan", 400, "to: expected seconds", id="not a number"),
    pytest.param("/api/timeline?camera=-1", 400, "camera: expected a whole number", id="negative camera"),
    pytest.param(f"/api/identities/{2**63}", 400, "identity: expected a whole number", id="beyond the database"),
    pytest.param("/api/identities/99", 404, "no identity 99", id="unknown identity"),
    pytest.param("/api/identities/%C2%B2", 400, "identity: expected", id="superscript"),
    pytest.param("/api/links/99", 404, "no such tracklet", id="unknown tracklet"),
    pytest.param("/media/crops/1/999", 404, "no such picture", id="unknown picture"),
    pytest.param("/static/../app.py", 404, "no such page", id="traversal"),
    pytest.param("/static/%2e%2e%2fapp.py", 404, "no such page", id="encoded traversal"),
    pytest.param("/static/..%5capp.py", 404, "no such page", id="traversal by a backslash"),
    pytest.param("/nowhere", 404, "no such page", id="unknown page"),
])
def test_bad_reads_are_one_line(browser, address, status, message):
    answer = browser.get(address)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize(("address", "body", "status", "message"), [
    pytest.param("/api/identities/1/name", "{", 400, "JSON", id="no JSON"),
    pytest.param("/api/identities/1/name", b"\xff", 400, "", id="no text"),
    pytest.param("/api/identities/1/name", {"name": 7}, 400, "name: ", id="wrong type"),
    pytest.param("/api/identities/1/name", {"name": "x", "more": 1}, 400, "more: ", id="unknown key"),
    pytest.param("/api/identities/1/name", {"name": "a\nb"}, 409, "one line", id="two lines"),
    pytest.param("/api/identities/1/name", {"name": "x" * 201}, 409, "at most 200", id="too long"),
    pytest.param("/api/identities/1/name", {"name": "x", "who": " "}, 409, "somebody who decides", id="nobody"),
    pytest.param("/api/identities/9/name", {"name": "x"}, 409, "no identity 9", id="unknown identity"),
    pytest.param("/api/identities/1/merge", {"other": 1}, 409, "is itself", id="with itself"),
    pytest.param("/api/identities/1/split", {}, 409, "either which tracklets", id="a split of nothing"),
    pytest.param("/api/identities/1/split", {"tracklets": [99]}, 409, "no such tracklet", id="unknown tracklet"),
    pytest.param("/api/links/2/confirm", {"other": 2}, 409, "nothing is decided", id="one tracklet"),
    pytest.param("/api/undo", {"correction": 5}, 409, "no correction 5", id="unknown correction"),
    pytest.param("/api/undo", {"run": 4}, 409, "no run 4", id="unknown run"),
])
def test_bad_corrections_are_one_line_and_change_nothing(browser, address, body, status, message):
    answer = post(browser, address, body)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert browser.get("/api/history").json() == []


def test_a_database_without_runs_says_so(tmp_path):
    with Store.open(tmp_path / "c.db", create=True) as store:
        client, database = client_of(store)
        client.get("/login", params={"token": TOKEN})
        assert client.get("/api/session").json()["runs"] == []
        assert "no run yet" in client.get("/api/timeline").json()["error"]
        database.close()


def test_the_api_describes_itself(served):
    found = served.get("/api/openapi.json").json()
    assert "/api/identities/{identity}/split" in found["paths"]
    assert "from_tracklet" in found["components"]["schemas"]["Split"]["properties"]
    parameters = {one["name"] for one in found["paths"]["/api/timeline"]["get"]["parameters"]}
    assert {"run", "camera", "from", "to", "sort", "offset", "limit"} <= parameters
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} has no description"
