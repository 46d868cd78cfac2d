"""Routes of the search by photo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from ...storage.runs import run_number
from ..access.requests import LARGEST_ROW, Cameras, First, Last, RequestError, Row, RunNumber
from ..database import Database
from ..reads.remembered import Remembered
from ..reads.timeline import Filters, timeline_of
from ..search.finder import Finder
from ..search.gallery import gallery_of
from ..search.photo import decode_photo
from ..search.ranking import rank_people
from .answers import as_json, picture_of

Some = Annotated[int | None, Query(ge=0, le=LARGEST_ROW)]
PhotoName = Annotated[str | None, Query(max_length=64)]


class SearchApi:
    """Handlers of the search's routes.

    Args:
        database: what is searched.
        remembered: what was read of it.
        finder: searches.
    """

    def __init__(self, database: Database, remembered: Remembered, finder: Finder) -> None:
        self._database, self._remembered, self._finder = database, remembered, finder

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["search"])
        router.add_api_route("/api/search/photo", self.photo, methods=["POST"], openapi_extra={"requestBody": {
            "required": True, "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/jpeg", "image/png", "image/webp")}}})
        router.add_api_route("/api/search", self.search, methods=["GET"])
        router.add_api_route("/media/photos/{photo}/{person}", self.person, methods=["GET"])
        return router

    async def photo(self, request: Request) -> Response:
        """Upload a picture; answers with the people in it. It is kept in memory only, for searches."""
        content = await request.body()
        return JSONResponse(await run_in_threadpool(lambda: self._finder.take(decode_photo(content))))

    def search(
        self, photo: PhotoName = None, person: Annotated[int, Query(ge=0, le=1000)] = 0, tracklet: Some = None,
        frame: Some = None, run: RunNumber = None, camera: Cameras = (), first: First = None, last: Last = None,
    ) -> Response:
        """The identities that look most like a person of an uploaded picture, or like a stored crop."""
        with self._database.reading() as store:
            number = run_number(store, run)
        if photo is not None:
            query = self._finder.photo_query(self._database, number, photo, person)
        elif tracklet is not None and frame is not None:
            query = self._finder.crop_query(self._database, number, tracklet, frame)
        else:
            raise RequestError("say what to search for: photo and person, or tracklet and frame")
        with self._database.reading() as store:
            gallery = gallery_of(self._remembered, store, number)
            timeline = timeline_of(self._remembered, store, number)
        found = rank_people(gallery, timeline, query, Filters(camera, first, last))
        return as_json({"found": found})

    def person(self, photo: str, person: Row) -> Response:
        """A person of an uploaded picture."""
        return picture_of(self._finder.picture(photo, person), blur=False)
