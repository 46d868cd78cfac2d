"""When and where tracklets were seen, as arrays of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...types import Tracklet

PATH_POINTS = 64  # per tracklet; longer floor paths are thinned out evenly


@dataclass(frozen=True, slots=True)
class Spans:
    """Time, camera and floor path of N tracklets.

    Attributes:
        camera: int32 (N,), number of the camera.
        first, last: float64 (N,), UTC epoch seconds.
        points: int32 (N,), number of floor positions, at most P; 0 where the floor is unknown.
        path: float32 (N, P, 3), seconds since `first`, x and y in metres; after its end, the last position is repeated.
    """

    camera: NDArray[np.int32]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    points: NDArray[np.int32]
    path: NDArray[np.float32]

    @classmethod
    def empty(cls) -> Spans:
        """Of no tracklets."""
        return spans_of([], {})

    def __len__(self) -> int:
        return len(self.camera)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> Spans:
        return Spans(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def start_xy(self) -> NDArray[np.float32]:
        """Metres on the floor at the first second, float32 (N, 2); NaN where unknown."""
        return np.where(self.points[:, None] > 0, self.path[:, 0, 1:], np.float32(np.nan))

    @property
    def end_xy(self) -> NDArray[np.float32]:
        """Metres on the floor at the last second, float32 (N, 2); NaN where unknown."""
        return np.where(self.points[:, None] > 0, self.path[:, -1, 1:], np.float32(np.nan))


def spans_of(tracklets: Sequence[Tracklet], camera_numbers: Mapping[str, int]) -> Spans:
    """The spans of N tracklets, whose cameras all have a number."""
    points = np.zeros(len(tracklets), np.int32)
    path = np.zeros((len(tracklets), PATH_POINTS, 3), np.float32)
    for row, tracklet in enumerate(tracklets):
        floor_path = tracklet.floor_path
        if floor_path is not None and len(floor_path):
            count = points[row] = min(len(floor_path), PATH_POINTS)
            path[row, :count] = floor_path[np.linspace(0, len(floor_path) - 1, count).round().astype(int)]
            path[row, count:] = floor_path[-1]
    return Spans(
        np.array([camera_numbers[one.camera] for one in tracklets], np.int32),
        np.array([one.first_seconds for one in tracklets], np.float64),
        np.array([one.last_seconds for one in tracklets], np.float64),
        points,
        path,
    )


def joined(one: Spans, other: Spans) -> Spans:
    """Stack the spans of N and M tracklets, (N + M)."""
    return Spans(*(np.concatenate([getattr(one, field.name), getattr(other, field.name)]) for field in fields(one)))
