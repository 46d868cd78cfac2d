"""The review page over a small database: every route, who may use it, and corrections through it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from click.testing import CliRunner
from starlette.testclient import TestClient

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.corrections.history import history
from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.app import STATIC, make_app
from reidpipe.pipeline.web.database import Database
from reidpipe.pipeline.web.jobs import Jobs
from reidpipe.pipeline.web.security import MOST_FAILURES, PAUSE_SECONDS, SESSION_SECONDS, Sessions
from tests.pipeline.stored_runs import camera, people_run, small_run

TOKEN = "a token of twenty chars"
VIEW_TOKEN = "a token for looking only"
HOST = "127.0.0.1:8471"
ORIGIN = {"origin": f"http://{HOST}"}


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The database, made once: its migrations take time."""
    path = tmp_path_factory.mktemp("made") / "a.db"
    people_run(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE links SET probability = 0.7 WHERE similarity IS NOT NULL")
    return path


@pytest.fixture
def path(made, tmp_path):
    return Path(shutil.copy(made, tmp_path / "a.db"))


@pytest.fixture
def clock():
    return Clock()


def client_of(store, clock=None, hosts=frozenset({HOST})):
    database = Database(store)
    jobs = Jobs(Path(store.file).parent / "cache")
    app = make_app(database, Sessions(TOKEN, clock or Clock(), VIEW_TOKEN), jobs, "Ada", hosts)
    return TestClient(app, base_url=f"http://{HOST}", follow_redirects=False), database


@pytest.fixture
def visitor(path, clock):
    """A browser that is not logged in."""
    with Store.open(path) as store:
        client, database = client_of(store, clock)
        yield client
        database.close()


@pytest.fixture
def browser(visitor):
    assert visitor.post("/login", content=f"token={TOKEN.replace(' ', '+')}", headers=ORIGIN).status_code == 303
    return visitor


def post(browser, address, body, **headers):
    csrf = browser.get("/api/session").json()["csrf"]
    own = {"x-csrf-token": csrf, "content-type": "application/json", **ORIGIN} | {
        name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, str | bytes) else json.dumps({"run": 1, "who": "Bob", **body})
    return browser.post(address, content=content, headers={k: v for k, v in own.items() if v is not None})


def people(browser):
    return [one["identity"] for one in browser.get("/api/timeline").json()["identities"]]


def tracklets(browser, identity):
    found = browser.get(f"/api/identities/{identity}").json()["tracklets"]
    return {(one["camera"], one["track"]): one for one in found}


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


def test_a_short_absence_does_not_end_a_visit(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tracklets SET identity_id = (SELECT identity_id FROM tracklets WHERE id = 1)")
        connection.execute("UPDATE tracklets SET first_seconds = 45 WHERE first_seconds = 60")
    assert [one[2:4] for one in browser.get("/api/timeline?camera=2").json()["visits"]] == [[30.0, 69.0]]


def test_the_page_of_an_identity_shows_what_decided_its_links(browser):
    found = browser.get("/api/identities/1").json()
    first, second = found["tracklets"]
    assert (first["camera"], first["similarity"], len(first["crops"])) == ("door", None, 2)
    assert (second["camera"], second["similarity"], second["probability"], second["by"]) == ("hall", 0.6, 0.7, "model")
    assert second["pair"]["own"]["tracklet"] == second["id"]
    assert second["pair"]["other"]["tracklet"] == first["id"]
    assert -1 <= second["pair"]["similarity"] <= 1
    crop = second["pair"]["own"]
    picture = browser.get(f"/media/crops/{crop['tracklet']}/{crop['frame']}")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")
    portrait = browser.get("/media/portraits/1")
    assert portrait.content[8:12] == b"WEBP"


def test_the_crops_that_decided_are_the_most_similar_ones(browser, path):
    with sqlite3.connect(path) as connection:  # the second crop of the hall has the embedding of the door's first
        connection.execute(
            "UPDATE appearances SET embedding = (SELECT embedding FROM appearances WHERE kind = 'crop' "
            "AND tracklet_id = (SELECT id FROM tracklets WHERE track_id = 1 AND camera_id = 1) ORDER BY seconds) "
            "WHERE kind = 'crop' AND seconds = 31")
    pair = tracklets(browser, 1)["hall", 1]["pair"]
    assert (pair["own"]["seconds"], pair["other"]["seconds"]) == (31, 0)
    assert pair["similarity"] == pytest.approx(1, abs=1e-3)


def test_an_identity_of_one_tracklet_has_no_pair(browser):
    assert tracklets(browser, 3)["hall", 2]["pair"] is None


def test_a_stored_picture_that_is_none_is_not_sent(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE crops SET image = ?", (b"<svg onload='alert(1)'>",))
    crop = browser.get("/api/identities/1").json()["tracklets"][0]["crops"][0]
    assert browser.get(f"/media/crops/{crop['tracklet']}/{crop['frame']}").status_code == 404
    assert browser.get("/media/portraits/1").status_code == 404


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
    assert browser.get("/api/review").json() == {"links": [], "total": 0, "without_probability": 0}
    post(browser, "/api/undo", {"correction": confirmed["number"]})
    assert browser.get("/api/review").json()["total"] == 1
    post(browser, "/api/identities/1/split", {"tracklets": [link["id"]]})
    assert browser.get("/api/review").json()["total"] == 0


def test_the_review_says_if_links_have_no_probability(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE links SET probability = NULL")
    assert browser.get("/api/review").json() == {"links": [], "total": 0, "without_probability": 1}


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


@pytest.mark.parametrize(("headers", "status"), [
    pytest.param({"x_csrf_token": None}, 403, id="without the page's token"),
    pytest.param({"x_csrf_token": "guess"}, 403, id="with a wrong token"),
    pytest.param({"origin": None}, 403, id="without an origin"),
    pytest.param({"origin": "http://evil.example"}, 403, id="from another site"),
    pytest.param({"origin": "http://127.0.0.1:9999"}, 403, id="from another port"),
    pytest.param({"origin": "null"}, 403, id="from a sandbox"),
    pytest.param({"sec_fetch_site": "cross-site"}, 403, id="from another site, by the browser"),
    pytest.param({"host": "evil.example"}, 421, id="by another name"),
    pytest.param({"content_type": "text/plain"}, 400, id="as a form could send it"),
    pytest.param({"content_length": "70000"}, 413, id="too large"),
])
def test_nothing_is_written_unless_our_page_asks(browser, headers, status):
    assert post(browser, "/api/identities/1/name", {"name": "x"}, **headers).status_code == status
    assert browser.get("/api/history").json() == []


def test_a_body_of_unknown_length_is_refused(browser):
    assert browser.post("/api/undo", content=iter([b"{}"]), headers=ORIGIN).status_code == 411
    for length in ("9" * 5000, "-1", "1e3", ""):
        assert browser.post("/api/undo", content=b"", headers=ORIGIN | {"content-length": length}).status_code == 411


def test_nobody_sees_anything_without_a_log_in(visitor):
    assert (visitor.get("/").status_code, visitor.get("/").headers["location"]) == (303, "/login")
    addresses = ["/api/session", "/api/timeline", "/api/identities/1", "/api/review", "/api/links/1", "/api/history",
                 "/media/crops/1/0", "/media/portraits/1", "/nowhere"]
    assert {visitor.get(address).status_code for address in addresses} == {401}
    assert visitor.post("/api/undo", content="{}", headers=ORIGIN).status_code == 401


def test_a_rebinding_name_sees_nothing(browser):
    assert browser.get("/api/timeline", headers={"host": "evil.example:8471"}).status_code == 421


def test_the_printed_address_logs_in(visitor):
    answer = visitor.get("/login", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert visitor.get("/").text == (STATIC / "index.html").read_text(encoding="utf-8")


def test_wrong_tokens_are_slowed_down(visitor, clock):
    for _ in range(MOST_FAILURES - 1):
        assert "not right" in visitor.get("/login?token=wrong").text
    visitor.get("/login?token=wrong")
    assert "Wait half a minute" in visitor.get("/login", params={"token": TOKEN}).text
    clock.seconds = PAUSE_SECONDS + 1
    assert visitor.get("/login", params={"token": TOKEN}).status_code == 303


def test_a_session_ends(browser, clock):
    clock.seconds = SESSION_SECONDS + 1
    assert browser.get("/api/timeline").status_code == 401


def test_logging_out_ends_the_session(browser):
    cookie = browser.cookies["reidpipe"]
    assert post(browser, "/api/logout", "{}").status_code == 200
    assert browser.get("/api/timeline", headers={"cookie": f"reidpipe={cookie}"}).status_code == 401


@pytest.mark.parametrize("address", ["/", "/login", "/static/app.js", "/api/timeline", "/api/nothing"])
def test_every_answer_has_the_security_headers(browser, address):
    headers = browser.get(address).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_the_page_needs_nothing_from_elsewhere_and_makes_no_markup_of_texts():
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        for forbidden in ("http:", "https:", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                          "style=\"", "onclick=\"", "<script>"):
            assert forbidden not in text, f"{file.name} has {forbidden}"


def test_reading_connections_cannot_write(path):
    with Store.open(path) as store, store.read_only() as reader:
        with pytest.raises(StoreError, match="cannot be written"), reader.writing() as connection:
            connection.exec_driver_sql("DELETE FROM identities")
        with reader.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM identities").scalar_one() == 3


def test_a_run_that_goes_on_is_shown_but_not_corrected(tmp_path):
    small_run(tmp_path / "b.db")
    with Store.open(tmp_path / "b.db") as store, store.start_run("{}", [camera("door")]):
        client, database = client_of(store)
        client.get("/login", params={"token": TOKEN})
        assert client.get("/api/timeline").json()["total"] == 0
        answer = post(client, "/api/identities/1/name", {"run": 2, "name": "x"})
        assert (answer.status_code, "still goes on" in answer.json()["error"]) == (409, True)
        database.close()


def test_a_database_without_runs_says_so(tmp_path):
    with Store.open(tmp_path / "c.db", create=True) as store:
        client, database = client_of(store)
        client.get("/login", params={"token": TOKEN})
        assert client.get("/api/session").json()["runs"] == []
        assert "no run yet" in client.get("/api/timeline").json()["error"]
        database.close()


def serve(path, *arguments):
    done = CliRunner().invoke(main, ["serve", "--database", str(path), *arguments])
    assert len(done.output.strip().splitlines()) == 1, done.output
    return done.exit_code, done.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "store.example"])
def test_other_machines_are_not_let_in_without_a_token(path, host):
    code, message = serve(path, "--host", host)
    assert (code, "give --token-file" in message) == (2, True), message


def test_a_short_token_is_refused(path, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    code, message = serve(path, "--host", "0.0.0.0", "--token-file", str(tmp_path / "token"))
    assert (code, "at least 16 characters" in message, "secret" in message) == (2, True, False), message


def test_a_port_in_use_is_one_line(path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, message = serve(path, "--port", str(other.getsockname()[1]))
    assert (code, "give another --host or --port" in message) == (6, True), message
