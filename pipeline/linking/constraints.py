"""Could one person have walked both paths?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Tracklet

FLOOR_SLACK_METRES = 4.0  # foot points are off by metres when shelves hide the feet


def walkable(one: Tracklet, other: Tracklet, max_speed: float) -> bool:
    """Whether one person at up to `max_speed` m/s can have walked both paths on the common floor.

    Args:
        one, other: tracklets whose paths are in metres, of any cameras.
        max_speed: metres per second.

    Returns:
        False only if it is impossible even when both floor positions are off by `FLOOR_SLACK_METRES`.
    """
    if not len(one.path) or not len(other.path):
        return True
    if one.first_seconds > other.first_seconds:
        one, other = other, one
    if other.first_seconds <= one.last_seconds:  # both at once, in two cameras
        return bool(np.median(_apart_at_once(one, other)) <= FLOOR_SLACK_METRES)
    metres = float(np.linalg.norm(other.path[0, 1:] - one.path[-1, 1:]))
    return metres - FLOOR_SLACK_METRES <= max_speed * (other.first_seconds - one.last_seconds)


def _apart_at_once(one: Tracklet, other: Tracklet) -> NDArray[np.float64]:
    """Metres between two people at each path point of their common time, (K,) with K >= 1."""
    shift = other.first_seconds - one.first_seconds
    until = min(one.last_seconds, other.last_seconds) - other.first_seconds
    seconds = other.path[:, 0]
    during = other.path[(seconds <= until) | (seconds == seconds[0])]  # (K, 3)
    x, y = (np.interp(during[:, 0] + shift, one.path[:, 0], one.path[:, axis]) for axis in (1, 2))
    return np.asarray(np.hypot(x - during[:, 1], y - during[:, 2]), np.float64)
