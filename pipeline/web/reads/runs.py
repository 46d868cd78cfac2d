"""Runs and their cameras, without counts, which take long."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import select

from ...storage.schema import Camera, Run
from ...storage.store import Store
from ...storage.times import iso_time


class CameraOf(NamedTuple):
    """A camera of a run; `homography`, float64 (3, 3) from pixels to metres, is None if unknown."""

    id: int
    name: str
    width: int
    height: int
    fps: float
    start_seconds: float
    homography: NDArray[np.float64] | None


class NamedCamera(TypedDict):
    """A camera of a run: row id and name."""

    id: int
    name: str


def run_names(store: Store) -> list[dict[str, object]]:
    """All runs, the newest first: number, status and times, but no counts, which take long."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Run.id, Run.status, Run.started_at, Run.finished_at, Run.version).order_by(Run.id.desc())).all()
    return [
        {"run": id_, "status": status, "started": iso_time(started.timestamp()),
         "finished": None if finished is None else iso_time(finished.timestamp()), "version": version}
        for id_, status, started, finished, version in rows]


def cameras_of(store: Store, run: int) -> list[CameraOf]:
    """A run's cameras, in the order of its config; unlike `list_cameras`, it counts nothing."""
    with store.reading() as connection:
        rows = connection.execute(
            select(Camera.id, Camera.name, Camera.width, Camera.height, Camera.fps, Camera.start_seconds,
                   Camera.homography).where(Camera.run_id == run).order_by(Camera.id)).all()
    return [CameraOf(*row[:6], None if row[6] is None else np.array(from_json(row[6]), np.float64)) for row in rows]


def camera_names(store: Store, run: int) -> list[NamedCamera]:
    """A run's cameras, in the order of its config, by which the page colours them."""
    return [{"id": one.id, "name": one.name} for one in cameras_of(store, run)]
