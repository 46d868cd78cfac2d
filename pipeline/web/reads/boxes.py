"""Boxes for the player, and paths on the floor for the map: read by camera and time."""

from __future__ import annotations

from itertools import groupby
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select

from ...stages.observe import foot_points, to_floor
from ...storage.queries import frame_of_box
from ...storage.schema import AnalysedFrame, Camera, Identity, Observation, TrackletRow
from ...storage.store import Store
from .runs import cameras_of
from .tracklets import of_identity

LONGEST_WINDOW = 60.0  # seconds of boxes in one answer
PATH_POINTS = 400  # per tracklet: more are not seen on a map


class FloorPath(TypedDict):
    """Where one tracklet walked: rows of UTC epoch seconds, x and y in metres."""

    camera: int
    tracklet: int
    points: list[tuple[float, float, float]]


class FloorMap(TypedDict):
    """The paths of an identity, and the floor that each camera sees: corners in metres, in order, if it is known."""

    paths: list[FloorPath]
    seen: dict[str, list[tuple[float, float]]]


def boxes_between(
    store: Store, run: int, camera: int, first: float, last: float
) -> list[tuple[float, list[tuple[int | None, int, float, float, float, float]]]]:
    """The analysed frames with people of one camera: seconds, and (identity, tracklet, x1, y1, x2, y2) of each box.

    Args:
        store: the database.
        run: its number.
        camera: row id.
        first, last: UTC epoch seconds; LONGEST_WINDOW at most.
    """
    last = min(last, first + LONGEST_WINDOW)
    with store.reading() as connection:
        rows = connection.execute(
            select(AnalysedFrame.seconds, Identity.number, TrackletRow.id, Observation.x1, Observation.y1,
                   Observation.x2, Observation.y2)
            .select_from(TrackletRow).join(Camera).join(Observation, Observation.tracklet_id == TrackletRow.id)
            .join(AnalysedFrame, frame_of_box()).outerjoin(Identity, Identity.id == TrackletRow.identity_id)
            .where(Camera.run_id == run, TrackletRow.camera_id == camera, TrackletRow.first_seconds <= last,
                   TrackletRow.last_seconds >= first, AnalysedFrame.seconds >= first, AnalysedFrame.seconds <= last)
            .order_by(AnalysedFrame.seconds, TrackletRow.id)).all()
    return [
        (seconds, [(row[1], row[2], round(row[3], 1), round(row[4], 1), round(row[5], 1), round(row[6], 1))
                   for row in group])
        for seconds, group in groupby(rows, key=lambda row: row[0])]


def boxes_by_frame(
    store: Store, camera: int, whose: ColumnElement[bool] | None = None
) -> dict[int, NDArray[np.float32]]:
    """The boxes of a camera (row id), float32 (N, 4), by frame: all, or those of tracklets as of `of_identity`."""
    query = (
        select(Observation.frame_index, Observation.x1, Observation.y1, Observation.x2, Observation.y2)
        .join(TrackletRow).where(TrackletRow.camera_id == camera).order_by(Observation.frame_index))
    if whose is not None:
        query = query.where(whose)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return {
        frame: np.array([row[1:] for row in group], np.float32)
        for frame, group in groupby(rows, key=lambda row: row[0])}


def floor_map(store: Store, run: int, identity: int) -> FloorMap:
    """Where an identity walked, in cameras whose floor is known."""
    floors = {
        one.id: (one.homography, one.width, one.height) for one in cameras_of(store, run) if one.homography is not None}
    with store.reading() as connection:
        rows = connection.execute(
            select(TrackletRow.camera_id, TrackletRow.id, AnalysedFrame.seconds, Observation.x1, Observation.y1,
                   Observation.x2, Observation.y2)
            .select_from(TrackletRow).join(Observation, Observation.tracklet_id == TrackletRow.id)
            .join(AnalysedFrame, frame_of_box()).where(of_identity(run, identity))
            .order_by(TrackletRow.first_seconds, TrackletRow.id, Observation.frame_index)).all()
    paths: list[FloorPath] = []
    for (camera, tracklet), group in groupby(rows, key=lambda row: (row[0], row[1])):
        own = np.array([row[2:] for row in group], np.float64)  # (N, 5)
        own = own[np.linspace(0, len(own) - 1, min(len(own), PATH_POINTS)).round().astype(int)]
        if camera in floors:
            floor = to_floor(foot_points(own[:, 1:].astype(np.float32)), floors[camera][0])  # (N, 2)
            points = np.column_stack([own[:, 0], floor])[np.isfinite(floor).all(1)]
            paths.append({"camera": camera, "tracklet": tracklet, "points": [
                (float(seconds), round(float(x), 2), round(float(y), 2)) for seconds, x, y in points]})
    return {"paths": paths, "seen": {str(id_): _seen(*floor) for id_, floor in floors.items()}}


def _seen(homography: NDArray[np.float64], width: int, height: int) -> list[tuple[float, float]]:
    """The floor in the lower half of the image, whose upper half is often above the horizon."""
    corners = np.array([[0, height], [width, height], [width, height / 2], [0, height / 2]], np.float64)
    floor = to_floor(corners.astype(np.float32), homography)
    return [(round(float(x), 2), round(float(y), 2)) for x, y in floor if np.isfinite([x, y]).all()]
