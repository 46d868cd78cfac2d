"""Files of one identity: its clip and its report."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.pictures.palette import CAMERA_COLOURS
from tests.pipeline.web.served import ORIGIN


def test_a_clip_shows_the_visits_of_an_identity(served):
    served.until("/api/identities/2/clip")
    answer = served.get("/media/clips/2")
    assert answer.headers["content-disposition"] == 'attachment; filename="person-2-run1.mp4"'
    assert answer.content[4:8] == b"ftyp"
    assert served.get("/api/identities/9/clip").status_code == 404


def test_the_report_needs_nothing_else(served):
    csrf = served.get("/api/session").json()["csrf"]
    body = json.dumps({"run": 1, "who": "Bob", "name": "<script>alert(1)</script>"})
    headers = {"x-csrf-token": csrf, "content-type": "application/json", **ORIGIN}
    assert served.browser.post("/api/identities/1/name", content=body, headers=headers).status_code == 200
    text = served.get("/api/identities/1/report").text
    served.browser.post("/api/undo", content=json.dumps({"run": 1, "who": "Bob"}), headers=headers)
    assert "&lt;script&gt;" in text
    assert 'src="data:image/webp;base64,' in text
    assert "<polyline" in text
    for forbidden in ("<script", "http:", "https:", "href="):
        assert forbidden not in text


def test_the_report_has_the_colours_of_the_page(served):
    assert served.get("/api/session").json()["palette"]["cameras"] == list(CAMERA_COLOURS)
    assert all(f"background:{colour}" in served.get("/api/identities/2/report").text for colour in CAMERA_COLOURS[:2])
