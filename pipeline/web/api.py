"""The JSON API: what the page reads, and corrections. /api/openapi.json describes all routes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ..corrections.decisions import confirm, merge, not_the_same, rename, split, undo
from ..corrections.forgetting import forget
from ..corrections.history import Correction, history
from ..storage.store import Store
from .blur import head_blurred
from .database import Database
from .reads import (
    crop_file,
    find_tracklet,
    identity_page,
    least_sure_links,
    link_pair,
    portrait_file,
    run_names,
    run_number,
)
from .remembered import Remembered
from .requests import (
    Cameras,
    Confirm,
    First,
    Forget,
    Last,
    LeastCameras,
    LeastSeconds,
    Limit,
    Name,
    Offset,
    Other,
    RequestError,
    Row,
    RunNumber,
    Split,
    Undo,
)
from .sheet import visits_csv
from .timelines import Filters, Sort, timeline_of

Handler = Callable[..., Response]


class Api:
    """Handlers of all routes over one database.

    Args:
        database: what they read and correct.
        remembered: what was read of it.
        who: the name that the page proposes for those who decide.
        blur: whether heads in pictures are blurred.
    """

    def __init__(self, database: Database, remembered: Remembered, who: str, blur: bool = False) -> None:
        self._database, self._remembered, self._who, self._blur = database, remembered, who, blur

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter()
        reads: dict[str, Handler] = {
            "/api/session": self.session, "/api/timeline": self.timeline, "/api/visits.csv": self.visits,
            "/api/identities/{identity}": self.identity, "/api/review": self.review,
            "/api/links/{tracklet}": self.link, "/api/history": self.history}
        pictures: dict[str, Handler] = {
            "/media/crops/{tracklet}/{frame}": self.crop, "/media/portraits/{identity}": self.portrait}
        corrections: dict[str, Handler] = {
            "/api/identities/{identity}/name": self.name, "/api/identities/{identity}/merge": self.merge,
            "/api/identities/{identity}/split": self.split, "/api/identities/{identity}/apart": self.apart,
            "/api/identities/{identity}/forget": self.forget, "/api/links/{tracklet}/confirm": self.confirm,
            "/api/undo": self.undo}
        for tag, method, handlers in (
            ("read", "GET", reads), ("pictures", "GET", pictures), ("correct", "POST", corrections),
        ):
            for path, handler in handlers.items():
                router.add_api_route(path, handler, methods=[method], tags=[tag])
        return router

    def session(self, request: Request) -> Response:
        """What the page needs first: its token, the runs, who is using it, and what they may do."""
        with self._database.reading() as store:
            runs = run_names(store)
        return JSONResponse({
            "csrf": request.state.csrf, "who": self._who, "role": request.state.role, "blur": self._blur, "runs": runs})

    def timeline(
        self, run: RunNumber = None, camera: Cameras = (), first: First = None, last: Last = None,
        least_seconds: LeastSeconds = 0.0, least_cameras: LeastCameras = 1, sort: Sort = "number",
        offset: Offset = 0, limit: Limit = None,
    ) -> Response:
        """Identities and their visits, by camera, time, length and number of cameras; all, or a part of their order."""
        filters = Filters(camera, first, last, least_seconds, least_cameras)
        with self._database.reading() as store:
            number = run_number(store, run)
            found = timeline_of(self._remembered, store, number)
        return JSONResponse({"run": number, **found.page(filters, sort, offset, limit)})

    def visits(
        self, run: RunNumber = None, camera: Cameras = (), first: First = None, last: Last = None,
        least_seconds: LeastSeconds = 0.0, least_cameras: LeastCameras = 1,
    ) -> Response:
        """The visits of the timeline as a CSV file."""
        with self._database.reading() as store:
            number = run_number(store, run)
            found = timeline_of(self._remembered, store, number)
        shown = found.shown(Filters(camera, first, last, least_seconds, least_cameras))
        names = {one.identity: one.name for one in found.identities}
        cameras = {one["id"]: one["name"] for one in found.cameras}
        text = visits_csv((found.visits[row] for row in shown.nonzero()[0].tolist()), names, cameras)
        return Response(text, media_type="text/csv", headers={
            "content-disposition": f'attachment; filename="visits-run{number}.csv"'})

    def identity(self, identity: Row, run: RunNumber = None) -> Response:
        """One identity."""
        with self._database.reading() as store:
            return JSONResponse(finite(identity_page(store, run_number(store, run), identity)))

    def review(self, run: RunNumber = None) -> Response:
        """The least sure links."""
        with self._database.reading() as store:
            number = run_number(store, run)
            found = self._remembered.get("review", store, number, least_sure_links)
        return JSONResponse(finite(found))

    def link(self, tracklet: Row, run: RunNumber = None) -> Response:
        """The two crops that decided about a tracklet."""
        with self._database.reading() as store:
            return JSONResponse(finite(link_pair(store, run_number(store, run), tracklet)))

    def history(self, run: RunNumber = None) -> Response:
        """All corrections, the newest first."""
        with self._database.reading() as store:
            return JSONResponse([asdict(one) for one in history(store, run_number(store, run))])

    def crop(self, tracklet: Row, frame: Row, run: RunNumber = None) -> Response:
        """A stored picture of a tracklet."""
        with self._database.reading() as store:
            found = crop_file(store, run_number(store, run), tracklet, frame)
        return picture_of(found, self._blur)

    def portrait(self, identity: Row, run: RunNumber = None) -> Response:
        """The best stored picture of an identity."""
        with self._database.reading() as store:
            found = portrait_file(store, run_number(store, run), identity)
        return picture_of(found, self._blur)

    def name(self, identity: Row, body: Name) -> Response:
        """Name an identity."""
        return self._correct(lambda store: rename(store, body.run, identity, body.name, body.who, body.why))

    def merge(self, identity: Row, body: Other) -> Response:
        """Two identities are one person."""
        return self._correct(lambda store: merge(
            store, body.run, identity, body.other, body.who, body.why, body.anyway))

    def apart(self, identity: Row, body: Other) -> Response:
        """Two identities are different people."""
        return self._correct(lambda store: not_the_same(
            store, body.run, identity, body.other, body.who, body.why))

    def split(self, identity: Row, body: Split) -> Response:
        """A part of an identity is another person."""
        def apply(store: Store) -> Correction:
            leaving = [find_tracklet(store, body.run, id_) for id_ in body.tracklets]
            begin = None if body.from_tracklet is None else find_tracklet(store, body.run, body.from_tracklet)
            return split(
                store, body.run, identity, body.who, body.why,
                [(tracklet.camera, tracklet.track) for tracklet in leaving],
                None if begin is None else begin.first_seconds)

        return self._correct(apply)

    def forget(self, identity: Row, body: Forget) -> Response:
        """Delete a person for good."""
        if body.again != identity:
            raise RequestError(f"to forget identity {identity}, its number is needed again: got {body.again}")
        try:
            return self._correct(lambda store: forget(store, body.run, identity, body.who, body.why).correction)
        finally:
            self._remembered.clear()

    def confirm(self, tracklet: Row, body: Confirm) -> Response:
        """A tracklet and another one of its identity are one person."""
        def apply(store: Store) -> Correction:
            both = [find_tracklet(store, body.run, id_) for id_ in (tracklet, body.other)]
            return confirm(store, body.run, both[0].identity, [(one.camera, one.track) for one in both],
                           body.who, body.why)

        return self._correct(apply)

    def undo(self, body: Undo) -> Response:
        """Undo a correction."""
        return self._correct(lambda store: undo(store, body.run, body.who, body.why, body.correction))

    def _correct(self, apply: Callable[[Store], Correction]) -> Response:
        with self._database.correcting() as store:
            return JSONResponse(asdict(apply(store)))


def picture_of(content: bytes | None, blur: bool) -> Response:
    """A WebP or JPEG file, with the head blurred if wanted; whatever else a database holds is not sent."""
    if content is not None and blur:
        content = head_blurred(content)
    if content is not None and content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Response(content, media_type="image/webp")
    if content is not None and content[:3] == b"\xff\xd8\xff":
        return Response(content, media_type="image/jpeg")
    return JSONResponse({"error": "no such picture is stored: it may have been pruned"}, 404)


def finite(value: object) -> object:
    """A JSON value in which numbers that JSON lacks are null; a damaged database may hold them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, (list, tuple)) else value
