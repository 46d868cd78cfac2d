"""The page as an application: routes and errors, behind the guard."""

from __future__ import annotations

from importlib.metadata import version
from typing import cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..credentials import without_credentials
from ..errors import LockedError, ReidpipeError
from ..types import FloorPlan
from .access.requests import RequestError, what_is_wrong
from .access.security import Guard, Sessions, Views
from .api.corrections import CorrectionsApi
from .api.overview import OverviewApi
from .api.person import PersonApi
from .api.player import PlayerApi
from .api.search import SearchApi
from .api.timeline import TimelineApi
from .database import Database
from .jobs import Jobs
from .media.clip import Clips
from .media.footage import Player
from .pages import Pages
from .reads.plan import Plans
from .reads.remembered import Remembered
from .search.finder import Finder


def make_app(
    database: Database, sessions: Sessions, jobs: Jobs, who: str, hosts: frozenset[str] | None,
    cookie: str = "reidpipe",
    blur: bool = False,
    finder: Finder | None = None,
    views: Views | None = None,
    remembered: Remembered | None = None,
    plan: FloorPlan | None = None,
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
        plan: picture of the floor for runs that stored none.
    """
    app = FastAPI(
        title="reidpipe", version=version("reidpipe"), openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        routes=Pages(sessions, cookie).routes(),
        middleware=[Middleware(Guard, sessions=sessions, cookie=cookie, hosts=hosts, views=views)],
        exception_handlers={
            ReidpipeError: _explain, RequestValidationError: _invalid, HTTPException: _refused})
    remembered = remembered or Remembered()
    player, plans, finder = Player(database, jobs, blur), Plans(plan), finder or Finder(blur)
    for routes in (
        OverviewApi(database, remembered, player), TimelineApi(database, remembered, who, blur),
        PersonApi(database, blur, plans, finder), PlayerApi(database, player, Clips(database, jobs, blur), plans),
        SearchApi(database, remembered, finder), CorrectionsApi(database, remembered),
    ):
        app.include_router(routes.router())
    return app


async def _explain(request: Request, error: Exception) -> JSONResponse:
    """An error as one line; what is not there is 404 when reading and a conflict when correcting."""
    if isinstance(error, RequestError):
        status = 400
    elif isinstance(error, LockedError):
        status = 503
    else:
        status = 409 if request.method == "POST" else 404
    return JSONResponse({"error": without_credentials(str(error))}, status)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": what_is_wrong(cast(RequestValidationError, error))}, 400)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    found = cast(HTTPException, error)
    if found.status_code in (404, 405):
        return JSONResponse({"error": "no such page"}, 404)
    return JSONResponse({"error": found.detail}, found.status_code)
