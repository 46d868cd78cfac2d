"""Decide whether one person could have walked both tracklets' floor paths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Tracklet

FLOOR_SLACK_METRES = 4.0  # floor positions are off by metres if shelves hide the feet

FloorPath = NDArray[np.float32]  # (P, 3): seconds since the tracklet's first, x and y in metres


def walkable(one: Tracklet, other: Tracklet, max_speed: float) -> bool:
    """Whether one person, walking at most at `max_speed`, can be both tracklets.

    Args:
        one, other: tracklets of any cameras; without a floor path, everything is walkable.
        max_speed: metres per second.

    Returns:
        False only if it is impossible even with both floor positions off by `FLOOR_SLACK_METRES`.
    """
    if one.floor_path is None or other.floor_path is None or not len(one.floor_path) or not len(other.floor_path):
        return True
    if one.first_seconds > other.first_seconds:
        return walkable(other, one, max_speed)
    gap_seconds = other.first_seconds - one.last_seconds
    if gap_seconds <= 0:  # seen by two cameras at once
        delay = other.first_seconds - one.first_seconds
        until = min(one.last_seconds, other.last_seconds) - other.first_seconds
        return bool(np.median(_distances(one.floor_path, other.floor_path, delay, until)) <= FLOOR_SLACK_METRES)
    metres = float(np.linalg.norm(other.floor_path[0, 1:] - one.floor_path[-1, 1:]))
    return metres - FLOOR_SLACK_METRES <= max_speed * gap_seconds


def _distances(one: FloorPath, other: FloorPath, delay: float, until: float) -> NDArray[np.float64]:
    """Metres between two simultaneous paths at each point of the later one, (K,) with K >= 1.

    Args:
        one, other: the floor paths, the later one second.
        delay: seconds by which `other` starts later.
        until: seconds of `other` until the first of the two ends.
    """
    seconds = other[:, 0]
    during = other[(seconds <= until) | (seconds == seconds[0])]  # (K, 3)
    x, y = (np.interp(during[:, 0] + delay, one[:, 0], one[:, axis]) for axis in (1, 2))
    return np.asarray(np.hypot(x - during[:, 1], y - during[:, 2]), np.float64)
