"""Corrections and the review."""

from __future__ import annotations

import sqlite3

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.corrections.history import history
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import camera, small_run
from tests.pipeline.web.served import TOKEN, client_of, people, post, tracklets


def test_a_name_that_looks_like_markup_stays_a_text(browser):
    name = "<img src=x onerror=alert(1)>"
    assert post(browser, "/api/identities/1/name", {"name": name}).json()["kind"] == "rename"
    answer = browser.get("/api/identities/1")
    assert (answer.json()["name"], answer.headers["content-type"]) == (name, "application/json")


def test_corrections_are_seen_by_the_next_read_and_can_be_undone(browser, path):
    merged = post(browser, "/api/identities/3/merge", {"other": 1, "why": "same bag"}).json()
    assert (merged["identities"], merged["who"], merged["why"]) == ([1, 3], "Bob", "same bag")
    assert people(browser) == [1, 2]
    hall = tracklets(browser, 1)["hall", 1]["id"]
    split = post(browser, "/api/identities/1/split", {"tracklets": [hall]}).json()
    assert people(browser) == [1, 2, split["identities"][1]]
    assert post(browser, "/api/undo", {}).json()["undoes"] == split["number"]
    assert post(browser, "/api/undo", {"correction": merged["number"]}).json()["undoes"] == merged["number"]
    assert people(browser) == [1, 2, 3]
    assert [one["kind"] for one in browser.get("/api/history").json()] == ["undo", "undo", "split", "merge"]
    with Store.open(path) as store:
        assert {one.who for one in history(store)} == {"Bob"}


def test_a_split_from_a_tracklet_on(browser):
    hall = tracklets(browser, 1)["hall", 1]["id"]
    assert post(browser, "/api/identities/1/split", {"from_tracklet": hall}).status_code == 200
    assert set(tracklets(browser, 1)) == {("door", 1)}


def test_two_people_stay_apart(browser):
    assert post(browser, "/api/identities/1/apart", {"other": 3}).json()["kind"] == "different"
    refused = post(browser, "/api/identities/1/merge", {"other": 3})
    assert refused.status_code == 409
    assert "are different people by correction 1" in refused.json()["error"]


def test_a_merge_of_people_seen_at_once_is_refused_unless_insisted(browser):
    refused = post(browser, "/api/identities/1/merge", {"other": 2})
    assert (refused.status_code, "both in door" in refused.json()["error"]) == (409, True)
    assert post(browser, "/api/identities/1/merge", {"other": 2, "anyway": True}).status_code == 200
    assert people(browser) == [1, 3]


def test_forgetting_needs_the_number_again(browser, path):
    assert post(browser, "/api/identities/2/forget", {"again": 1}).status_code == 400
    assert people(browser) == [1, 2, 3]
    portrait = browser.get("/media/portraits/2").content
    assert portrait in path.read_bytes()
    assert post(browser, "/api/identities/2/forget", {"again": 2}).json()["kind"] == "forget"
    assert people(browser) == [1, 3]
    assert browser.get("/media/portraits/2").status_code == 404
    assert all(portrait not in file.read_bytes() for file in path.parent.iterdir())


def test_the_review_asks_about_a_link_until_somebody_decides(browser):
    link, = browser.get("/api/review").json()["links"]
    assert (link["camera"], link["probability"]) == ("hall", 0.7)
    both = browser.get(f"/api/links/{link['id']}").json()
    assert (both["own"]["camera"], both["other"]["camera"]) == ("hall", "door")
    confirmed = post(browser, f"/api/links/{link['id']}/confirm", {"other": both["other"]["id"]}).json()
    assert confirmed["what"] == "tracklets of identity 1 are one person"
    assert browser.get("/api/review").json() == {"links": [], "total": 0, "unsure": 0, "without_probability": 0}
    post(browser, "/api/undo", {"correction": confirmed["number"]})
    assert browser.get("/api/review").json()["total"] == 1
    post(browser, "/api/identities/1/split", {"tracklets": [link["id"]]})
    assert browser.get("/api/review").json()["total"] == 0


def test_the_review_says_if_links_have_no_probability(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE links SET probability = NULL")
    assert browser.get("/api/review").json() == {"links": [], "total": 0, "unsure": 0, "without_probability": 1}


def test_a_run_that_goes_on_is_shown_but_not_corrected(tmp_path):
    small_run(tmp_path / "b.db")
    with Store.open(tmp_path / "b.db") as store, store.start_run("{}", [camera("door")]):
        client, database = client_of(store)
        client.get("/login", params={"token": TOKEN})
        assert client.get("/api/timeline").json()["total"] == 0
        answer = post(client, "/api/identities/1/name", {"run": 2, "name": "x"})
        assert (answer.status_code, "still goes on" in answer.json()["error"]) == (409, True)
        database.close()
