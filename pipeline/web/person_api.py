"""Routes of one identity's page beside its tracklets: evidence of links, and the report."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from ..search.evidence import deciding_crops, explain_link
from ..search.evidence_picture import draw_link_evidence, verdict_of
from ..search.query import embedder_of_run
from .blur import blur_heads
from .database import Database
from .reads import find_tracklet, run_number
from .report import identity_report
from .requests import Row, RunNumber

THREADS = 2


class PersonApi:
    """Handlers of these routes.

    Args:
        database: what they read.
        blur: whether heads in pictures are blurred.
    """

    def __init__(self, database: Database, blur: bool) -> None:
        self._database, self._blur = database, blur
        self._lock = threading.Lock()  # one evidence map at a time: they take memory

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["person"])
        router.add_api_route("/api/identities/{identity}/report", self.report, methods=["GET"])
        router.add_api_route("/media/evidence/{one}/{other}", self.evidence, methods=["GET"])
        return router

    def report(self, identity: Row, run: RunNumber = None) -> Response:
        """One identity's day as one HTML file."""
        with self._database.reading() as store:
            number = run_number(store, run)
            text = identity_report(store, number, identity, self._blur)
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
            crops = [replace(crop, image=blur_heads(crop.image, np.array(
                [[0, 0, crop.image.shape[1], crop.image.shape[0]]], np.float32))) for crop in crops]
        picture = draw_link_evidence(found, crops, verdict_of(found))
        return Response(cv2.imencode(".png", picture)[1].tobytes(), media_type="image/png")
