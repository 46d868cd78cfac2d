"""The JSON API: what the page reads, and corrections. docs/reviewing.md lists the routes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..corrections.decisions import confirm, merge, not_the_same, rename, split, undo
from ..corrections.forgetting import forget
from ..corrections.history import Correction, history
from ..corrections.identities import list_identities
from ..storage.queries import find_run, list_runs
from ..storage.store import Store
from .database import Database
from .reads import (
    camera_names,
    crop_file,
    find_tracklet,
    identity_page,
    least_sure_links,
    link_pair,
    portrait_file,
    shown_visits,
    timeline,
)
from .requests import Body, Confirm, Forget, Name, Other, RequestError, Split, Undo, body_of, number_in, seconds_in
from .sheet import visits_csv

Apply = Callable[[Store, Body], Correction]


class Api:
    """Handlers of all routes over one database.

    Args:
        database: what they read and correct.
        who: the name that the page proposes for those who decide.
    """

    def __init__(self, database: Database, who: str) -> None:
        self._database, self._who = database, who

    def routes(self) -> list[Route]:
        """All routes below /api and /media."""
        read, write = ["GET"], ["POST"]
        return [
            Route("/api/session", self.session, methods=read),
            Route("/api/timeline", self.timeline, methods=read),
            Route("/api/visits.csv", self.visits, methods=read),
            Route("/api/identities/{identity}", self.identity, methods=read),
            Route("/api/review", self.review, methods=read),
            Route("/api/links/{tracklet}", self.link, methods=read),
            Route("/api/history", self.history, methods=read),
            Route("/media/crops/{tracklet}/{frame}", self.crop, methods=read),
            Route("/media/portraits/{identity}", self.portrait, methods=read),
            Route("/api/identities/{identity}/name", self.name, methods=write),
            Route("/api/identities/{identity}/merge", self.merge, methods=write),
            Route("/api/identities/{identity}/split", self.split, methods=write),
            Route("/api/identities/{identity}/apart", self.apart, methods=write),
            Route("/api/identities/{identity}/forget", self.forget, methods=write),
            Route("/api/links/{tracklet}/confirm", self.confirm, methods=write),
            Route("/api/undo", self.undo, methods=write),
        ]

    def session(self, request: Request) -> Response:
        """What the page needs first: its token, the runs, and who is using it."""
        with self._database.reading() as store:
            runs = [asdict(run) for run in list_runs(store)]
        return JSONResponse({"csrf": request.state.csrf, "who": self._who, "runs": runs})

    def timeline(self, request: Request) -> Response:
        """Identities and their visits, by camera and time."""
        with self._database.reading() as store:
            return JSONResponse(timeline(store, _run(store, request), *_window(request)))

    def visits(self, request: Request) -> Response:
        """The visits of the timeline as a CSV file."""
        with self._database.reading() as store:
            run = _run(store, request)
            names = {one.identity: one.name for one in list_identities(store, run)}
            cameras = {one["id"]: one["name"] for one in camera_names(store, run)}
            text = visits_csv(shown_visits(store, run, *_window(request)), names, cameras)
        return Response(text, media_type="text/csv", headers={
            "content-disposition": f'attachment; filename="visits-run{run}.csv"'})

    def identity(self, request: Request) -> Response:
        """One identity."""
        with self._database.reading() as store:
            return JSONResponse(_finite(identity_page(store, _run(store, request), _place(request, "identity"))))

    def review(self, request: Request) -> Response:
        """The least sure links."""
        with self._database.reading() as store:
            return JSONResponse(_finite(least_sure_links(store, _run(store, request))))

    def link(self, request: Request) -> Response:
        """The two crops that decided about a tracklet."""
        with self._database.reading() as store:
            return JSONResponse(_finite(link_pair(store, _run(store, request), _place(request, "tracklet"))))

    def history(self, request: Request) -> Response:
        """All corrections, the newest first."""
        with self._database.reading() as store:
            return JSONResponse([asdict(one) for one in history(store, _run(store, request))])

    def crop(self, request: Request) -> Response:
        """A stored picture of a tracklet."""
        with self._database.reading() as store:
            return _picture(crop_file(
                store, _run(store, request), _place(request, "tracklet"), _place(request, "frame")))

    def portrait(self, request: Request) -> Response:
        """The best stored picture of an identity."""
        with self._database.reading() as store:
            return _picture(portrait_file(store, _run(store, request), _place(request, "identity")))

    async def name(self, request: Request) -> Response:
        """Name an identity."""
        one = _place(request, "identity")
        return await self._correct(request, Name, lambda store, body: rename(
            store, body.run, one, body.name, body.who, body.why))

    async def merge(self, request: Request) -> Response:
        """Two identities are one person."""
        one = _place(request, "identity")
        return await self._correct(request, Other, lambda store, body: merge(
            store, body.run, one, body.other, body.who, body.why, body.anyway))

    async def apart(self, request: Request) -> Response:
        """Two identities are different people."""
        one = _place(request, "identity")
        return await self._correct(request, Other, lambda store, body: not_the_same(
            store, body.run, one, body.other, body.who, body.why))

    async def split(self, request: Request) -> Response:
        """A part of an identity is another person."""
        one = _place(request, "identity")

        def apply(store: Store, body: Split) -> Correction:
            leaving = [find_tracklet(store, body.run, id_) for id_ in body.tracklets]
            begin = None if body.from_tracklet is None else find_tracklet(store, body.run, body.from_tracklet)
            return split(
                store, body.run, one, body.who, body.why, [(tracklet.camera, tracklet.track) for tracklet in leaving],
                None if begin is None else begin.first_seconds)

        return await self._correct(request, Split, apply)

    async def forget(self, request: Request) -> Response:
        """Delete a person for good."""
        one = _place(request, "identity")

        def apply(store: Store, body: Forget) -> Correction:
            if body.again != one:
                raise RequestError(f"to forget identity {one}, its number is needed again: got {body.again}")
            return forget(store, body.run, one, body.who, body.why).correction

        return await self._correct(request, Forget, apply)

    async def confirm(self, request: Request) -> Response:
        """A tracklet and another one of its identity are one person."""
        one = _place(request, "tracklet")

        def apply(store: Store, body: Confirm) -> Correction:
            both = [find_tracklet(store, body.run, id_) for id_ in (one, body.other)]
            return confirm(store, body.run, both[0].identity, [(tracklet.camera, tracklet.track) for tracklet in both],
                           body.who, body.why)

        return await self._correct(request, Confirm, apply)

    async def undo(self, request: Request) -> Response:
        """Undo a correction."""
        return await self._correct(request, Undo, lambda store, body: undo(
            store, body.run, body.who, body.why, body.correction))

    async def _correct(self, request: Request, kind: type[Body], apply: Apply[Body]) -> Response:
        body = await body_of(request, kind)

        def correct() -> Correction:
            with self._database.correcting() as store:
                return apply(store, body)

        return JSONResponse(asdict(await run_in_threadpool(correct)))


def _run(store: Store, request: Request) -> int:
    text = request.query_params.get("run")
    return find_run(store, None if text is None else number_in(text, "run")).run


def _window(request: Request) -> tuple[list[int], float | None, float | None]:
    """Cameras (row ids), first and last second that a request is limited to."""
    query = request.query_params
    cameras = [number_in(one, "camera") for one in query.getlist("camera")]
    return cameras, seconds_in(query.get("from"), "from"), seconds_in(query.get("to"), "to")


def _place(request: Request, name: str) -> int:
    return number_in(request.path_params[name], name)


def _picture(content: bytes | None) -> Response:
    """A WebP or JPEG file; whatever else a database holds is not sent."""
    if content is not None and content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Response(content, media_type="image/webp")
    if content is not None and content[:3] == b"\xff\xd8\xff":
        return Response(content, media_type="image/jpeg")
    return JSONResponse({"error": "no such picture is stored: it may have been pruned"}, 404)


def _finite(value: object) -> object:
    """A JSON value in which numbers that JSON lacks are null; a damaged database may hold them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
