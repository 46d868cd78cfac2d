"""The first page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.web.api import overview


def test_the_overview_counts_people_over_the_time(served):
    found = served.get("/api/overview").json()
    assert (found["live"]["people"], found["undecided"], found["unsure"]) == (3, 0, 1)
    assert found["chart"]["people"] == [2, 2, 2, 2, 2, 2]
    assert [(one["name"], one["frames"]) for one in found["live"]["cameras"]] == [("door", 60), ("hall", 60)]
    picture = served.get("/media/previews/2")
    assert picture.headers["content-type"] == "image/jpeg"


def test_events_tell_the_state_of_the_run(served, monkeypatch):
    monkeypatch.setattr(overview, "STREAM_SECONDS", 0.01)
    monkeypatch.setattr(overview, "EVENT_SECONDS", 0.02)
    answer = served.get("/api/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    state = json.loads(answer.text.partition("data: ")[2].partition("\n")[0])
    assert (state["status"], state["people"]) == ("complete", 3)
