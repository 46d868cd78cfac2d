"""Maps from pixels to metres on the floor: given as a matrix, or fitted to points whose place is known."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field

Row = Annotated[list[Annotated[float, Field(ge=-1e12, le=1e12)]], Field(min_length=3, max_length=3)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
FloorPoint = tuple[Coordinate, Coordinate, Coordinate, Coordinate]  # x, y in pixels; x, y in metres

ILL_CONDITIONED = 1e-12  # determinant of a homography relative to the lengths of its rows; cameras have over 1e-3
FEWEST_POINTS, MOST_POINTS = 4, 1000  # of a homography given by points
FEWEST_PLAN_POINTS = 3
LEAST_SPREAD = 1e-3  # of points across the line along which they lie
MOST_STRETCHED = 1.1  # a plan in one direction, of the other; scanned plans are within 1.02


def fitted_homography(points: list[FloorPoint]) -> list[list[float]]:
    """The homography that fits points best, by least squares."""
    import cv2
    import numpy as np

    if not FEWEST_POINTS <= len(points) <= MOST_POINTS:
        raise ValueError(f"floor_points: expected {FEWEST_POINTS} to {MOST_POINTS} points, got {len(points)}")
    given = np.array(points, np.float64)  # (N, 4)
    found, _ = cv2.findHomography(given[:, :2], given[:, 2:])
    if found is None or not np.isfinite(found).all():
        raise ValueError("floor_points give no homography: expected points that do not lie on one line")
    return _invertible([[float(value) for value in row] for row in found])


def fitted_plan(points: list[FloorPoint]) -> list[list[float]]:
    """The affine map from a plan's pixels to metres that fits points best, by least squares, as 3x3 rows."""
    import numpy as np

    if not FEWEST_PLAN_POINTS <= len(points) <= MOST_POINTS:
        raise ValueError(f"points: expected {FEWEST_PLAN_POINTS} to {MOST_POINTS} points, got {len(points)}")
    given = np.array(points, np.float64)  # (N, 4)
    middle = given.mean(0)  # (4,)
    away = given - middle
    spread = np.linalg.svd(away[:, :2], compute_uv=False)  # (2,)
    if not spread[1] > LEAST_SPREAD * spread[0]:
        raise ValueError("points: expected three that do not lie on one line")
    linear = np.linalg.lstsq(away[:, :2], away[:, 2:], rcond=None)[0].T  # (2, 2)
    long, short = np.linalg.svd(linear, compute_uv=False)
    if not 0 < long <= MOST_STRETCHED * short:
        raise ValueError("points: no plan to scale has these places: one of the points is mistaken, or x and y are "
                         "mixed up")
    shift = middle[2:] - linear @ middle[:2]
    return [[float(value) for value in row] for row in (*np.column_stack([linear, shift]), (0, 0, 1))]


def _invertible(rows: list[list[float]]) -> list[list[float]]:
    """Refuse a matrix that maps the image to a line or a point: no position could be computed with it."""
    first, second, third = rows
    cross = [second[i - 2] * third[i - 1] - second[i - 1] * third[i - 2] for i in range(3)]
    determinant = sum(one * other for one, other in zip(first, cross, strict=True))
    lengths = math.hypot(*first) * math.hypot(*second) * math.hypot(*third)
    if not abs(determinant) > ILL_CONDITIONED * lengths:
        raise ValueError("cannot be inverted: it maps the whole image to a line or a point; calibrate the camera again")
    return rows


Homography = Annotated[list[Row], Field(min_length=3, max_length=3), AfterValidator(_invertible)]
