"""Read a run's tracklets as the linker takes them, so that a stored run can be linked again without its footage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, tuple_

from ...reid import Appearance
from ..stages.observe import PATH_SECONDS, foot_points, to_floor
from ..types import TrackKey, Tracklet
from .queries import ROWS_AT_ONCE, frame_of_box, stored_appearances
from .runs import homographies, run_number
from .schema import AnalysedFrame, Camera, Observation, TrackletRow
from .store import Store


def stored_tracklets(
    store: Store, run: int | None = None, only: Collection[TrackKey] | None = None
) -> list[Tracklet]:
    """All tracklets of a run, or only some, by first second, camera and track, without their crops.

    Appearance rows are as they are stored, in one byte per number: similarities differ from the run's by less than
    0.005. Paths are computed from the boxes, which are stored to 1/64 pixel, by the camera's homography, as during the
    run.

    Raises:
        StoreError: there is no such run.
    """
    number = run_number(store, run)
    floors = homographies(store, number)
    appearances = {(row.camera, row.track): row.appearance for row in stored_appearances(store, number)}
    dimensions = max((row.dimensions for row in appearances.values()), default=1)
    nothing = Appearance(np.zeros((0, dimensions), np.float32), np.zeros((0, dimensions), np.float32))
    found = [
        _tracklet(*key, observations, boxes, appearances.get(key[:2], nothing), floors)
        for key, observations, boxes in _boxes_by_tracklet(store, number, only)]
    return sorted(found, key=lambda one: (one.first_seconds, one.camera, one.track_id))


def _boxes_by_tracklet(
    store: Store, run: int, only: Collection[TrackKey] | None
) -> Iterator[tuple[tuple[str, int, float, float], int, NDArray[np.float64]]]:
    """Camera, track and span of every tracklet, how many detected boxes it has, and rows (N, 7) of its boxes.

    A row is seconds, x1 to y2, confidence, and 1 if the box is interpolated.
    """
    query = (
        select(TrackletRow.id, Camera.name, TrackletRow.track_id, TrackletRow.first_seconds, TrackletRow.last_seconds,
               TrackletRow.observations, AnalysedFrame.seconds,
               Observation.x1, Observation.y1, Observation.x2, Observation.y2, Observation.confidence,
               Observation.interpolated)
        .select_from(Observation).join(TrackletRow).join(Camera).join(AnalysedFrame, frame_of_box())
        .where(Camera.run_id == run)
        .order_by(TrackletRow.id, Observation.frame_index))
    if only is not None:
        query = query.where(tuple_(Camera.name, TrackletRow.track_id).in_(list(only)))
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
        for _, group in groupby(rows, key=itemgetter(0)):
            boxes = list(group)
            first = boxes[0]
            yield (first[1], first[2], first[3], first[4]), first[5], np.array([row[6:] for row in boxes], np.float64)


def _tracklet(
    camera: str,
    track_id: int,
    first_seconds: float,
    last_seconds: float,
    observations: int,
    boxes: NDArray[np.float64],
    appearance: Appearance,
    floors: Mapping[str, NDArray[np.float64]],
) -> Tracklet:
    rows = _path_rows(boxes[:, 0])
    seconds = boxes[rows, 0] - boxes[0, 0]
    feet = foot_points(boxes[rows, 1:5].astype(np.float32))  # (R, 2)
    floor_path = None
    if camera in floors:
        floor_path = np.column_stack([seconds, to_floor(feet, floors[camera])]).astype(np.float32)
    path = np.column_stack([seconds, feet]).astype(np.float32)
    return Tracklet(
        camera, track_id, first_seconds, last_seconds, observations, appearance, path=path, floor_path=floor_path,
        confidence=float(boxes[boxes[:, 6] == 0, 5].sum() / max(observations, 1)))


def _path_rows(seconds: NDArray[np.float64]) -> list[int]:
    """The first row, and each that is at least PATH_SECONDS after the last one; seconds (N,) rise, N >= 1."""
    rows = [0]
    for row, moment in enumerate(seconds.tolist()):
        if moment - seconds[rows[-1]] >= PATH_SECONDS:
            rows.append(row)
    return rows
