"""Evidence from where people were: how much likelier two tracklets' floor positions are for one person than for two."""

from __future__ import annotations

import numpy as np

from .constraints import Floats, gap_seconds, metres_apart
from .spans import Spans

POSITION_METRES = 1.2  # standard deviation of a floor position, as shelves hide feet
WALKED_METRES_PER_SECOND = 0.8  # of the position of somebody who walked on unseen
AREA_METRES = 5.0  # standard deviation of where anybody is
HANDOVER_SECONDS = 0.25
LEAST = -4.0  # positions may be wrong for reasons that a normal distribution does not know


def motion_evidence(one: Spans, other: Spans) -> Floats:
    """Log-likelihood ratio of the positions of N and M tracklets, one person against two: float64 (N, M) ≥ `LEAST`.

    Between two tracklets a person's position spreads like a random walker's, a normal distribution whose standard
    deviation grows with the time; anybody else is anywhere in the area. After some seconds, and where no floor
    position is known, it says nothing: 0.
    """
    gap = gap_seconds(one, other)  # (N, M)
    forward = (other.first >= one.last[:, None])[..., None]  # (N, M, 1)
    leaving = np.where(forward, one.end_xy[:, None], other.end_xy)  # (N, M, 2)
    entering = np.where(forward, other.start_xy, one.start_xy[:, None])  # (N, M, 2)
    metres = np.linalg.norm(entering - leaving, axis=-1).astype(np.float64)  # (N, M)
    rows, columns = np.nonzero((gap <= 0) & (one.points[:, None] > 0) & (other.points > 0))
    metres[rows, columns] = metres_apart(one[rows], other[columns])
    variance = np.minimum(POSITION_METRES**2 + (WALKED_METRES_PER_SECOND * gap.clip(0)) ** 2, AREA_METRES**2)
    ratio = np.log(AREA_METRES**2 / variance) - metres**2 / 2 * (1 / variance - 1 / AREA_METRES**2)
    ratio[(one.camera[:, None] == other.camera) & (gap < HANDOVER_SECONDS)] = 0.0
    return np.where(np.isnan(ratio), 0.0, ratio.clip(min=LEAST))
