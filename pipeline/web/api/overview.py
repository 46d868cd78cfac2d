"""Routes of the first page: its content, pictures of cameras, and the run's state as events."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from ...errors import ReidpipeError
from ...storage.runs import run_number
from ...storage.store import Store
from ..access.requests import Row, RunNumber
from ..database import Database
from ..media.footage import Player
from ..media.preview import preview
from ..reads.overview import Live, is_running, read_live, read_overview
from ..reads.remembered import Remembered
from ..reads.review import least_sure_links
from .answers import as_json, json_of, picture_of

EVENT_SECONDS = 2.0
SILENT_EVENTS = 7  # without a change, after which something is sent so that proxies keep the connection
STREAM_SECONDS = 600.0  # then the browser connects again, and its log-in is checked again
MOST_PREVIEWS = 64  # kept in memory


class OverviewApi:
    """Handlers of the first page's routes.

    Args:
        database: what they read.
        remembered: what was read of it.
        player: finds the footage for pictures of cameras.
    """

    def __init__(self, database: Database, remembered: Remembered, player: Player) -> None:
        self._database, self._remembered, self._player = database, remembered, player
        self._previews: OrderedDict[tuple[int, int, float], bytes] = OrderedDict()
        self._live: dict[int | None, tuple[float, str]] = {}

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["overview"])
        router.add_api_route("/api/overview", self.overview, methods=["GET"])
        router.add_api_route("/api/events", self.events, methods=["GET"])
        router.add_api_route("/media/previews/{camera}", self.preview, methods=["GET"])
        return router

    def overview(self, run: RunNumber = None) -> Response:
        """Cameras, people now and over time, and what waits for a decision."""
        with self._database.reading() as store:
            number = run_number(store, run)
            found = self._remembered.get("overview", store, number, read_overview)
            unsure = self._remembered.get("review", store, number, least_sure_links)["unsure"]
            return as_json({**found, "unsure": unsure, "live": self._live_of(store, number)})

    async def events(self, run: RunNumber = None) -> Response:
        """Server-sent events with `live` of `/api/overview`, after every change."""
        return StreamingResponse(self._events(run), media_type="text/event-stream")

    def preview(self, camera: Row, run: RunNumber = None) -> Response:
        """The last analysed frame of a camera whose footage can be read."""
        with self._database.reading() as store:
            number = run_number(store, run)
            state = next((one for one in self._live_of(store, number)["cameras"] if one["id"] == camera), None)
            path = self._player.file(store, number, camera, 0)
            begin = None if path is None else self._player.begin(store, number, camera)
        if state is None or path is None or begin is None or state["last_seconds"] is None:
            return JSONResponse({"error": "no frame of this camera is at hand"}, 404)
        key = number, camera, state["last_seconds"]
        if key not in self._previews:
            picture = preview(path, state["last_seconds"] - begin)
            if picture is None:
                return JSONResponse({"error": "no frame of this camera can be read"}, 404)
            self._previews[key] = picture
            while len(self._previews) > MOST_PREVIEWS:
                self._previews.popitem(last=False)
        return picture_of(self._previews[key], blur=False)  # the file has its heads blurred, if wanted

    def _live_of(self, store: Store, run: int) -> Live:
        """The state of a run: of one that has ended, it is read once."""
        if is_running(store, run):
            return read_live(store, run)
        return self._remembered.get("live", store, run, read_live)

    async def _events(self, run: int | None) -> AsyncIterator[str]:
        sent, silent, ends = "", 0, time.monotonic() + STREAM_SECONDS
        while time.monotonic() < ends:
            try:
                state = await run_in_threadpool(self._state, run)
            except ReidpipeError as error:
                state = json.dumps({"error": str(error)})
            if state != sent or silent >= SILENT_EVENTS:
                sent, silent = state, 0
                yield f"data: {state}\n\n"
            silent += 1
            await asyncio.sleep(EVENT_SECONDS)

    def _state(self, run: int | None) -> str:
        """The state as JSON, read once for all who watch."""
        read, state = self._live.get(run, (float("-inf"), ""))
        if time.monotonic() - read < EVENT_SECONDS / 2:
            return state
        with self._database.reading() as store:
            state = json_of(self._live_of(store, run_number(store, run))).decode()
        self._live[run] = time.monotonic(), state
        return state
