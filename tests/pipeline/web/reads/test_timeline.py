"""The timeline and its CSV file."""

from __future__ import annotations

import csv
import io
import sqlite3

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from tests.pipeline.web.served import post


def test_the_timeline_has_identities_and_their_visits(browser):
    found = browser.get("/api/timeline").json()
    names = {one["id"]: one["name"] for one in found["cameras"]}
    assert [(one[0], names[one[1]], *one[2:]) for one in found["visits"]] == [
        (1, "door", 0.0, 9.0, None, False), (1, "hall", 30.0, 39.0, 0.7, False),
        (2, "door", 0.0, 9.0, None, False), (3, "hall", 60.0, 69.0, None, False)]
    assert (found["total"], found["first_seconds"], found["last_seconds"]) == (3, 0.0, 69.0)


@pytest.mark.parametrize(("query", "expected"), [
    pytest.param("from=50", [3], id="from"),
    pytest.param("to=9", [1, 2], id="to"),
    pytest.param("from=9&to=30", [1, 2], id="touching both ends"),
    pytest.param("from=10&to=20", [], id="nobody then"),
    pytest.param("camera=2", [1, 3], id="one camera"),
    pytest.param("camera=1&camera=2&from=&to=", [1, 2, 3], id="both cameras"),
    pytest.param("camera=99", [], id="unknown camera"),
])
def test_the_timeline_is_filtered_by_camera_and_time(browser, query, expected):
    found = browser.get(f"/api/timeline?{query}").json()
    assert [one["identity"] for one in found["identities"]] == expected
    assert found["total"] == 3


def test_the_timeline_comes_in_parts(served):
    whole = served.get("/api/timeline?sort=cameras").json()
    assert [one["identity"] for one in whole["identities"]] == [2, 1, 3]
    part = served.get("/api/timeline?sort=cameras&offset=1&limit=1").json()
    assert ([one["identity"] for one in part["identities"]], part["matching"], part["matching_visits"]) == ([1], 3, 4)
    assert {visit[0] for visit in part["visits"]} == {1}
    assert served.get("/api/timeline?least_cameras=2").json()["matching"] == 1
    assert served.get("/api/timeline?least_seconds=60").json()["matching"] == 0


def test_a_short_absence_does_not_end_a_visit(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tracklets SET identity_id = (SELECT identity_id FROM tracklets WHERE id = 1)")
        connection.execute("UPDATE tracklets SET first_seconds = 45 WHERE first_seconds = 60")
    assert [one[2:4] for one in browser.get("/api/timeline?camera=2").json()["visits"]] == [[30.0, 69.0]]


@pytest.mark.parametrize(("query", "expected"), [
    pytest.param("", [("1", "door"), ("1", "hall"), ("2", "door"), ("3", "hall")], id="all"),
    pytest.param("camera=2&to=40", [("1", "hall")], id="camera and time"),
    pytest.param("from=1000", [], id="nobody then"),
])
def test_the_visits_on_the_screen_are_saved_as_csv(browser, query, expected):
    answer = browser.get(f"/api/visits.csv?{query}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["identity"], row["camera"]) for row in rows] == expected
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="visits-run1.csv"'


def test_the_csv_has_name_times_and_probability(browser):
    post(browser, "/api/identities/1/name", {"name": 'Ann, "A"'})
    row = next(csv.DictReader(io.StringIO(browser.get("/api/visits.csv?camera=2").text)))
    assert row == {
        "identity": "1", "name": 'Ann, "A"', "camera": "hall", "enter": "1970-01-01T00:00:30.000Z",
        "leave": "1970-01-01T00:00:39.000Z", "duration_seconds": "9.000", "lowest_probability": "0.7000",
        "by_person": "0"}


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "+1", "-1"])
def test_a_name_is_no_formula_in_the_csv(browser, name):
    assert post(browser, "/api/identities/1/name", {"name": name}).status_code == 200
    row = next(csv.DictReader(io.StringIO(browser.get("/api/visits.csv").text)))
    assert row["name"] == f"'{name}"


def test_the_csv_needs_a_log_in(visitor):
    assert visitor.get("/api/visits.csv").status_code == 401
