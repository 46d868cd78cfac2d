"""The page's files, and its log-in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .access.security import SESSION_SECONDS, Sessions

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
WRONG_TOKEN = "<p class=\"wrong\" role=\"alert\">That token is not right.</p>"
WAIT = "<p class=\"wrong\" role=\"alert\">Too many wrong tokens. Wait half a minute, then try again.</p>"


class Pages:
    """Handlers of the page's files, log-in and log-out.

    Args:
        sessions: the log-ins.
        cookie: name of the session's cookie.
    """

    def __init__(self, sessions: Sessions, cookie: str) -> None:
        self._sessions, self._cookie = sessions, cookie
        self._files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}

    def routes(self) -> list[BaseRoute]:
        """All routes of this class."""
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/static/{name}", self.static, methods=["GET"]),
            Route("/login", self.log_in, methods=["GET", "POST"]),
            Route("/api/logout", self.log_out, methods=["POST"])]

    def page(self, _request: Request) -> Response:
        """The page."""
        return self._file("index.html")

    def static(self, request: Request) -> Response:
        """One of its files."""
        return self._file(request.path_params["name"])

    async def log_in(self, request: Request) -> Response:
        """The form for the token, or, with a token, the log-in."""
        token = request.query_params.get("token")
        if request.method == "POST":
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
            token = (form.get("token") or [""])[0]
        if token is None:
            return self._form("")
        value = self._sessions.log_in(token.strip())
        if value is None:
            return self._form(WAIT if self._sessions.wait_seconds else WRONG_TOKEN)
        answer = RedirectResponse("/", 303)
        answer.headers["set-cookie"] = _cookie(self._cookie, value, int(SESSION_SECONDS))
        return answer

    def log_out(self, request: Request) -> Response:
        """End the session."""
        self._sessions.log_out(request.cookies.get(self._cookie))
        answer = JSONResponse({})
        answer.headers["set-cookie"] = _cookie(self._cookie, "", 0)
        return answer

    def _file(self, name: str) -> Response:
        if name not in self._files:  # the names are those of one folder, so that no path leads out of it
            return JSONResponse({"error": "no such page"}, 404)
        return Response(self._files[name], media_type=MEDIA_TYPES[Path(name).suffix])

    def _form(self, message: str) -> Response:
        content = self._files["login.html"].replace(b"<!-- message -->", message.encode())
        return Response(content, 403 if message else 200, media_type="text/html")


def _cookie(name: str, value: str, seconds: int) -> str:
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
