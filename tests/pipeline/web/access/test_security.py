"""Who may use the page, and from where."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.web.access.security import MOST_FAILURES, PAUSE_SECONDS, SESSION_SECONDS
from reidpipe.pipeline.web.pages import STATIC
from tests.pipeline.web.served import ORIGIN, TOKEN, post


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
