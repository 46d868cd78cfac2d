"""Who may use the page: log-in by token, sessions, the checks of every request, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import OutputError

LEAST_TOKEN = 16  # characters
SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 1000
MOST_FAILURES, PAUSE_SECONDS = 5, 30.0  # wrong tokens in a row, and the wait after them
LENGTH = re.compile(r"[0-9]{1,18}")
LARGEST_BODY = 64 * 1024  # bytes
PHOTO_PATH, LARGEST_PHOTO = "/api/search/photo", 16 * 2**20  # bytes
VIEWERS_POST = frozenset({PHOTO_PATH, "/api/logout"})  # what those who may only look can send
Role = Literal["view", "edit"]
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
PEOPLE_PATHS = (  # what shows a single person
    "/api/identities/", "/api/search", "/api/links/", "/media/clips/", "/media/evidence/", "/api/evidence/",
    "/media/photos/")
OPEN_PATHS = ("/login", "/static/")  # what is shown before the log-in
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",  # a forgotten person must not stay in the browser's cache
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in: when it ends (monotonic seconds), what it may do, and what its writing requests must carry."""

    ends: float
    role: Role = "edit"
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Sessions:
    """Log-ins by a token for each role, kept in memory.

    Args:
        token: what those who may correct have to give, at least LEAST_TOKEN characters.
        clock: monotonic seconds.
        view_token: what those who may only look have to give; nobody may by default.
    """

    def __init__(
        self, token: str, clock: Callable[[], float] = time.monotonic, view_token: str | None = None
    ) -> None:
        self._tokens: dict[Role, bytes] = {"edit": _digest(token)}
        if view_token is not None:
            self._tokens["view"] = _digest(view_token)
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._failures = 0
        self._blocked_until = float("-inf")

    @property
    def wait_seconds(self) -> float:
        """How long no token is accepted because too many were wrong; 0 ordinarily."""
        return max(0.0, self._blocked_until - self._clock())

    def log_in(self, token: str) -> str | None:
        """A new session's cookie; None if the token is wrong or too many were."""
        if self.wait_seconds:
            return None
        given = _digest(token)
        roles = [role for role, own in self._tokens.items() if hmac.compare_digest(given, own)]
        if not roles:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._failures = 0
                self._blocked_until = self._clock() + PAUSE_SECONDS
            return None
        self._failures = 0
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(self._clock() + SESSION_SECONDS, roles[0])
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie, unless it has ended."""
        session = self._sessions.get(cookie or "")
        if session is None or session.ends < self._clock():
            self._sessions.pop(cookie or "", None)
            return None
        return session

    def log_out(self, cookie: str | None) -> None:
        """End a session."""
        self._sessions.pop(cookie or "", None)


def _digest(token: str) -> bytes:
    """What is kept of a token in memory: compared in constant time, whatever the length."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class Views:
    """The log of looks at people: a file to which a line of JSON is appended for each.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}: give another path") from error

    def note(self, role: Role, client: str, method: str, path: str, query: bytes) -> None:
        """Append a line."""
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(json.dumps({
            "time": when, "client": client, "role": role, "method": method, "path": path,
            "query": query.decode("latin-1")}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Guard:
    """Middleware that lets only a logged-in browser through, and writes only by our own page.

    Args:
        app: what it protects.
        sessions: the log-ins.
        cookie: name of the session's cookie.
        hosts: values of the Host header that are served, against DNS rebinding; None for all, where the name of the
            machine is not known. A session's cookie belongs to a name, so that another name has none.
        views: the log of looks at people; none by default.
    """

    def __init__(
        self, app: ASGIApp, sessions: Sessions, cookie: str, hosts: frozenset[str] | None, views: Views | None = None
    ) -> None:
        self._app, self._sessions, self._cookie, self._hosts, self._views = app, sessions, cookie, hosts, views

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if self._hosts is not None and headers.get("host", "").lower() not in self._hosts:
            return _refused(421, "this server is not known by that name: use the address that it printed")
        writes = scope["method"] not in ("GET", "HEAD")
        if writes and not _is_same_origin(headers, scope["scheme"]):
            return _refused(403, "the request comes from another site")
        if writes and not LENGTH.fullmatch(headers.get("content-length", "")):
            return _refused(411, "a request needs its length")
        largest = LARGEST_PHOTO if path == PHOTO_PATH else LARGEST_BODY
        if writes and int(headers["content-length"]) > largest:
            return _refused(413, f"a request has at most {largest} bytes")
        if path.startswith(OPEN_PATHS):
            return None
        session = self._sessions.find(HTTPConnection(scope).cookies.get(self._cookie))
        if session is None:
            if path == "/":
                return RedirectResponse("/login", 303)
            return _refused(401, "log in first")
        if writes and not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            return _refused(403, "the request lacks the page's token: load the page again")
        if writes and session.role == "view" and path not in VIEWERS_POST:
            return _refused(403, "this log-in may look, but correct nothing")
        if self._views is not None and path.startswith(PEOPLE_PATHS):
            client = scope.get("client")
            self._views.note(session.role, client[0] if client else "", scope["method"], path, scope["query_string"])
        scope.setdefault("state", {}).update(csrf=session.csrf, role=session.role)
        return None


def _is_same_origin(headers: Headers, scheme: str) -> bool:
    """Whether a request comes from our own page; browsers send Origin with every request that writes."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin, host = headers.get("origin", ""), headers.get("host", "")
    return bool(host) and origin.lower() in {f"{one}://{host}".lower() for one in (scheme, "https")}


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
