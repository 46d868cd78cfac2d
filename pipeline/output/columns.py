"""The columns of exported trajectories.

One row per box, ordered by seconds, then camera, then track:

| column | meaning |
|---|---|
| identity | the person's number across all cameras of the run; empty for a tracklet without identity |
| camera, track | the camera's name, and the tracklet's number within the camera |
| time, seconds | ISO 8601 UTC to the millisecond (a UTC timestamp in Parquet), and UTC epoch seconds |
| frame | 0-based index of the frame in its camera's footage |
| x1, y1, x2, y2 | the box in pixels, stored to 1/64 pixel |
| foot_x, foot_y | the foot point: the middle of the box's lower edge, in pixels |
| floor_x, floor_y | the foot point on the floor, in metres; empty for a camera without homography |
| confidence, visible | the detector's confidence, and the share of the box that no nearer person covers |
| interpolated | 1 for a box that was not detected but fills a gap of up to a second or so; its confidence is 0 |
| similarity | the tracklet's similarity to its identity's other tracklets; empty for the first one, and by a person |
| name | that a person gave the identity; empty for those without |
| probability | that the tracklet's link to its identity is right; empty where similarity is |

The summary has one row per visit (see visits.py): identity, camera, enter_time, leave_time, enter_seconds,
leave_seconds, duration_seconds, tracks (numbers separated by spaces), observations (number of boxes), similarity (mean
over the links), entry_x, entry_y, entry_floor_x, entry_floor_y, exit_x, ...: the foot points of the first and the
last box, name, and probability (of the least sure link).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..corrections.identities import identity_names
from ..stages.observe import foot_points, to_floor
from ..storage.queries import observation_rows
from ..storage.runs import homographies
from ..storage.store import Store
from .visits import list_visits

Kind = Literal["whole", "real", "text", "time"]  # times are UTC epoch seconds until a format writes them
Cell = int | float | str | None
Columns = dict[str, Sequence[Cell]]  # by name, all of one length

ROWS_AT_ONCE = 20_000  # some tens of MiB in memory, and a reasonable Parquet row group
PIXEL_DIGITS, FLOOR_DIGITS, SHARE_DIGITS, SECONDS_DIGITS = 2, 3, 4, 6  # boxes are stored to 1/64 pixel

OBSERVATION_KINDS: dict[str, Kind] = {
    "identity": "whole", "camera": "text", "track": "whole", "time": "time", "seconds": "real", "frame": "whole",
    "x1": "real", "y1": "real", "x2": "real", "y2": "real", "foot_x": "real", "foot_y": "real",
    "floor_x": "real", "floor_y": "real", "confidence": "real", "visible": "real", "interpolated": "whole",
    "similarity": "real", "name": "text", "probability": "real",
}
VISIT_KINDS: dict[str, Kind] = {
    "identity": "whole", "camera": "text", "enter_time": "time", "leave_time": "time",
    "enter_seconds": "real", "leave_seconds": "real", "duration_seconds": "real",
    "tracks": "text", "observations": "whole", "similarity": "real",
    "entry_x": "real", "entry_y": "real", "entry_floor_x": "real", "entry_floor_y": "real",
    "exit_x": "real", "exit_y": "real", "exit_floor_x": "real", "exit_floor_y": "real", "name": "text",
    "probability": "real",
}


def observation_columns(store: Store, run: int) -> Iterator[Columns]:
    """The boxes of a run, in tables of up to ROWS_AT_ONCE rows."""
    rows, names, floors = observation_rows(store, run), identity_names(store, run), homographies(store, run)
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        (identity, camera, track, seconds, frame, x1, y1, x2, y2, confidence, visible, interpolated, similarity,
         probability) = zip(*chunk, strict=True)
        foot = foot_points(np.array([x1, y1, x2, y2]).T)  # (N, 2)
        floor = _on_floor(foot, camera, floors)  # (N, 2)
        yield {
            "identity": identity, "camera": camera, "track": track, "time": seconds,
            "seconds": _rounded(seconds, SECONDS_DIGITS), "frame": frame,
            "x1": _rounded(x1, PIXEL_DIGITS), "y1": _rounded(y1, PIXEL_DIGITS),
            "x2": _rounded(x2, PIXEL_DIGITS), "y2": _rounded(y2, PIXEL_DIGITS),
            "foot_x": _rounded(foot[:, 0], PIXEL_DIGITS), "foot_y": _rounded(foot[:, 1], PIXEL_DIGITS),
            "floor_x": _rounded(floor[:, 0], FLOOR_DIGITS), "floor_y": _rounded(floor[:, 1], FLOOR_DIGITS),
            "confidence": _rounded(confidence, SHARE_DIGITS), "visible": _rounded(visible, SHARE_DIGITS),
            "interpolated": [int(one) for one in interpolated],
            "similarity": _rounded(similarity, SHARE_DIGITS),
            "name": [None if one is None else names.get(one) for one in identity],
            "probability": _rounded(probability, SHARE_DIGITS),
        }


def visit_columns(store: Store, run: int) -> Iterator[Columns]:
    """The visits of a run, in one table: there are few."""
    visits, names, floors = list_visits(store, run), identity_names(store, run), homographies(store, run)
    cameras = [visit.camera for visit in visits]
    columns: Columns = {
        "identity": [visit.identity for visit in visits], "camera": cameras,
        "enter_time": [visit.enter_seconds for visit in visits],
        "leave_time": [visit.leave_seconds for visit in visits],
        "enter_seconds": _rounded([visit.enter_seconds for visit in visits], SECONDS_DIGITS),
        "leave_seconds": _rounded([visit.leave_seconds for visit in visits], SECONDS_DIGITS),
        "duration_seconds": _rounded([visit.duration_seconds for visit in visits], SECONDS_DIGITS),
        "tracks": [" ".join(map(str, visit.tracks)) for visit in visits],
        "observations": [visit.observations for visit in visits],
        "similarity": _rounded([visit.similarity for visit in visits], SHARE_DIGITS),
        "name": [names.get(visit.identity) for visit in visits],
        "probability": _rounded([visit.probability for visit in visits], SHARE_DIGITS),
    }
    for end, points in (("entry", [visit.entry_xy for visit in visits]), ("exit", [visit.exit_xy for visit in visits])):
        foot = np.array(points, np.float64).reshape(-1, 2)  # (N, 2)
        floor = _on_floor(foot, cameras, floors)  # (N, 2)
        for axis, letter in enumerate("xy"):
            columns[f"{end}_{letter}"] = _rounded(foot[:, axis], PIXEL_DIGITS)
            columns[f"{end}_floor_{letter}"] = _rounded(floor[:, axis], FLOOR_DIGITS)
    yield {name: columns[name] for name in VISIT_KINDS}


def _on_floor(
    foot: NDArray[np.floating], cameras: Sequence[str], floors: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Foot points (N, 2) in pixels → float64 (N, 2) metres; NaN without a homography, or on the horizon."""
    floor = np.full(foot.shape, np.nan)
    named = np.array(cameras, object)
    for camera in floors.keys() & set(cameras):
        with np.errstate(divide="ignore", invalid="ignore"):
            floor[named == camera] = to_floor(foot[named == camera], floors[camera])
    floor[~np.isfinite(floor).all(1)] = np.nan
    return floor


def _rounded(values: Sequence[float | None] | NDArray[np.floating], digits: int) -> list[float | None]:
    """Rounded Python numbers, which have a short decimal form; None for NaN and None."""
    with np.errstate(over="ignore"):  # of a damaged database
        numbers = np.array(values, np.float64).round(digits)  # None becomes NaN
    return [None if math.isnan(number) else number for number in numbers.tolist()]
