"""Routes of one identity's page: its tracklets and pictures, the evidence of its links, and the report."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from ...search.evidence import deciding_crops, explain_link
from ...search.evidence_picture import draw_link_evidence, verdict_of
from ...search.query import embedder_of_run
from ...storage.runs import run_number
from ..access.requests import Row, RunNumber
from ..database import Database
from ..media.blur import blur_head
from ..media.report import identity_report
from ..reads.person import crop_file, identity_page, portrait_file
from ..reads.plan import Plans
from ..reads.tracklets import find_tracklet
from .answers import Handler, as_json, picture_of

THREADS = 2


class PersonApi:
    """Handlers of these routes.

    Args:
        database: what they read.
        blur: whether heads in pictures are blurred.
        plans: finds pictures of the floor.
    """

    def __init__(self, database: Database, blur: bool, plans: Plans) -> None:
        self._database, self._blur, self._plans = database, blur, plans
        self._lock = threading.Lock()  # one evidence map at a time: they take memory

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["person"])
        handlers: dict[str, Handler] = {
            "/api/identities/{identity}": self.identity, "/media/crops/{tracklet}/{frame}": self.crop,
            "/media/portraits/{identity}": self.portrait, "/api/identities/{identity}/report": self.report,
            "/media/evidence/{one}/{other}": self.evidence}
        for path, handler in handlers.items():
            router.add_api_route(path, handler, methods=["GET"])
        return router

    def identity(self, identity: Row, run: RunNumber = None) -> Response:
        """One identity."""
        with self._database.reading() as store:
            return as_json(identity_page(store, run_number(store, run), identity))

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

    def report(self, identity: Row, run: RunNumber = None) -> Response:
        """One identity's day as one HTML file."""
        with self._database.reading() as store:
            number = run_number(store, run)
            text = identity_report(store, number, identity, self._blur, self._plans.of(store, number))
        return HTMLResponse(text, headers={
            "content-disposition": f'attachment; filename="person-{identity}-run{number}.html"'})

    def evidence(self, one: Row, other: Row, run: RunNumber = None) -> Response:
        """Why two tracklets are, or are not, one person: a PNG file with the two crops and their evidence maps."""
        with self._lock, self._database.reading() as store:
            number = run_number(store, run)
            ends = [find_tracklet(store, number, id_) for id_ in (one, other)]
            found = explain_link(store, number, *((end.camera, end.track) for end in ends))
            crops = deciding_crops(store, number, found, embedder_of_run(store, number, THREADS))
        if self._blur:
            crops = [replace(crop, image=blur_head(crop.image)) for crop in crops]
        picture = draw_link_evidence(found, crops, verdict_of(found))
        return Response(cv2.imencode(".png", picture)[1].tobytes(), media_type="image/png")
