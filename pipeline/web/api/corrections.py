"""Routes of the review and of corrections."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from ...corrections.decisions import confirm, merge, not_the_same, rename, split, undo
from ...corrections.forgetting import forget
from ...corrections.history import Correction, history
from ...storage.runs import run_number
from ...storage.store import Store
from ..access.requests import Confirm, Forget, Name, Other, RequestError, Row, RunNumber, Split, Undo
from ..database import Database
from ..reads.person import link_pair
from ..reads.remembered import Remembered
from ..reads.review import least_sure_links
from ..reads.tracklets import find_tracklet
from .answers import Handler, as_json


class CorrectionsApi:
    """Handlers of these routes.

    Args:
        database: what they read and correct.
        remembered: what was read of it.
    """

    def __init__(self, database: Database, remembered: Remembered) -> None:
        self._database, self._remembered = database, remembered

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["correct"])
        reads: dict[str, Handler] = {
            "/api/review": self.review, "/api/links/{tracklet}": self.link, "/api/history": self.history}
        corrections: dict[str, Handler] = {
            "/api/identities/{identity}/name": self.name, "/api/identities/{identity}/merge": self.merge,
            "/api/identities/{identity}/split": self.split, "/api/identities/{identity}/apart": self.apart,
            "/api/identities/{identity}/forget": self.forget, "/api/links/{tracklet}/confirm": self.confirm,
            "/api/undo": self.undo}
        for method, handlers in (("GET", reads), ("POST", corrections)):
            for path, handler in handlers.items():
                router.add_api_route(path, handler, methods=[method])
        return router

    def review(self, run: RunNumber = None) -> Response:
        """The least sure links."""
        with self._database.reading() as store:
            number = run_number(store, run)
            found = self._remembered.get("review", store, number, least_sure_links)
        return as_json(found)

    def link(self, tracklet: Row, run: RunNumber = None) -> Response:
        """The two crops that decided about a tracklet."""
        with self._database.reading() as store:
            return as_json(link_pair(store, run_number(store, run), tracklet))

    def history(self, run: RunNumber = None) -> Response:
        """All corrections, the newest first."""
        with self._database.reading() as store:
            return as_json(history(store, run_number(store, run)))

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
            return as_json(apply(store))
