"""The page as an application: routes, log-in, errors and files, behind the guard."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ..credentials import without_credentials
from ..errors import LockedError, ReidpipeError
from .api import Api
from .clip import Clips
from .database import Database
from .find import Finder
from .footage import Player
from .jobs import Jobs
from .overview_api import OverviewApi
from .person_api import PersonApi
from .player_api import PlayerApi
from .remembered import Remembered
from .requests import RequestError, what_is_wrong
from .search_api import SearchApi
from .security import SESSION_SECONDS, Guard, Sessions, Views

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
WRONG_TOKEN = "<p class=\"wrong\" role=\"alert\">That token is not right.</p>"
WAIT = "<p class=\"wrong\" role=\"alert\">Too many wrong tokens. Wait half a minute, then try again.</p>"


def make_app(
    database: Database, sessions: Sessions, jobs: Jobs, who: str, hosts: frozenset[str] | None,
    cookie: str = "reidpipe",
    blur: bool = False,
    finder: Finder | None = None,
    views: Views | None = None,
    remembered: Remembered | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        database: what it shows and corrects.
        sessions: the log-ins.
        jobs: makes videos in the background.
        who: the name that the page proposes for those who decide.
        hosts: values of the Host header that are served; None for all.
        cookie: name of the session's cookie; browsers share cookies between the ports of one machine.
        blur: whether heads in everything shown are blurred.
        finder: searches by photo; with the models of this program by default.
        views: the log of looks at people; none by default.
        remembered: what was read of the database already; nothing by default.
    """
    files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}

    def static(request: Request) -> Response:
        return _file(files, request.path_params["name"])

    def page(_request: Request) -> Response:
        return _file(files, "index.html")

    async def log_in(request: Request) -> Response:
        token = request.query_params.get("token")
        if request.method == "POST":
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
            token = (form.get("token") or [""])[0]
        if token is None:
            return _log_in_page(files, "")
        value = sessions.log_in(token.strip())
        if value is None:
            return _log_in_page(files, WAIT if sessions.wait_seconds else WRONG_TOKEN)
        answer = RedirectResponse("/", 303)
        answer.headers["set-cookie"] = _cookie(cookie, value, int(SESSION_SECONDS))
        return answer

    def log_out(request: Request) -> Response:
        sessions.log_out(request.cookies.get(cookie))
        answer = JSONResponse({})
        answer.headers["set-cookie"] = _cookie(cookie, "", 0)
        return answer

    app = FastAPI(
        title="reidpipe", version=version("reidpipe"), openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/static/{name}", static, methods=["GET"]),
            Route("/login", log_in, methods=["GET", "POST"]),
            Route("/api/logout", log_out, methods=["POST"])],
        middleware=[Middleware(Guard, sessions=sessions, cookie=cookie, hosts=hosts, views=views)],
        exception_handlers={
            ReidpipeError: _explain, RequestValidationError: _invalid, HTTPException: _refused})
    remembered = remembered or Remembered()
    player = Player(database, jobs, blur)
    for routes in (
        Api(database, remembered, who, blur), OverviewApi(database, remembered, player),
        PlayerApi(database, player, Clips(database, jobs, blur)),
        PersonApi(database, blur), SearchApi(database, remembered, finder or Finder(blur)),
    ):
        app.include_router(routes.router())
    return app


def _file(files: dict[str, bytes], name: str) -> Response:
    if name not in files:  # the names are those of one folder, so that no path leads out of it
        return JSONResponse({"error": "no such page"}, 404)
    return Response(files[name], media_type=MEDIA_TYPES[Path(name).suffix])


def _log_in_page(files: dict[str, bytes], message: str) -> Response:
    content = files["login.html"].replace(b"<!-- message -->", message.encode())
    return Response(content, 403 if message else 200, media_type="text/html")


def _cookie(name: str, value: str, seconds: int) -> str:
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"


async def _explain(request: Request, error: Exception) -> Response:
    """An error as one line; what is not there is 404 when reading and a conflict when correcting."""
    if isinstance(error, RequestError):
        status = 400
    elif isinstance(error, LockedError):
        status = 503
    else:
        status = 409 if request.method == "POST" else 404
    return JSONResponse({"error": without_credentials(str(error))}, status)


async def _invalid(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": what_is_wrong(cast(RequestValidationError, error))}, 400)


async def _refused(_request: Request, error: Exception) -> Response:
    found = cast(HTTPException, error)
    if found.status_code in (404, 405):
        return JSONResponse({"error": "no such page"}, 404)
    return JSONResponse({"error": found.detail}, found.status_code)
