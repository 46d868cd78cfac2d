"""Routes of one identity's page: its tracklets and pictures, the evidence of its links, and the report."""

from __future__ import annotations

import cv2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from ....reid.evaluation.evidence_map import draw_evidence
from ....reid.similarity import informative_share
from ...search.evidence import explain_link
from ...storage.packing import decode_crop
from ...storage.runs import run_number
from ..access.requests import Row, RunNumber
from ..database import Database
from ..media.blur import blur_head
from ..media.pictures import picture_type
from ..media.report import identity_report
from ..reads.person import crop_file, identity_page, portrait_file
from ..reads.plan import Plans
from ..reads.tracklets import find_tracklet
from ..search.finder import Finder
from .answers import Handler, as_json, picture_of


class PersonApi:
    """Handlers of these routes.

    Args:
        database: what they read.
        blur: whether heads in pictures are blurred.
        plans: finds pictures of the floor.
        finder: has the models.
    """

    def __init__(self, database: Database, blur: bool, plans: Plans, finder: Finder) -> None:
        self._database, self._blur, self._plans, self._finder = database, blur, plans, finder

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["person"])
        handlers: dict[str, Handler] = {
            "/api/identities/{identity}": self.identity, "/media/crops/{tracklet}/{frame}": self.crop,
            "/media/portraits/{identity}": self.portrait, "/api/identities/{identity}/report": self.report,
            "/api/evidence/{one}/{other}": self.evidence,
            "/media/evidence/{tracklet}/{frame}": self.evidence_map}
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
        """Why two tracklets are, or are not, one person: the similarity, and the parts of the probability."""
        with self._database.reading() as store:
            number = run_number(store, run)
            ends = [find_tracklet(store, number, id_) for id_ in (one, other)]
            found = explain_link(store, number, *((end.camera, end.track) for end in ends))
        return as_json({
            "one": found.one._asdict(), "other": found.other._asdict(), "similarity": found.similarity,
            "plain_similarity": found.plain_similarity, "shared_mask": informative_share(found.shared_mask),
            "gap_seconds": found.gap_seconds, "possible": found.possible, "parts": found.parts,
            "probability": found.probability})

    def evidence_map(self, tracklet: Row, frame: Row, run: RunNumber = None) -> Response:
        """Where the model sees the person in a stored picture: a PNG file."""
        with self._database.reading() as store:
            number = run_number(store, run)
            content = crop_file(store, number, tracklet, frame)
            if content is None or picture_type(content) is None:
                return picture_of(None, self._blur)
            crop = decode_crop(content)
            evidence = self._finder.evidence(self._database, number, crop)
        picture = draw_evidence(blur_head(crop) if self._blur else crop, evidence)
        return Response(cv2.imencode(".png", picture)[1].tobytes(), media_type="image/png")
