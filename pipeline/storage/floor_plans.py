"""The picture of the floor of a run."""

from __future__ import annotations

import json

import numpy as np
from sqlalchemy import Connection, insert, select

from ..errors import StoreError
from ..types import FloorPlan
from .schema import FloorPlanRow


def write_floor_plan(connection: Connection, run: int, plan: FloorPlan) -> None:
    """Store the picture of a run that begins."""
    connection.execute(insert(FloorPlanRow).values(
        run_id=run, image=plan.image, width=plan.width, height=plan.height,
        homography=json.dumps(plan.pixels_to_floor)))


def read_floor_plan(connection: Connection, run: int) -> FloorPlan | None:
    """The picture of a run; None if it has none.

    Raises:
        StoreError: it is not as this program stores it.
    """
    row = connection.execute(
        select(FloorPlanRow.image, FloorPlanRow.width, FloorPlanRow.height, FloorPlanRow.homography)
        .where(FloorPlanRow.run_id == run)).one_or_none()
    if row is None:
        return None
    try:
        matrix = np.array(json.loads(row[3]), np.float64)
    except (ValueError, TypeError) as error:
        raise StoreError("floor_plans.homography: it is damaged: restore a copy of the database") from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.linalg.det(matrix) or min(row[1:3]) < 1:
        raise StoreError("floor_plans: a row is damaged: restore a copy of the database")
    return FloorPlan(row[0], row[1], row[2], matrix.tolist())
