"""Routes of the timeline, and what the page needs first."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ...pictures.palette import CAMERA_COLOURS, IDENTITY_COLOURS, NOBODY_COLOUR, text_colour
from ...storage.runs import run_number
from ..access.requests import Cameras, First, Last, LeastCameras, LeastSeconds, Limit, Offset, RunNumber
from ..database import Database
from ..media.sheet import visits_csv
from ..reads.remembered import Remembered
from ..reads.runs import run_names
from ..reads.timeline import Filters, Sort, timeline_of
from .answers import as_json


class TimelineApi:
    """Handlers of these routes.

    Args:
        database: what they read.
        remembered: what was read of it.
        who: the name that the page proposes for those who decide.
        blur: whether heads in everything shown are blurred.
    """

    def __init__(self, database: Database, remembered: Remembered, who: str, blur: bool) -> None:
        self._database, self._remembered, self._who, self._blur = database, remembered, who, blur

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["timeline"])
        router.add_api_route("/api/session", self.session, methods=["GET"])
        router.add_api_route("/api/timeline", self.timeline, methods=["GET"])
        router.add_api_route("/api/visits.csv", self.visits, methods=["GET"])
        return router

    def session(self, request: Request) -> Response:
        """What the page needs first: its token, the runs, who is using it, what they may do, and the colours."""
        with self._database.reading() as store:
            runs = run_names(store)
        return as_json({
            "csrf": request.state.csrf, "who": self._who, "role": request.state.role, "blur": self._blur, "runs": runs,
            "palette": {
                "identities": [(colour, text_colour(colour)) for colour in IDENTITY_COLOURS], "nobody": NOBODY_COLOUR,
                "cameras": CAMERA_COLOURS}})

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
        return as_json({"run": number, **found.page(filters, sort, offset, limit)})

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
