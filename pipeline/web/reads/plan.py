"""The picture of the floor under the paths, and where it lies."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from ...storage.floor_plans import read_floor_plan
from ...storage.store import Store
from ...types import FloorPlan


class PlanPlace(TypedDict):
    """Size of the picture in pixels, and the two rows that map metres (x, y, 1) to its pixels."""

    width: int
    height: int
    floor_to_pixels: list[list[float]]


class Plans:
    """Finds the picture of a run.

    Args:
        given: for runs that stored none; none by default.
    """

    def __init__(self, given: FloorPlan | None = None) -> None:
        self._given = given

    def of(self, store: Store, run: int) -> FloorPlan | None:
        """The picture of a run.

        Raises:
            StoreError: it is damaged.
        """
        with store.reading() as connection:
            return read_floor_plan(connection, run) or self._given

    def place(self, store: Store, run: int) -> PlanPlace | None:
        """Where the picture of a run lies."""
        plan = self.of(store, run)
        return None if plan is None else place_of(plan)


def place_of(plan: FloorPlan) -> PlanPlace:
    """Where a picture lies."""
    back = np.linalg.inv(np.array(plan.pixels_to_floor))  # (3, 3), the last row is 0, 0, 1
    return {"width": plan.width, "height": plan.height, "floor_to_pixels": back[:2].tolist()}
