"""Routes of the player: what can be played, boxes over it, the footage itself, and clips of one identity."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse, Response

from ...output.camera_files import camera_stems
from ...storage.runs import run_number
from ..access.requests import Row, RunNumber
from ..database import Database
from ..media.clip import Clips
from ..media.footage import Player
from ..reads.boxes import boxes_between, floor_map
from ..reads.plan import Plans
from .answers import Handler, as_json, picture_of

MP4 = "video/mp4"
Second = Annotated[float, Query(gt=-1e12, lt=1e12, allow_inf_nan=False, description="UTC epoch seconds")]


class PlayerApi:
    """Handlers of the player's routes.

    Args:
        database: what they read.
        player: finds the footage.
        clips: makes clips.
        plans: finds pictures of the floor.
    """

    def __init__(self, database: Database, player: Player, clips: Clips, plans: Plans) -> None:
        self._database, self._player, self._clips, self._plans = database, player, clips, plans

    def router(self) -> APIRouter:
        """All routes of this class."""
        router = APIRouter(tags=["player"])
        handlers: dict[str, Handler] = {
            "/api/footage": self.footage, "/api/boxes": self.boxes, "/api/identities/{identity}/path": self.path,
            "/api/identities/{identity}/clip": self.clip, "/media/footage/{camera}/{part}": self.video,
            "/media/clips/{identity}": self.clip_video, "/media/floor-plan": self.plan}
        for path, handler in handlers.items():
            router.add_api_route(path, handler, methods=["GET"])
        router.add_api_route("/media/footage/{camera}/{part}", self.video, methods=["HEAD"], include_in_schema=False)
        return router

    def footage(self, run: RunNumber = None) -> Response:
        """What can be played of each camera; asking for it begins to make the copies that are needed."""
        with self._database.reading() as store:
            return as_json(self._player.cameras(store, run_number(store, run)))

    def boxes(
        self, camera: Annotated[int, Query(ge=0, le=2**63 - 1)],
        first: Annotated[Second, Query(alias="from")], last: Annotated[Second, Query(alias="to")],
        run: RunNumber = None,
    ) -> Response:
        """Boxes of one camera by frame: seconds and (identity, tracklet, x1, y1, x2, y2); one minute at most."""
        with self._database.reading() as store:
            return as_json(boxes_between(store, run_number(store, run), camera, first, last))

    def path(self, identity: Row, run: RunNumber = None) -> Response:
        """Where an identity walked on the floor, in metres, and where the picture of the floor lies."""
        with self._database.reading() as store:
            number = run_number(store, run)
            return as_json({
                **floor_map(store, number, identity), "plan": self._plans.place(store, number)})

    def plan(self, run: RunNumber = None) -> Response:
        """The picture of the floor."""
        with self._database.reading() as store:
            found = self._plans.of(store, run_number(store, run))
        if found is None:
            return JSONResponse({"error": "no picture of the floor is stored"}, 404)
        return picture_of(found.image, blur=False)

    def video(self, camera: Row, part: Row, run: RunNumber = None) -> Response:
        """A file of `/api/footage`, by ranges."""
        with self._database.reading() as store:
            path = self._player.file(store, run_number(store, run), camera, part)
        if path is None:
            return JSONResponse({"error": "this footage is not there (any more): load the page again"}, 404)
        return FileResponse(path, media_type=MP4)

    def clip(self, identity: Row, run: RunNumber = None) -> Response:
        """How far the clip of an identity's visits is; asking for it begins to make it."""
        with self._database.reading() as store:
            job = self._clips.ask(store, run_number(store, run), identity)
        return JSONResponse({"state": job.state, "share": job.share, "explanation": job.problem})

    def clip_video(self, identity: Row, run: RunNumber = None) -> Response:
        """The clip, once it is ready."""
        with self._database.reading() as store:
            number = run_number(store, run)
            path = self._clips.file(store, number, identity)
        if path is None:
            return JSONResponse({"error": "this clip is not ready"}, 404)
        name = camera_stems([f"person-{identity}-run{number}"]).popitem()[1]
        return FileResponse(path, media_type=MP4, filename=f"{name}.mp4")
