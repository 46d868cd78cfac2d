"""Join spheres and cones into organic surfaces: smooth unions of distance fields, meshed by marching cubes.

Points are float32 (N, 3) in metres; every field returns float32 (N,) metres, negative inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Field = Callable[[Floats], Floats]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """A triangle mesh: points (V, 3) metres, normals (V, 3) unit, faces int32 (F, 3), openness (V,) in [0, 1]."""

    points: Floats
    normals: Floats
    faces: NDArray[np.int32]
    openness: Floats


def round_cone(points: Floats, start: Point, end: Point, start_radius: float, end_radius: float) -> Floats:
    """Distance to a limb whose radius changes linearly from start to end."""
    a = np.asarray(start, np.float32)
    axis = np.asarray(end, np.float32) - a
    along = ((points - a) @ axis / float(axis @ axis)).clip(0, 1)  # (N,)
    radius = start_radius + (end_radius - start_radius) * along
    return np.asarray(np.linalg.norm(points - a - along[:, None] * axis, axis=1) - radius, np.float32)


def ellipsoid(points: Floats, centre: Point, radii: Point) -> Floats:
    """First-order distance to an ellipsoid: |p/r| (|p/r| - 1) / |p/r^2|."""
    offset = points - np.asarray(centre, np.float32)
    r = np.asarray(radii, np.float32)
    near = np.linalg.norm(offset / r, axis=1)
    steep = np.linalg.norm(offset / (r * r), axis=1) + 1e-6
    return np.asarray(near * (near - 1.0) / steep, np.float32)


def rounded_box(points: Floats, centre: Point, half: Point, radius: float) -> Floats:
    """Distance to a box of half sizes `half` (radius included) with rounded edges."""
    q = np.abs(points - np.asarray(centre, np.float32)) - (np.asarray(half, np.float32) - radius)
    outside = np.linalg.norm(q.clip(0), axis=1)
    return np.asarray(outside + q.max(1).clip(max=0) - radius, np.float32)


def loft(points: Floats, knots: NDArray[np.float32], power: float = 2.3) -> Floats:
    """A body of super-elliptic sections: knots (K, 4) are rows of height, half width, half depth, depth offset."""
    z = points[:, 2]
    width, depth, shift = (_smooth_interp(z, knots[:, 0], knots[:, i]) for i in (1, 2, 3))
    x = np.abs(points[:, 0]) / width
    y = np.abs(points[:, 1] - shift) / depth
    radial = ((x**power + y**power) ** (1 / power) - 1.0) * np.minimum(width, depth)
    caps = np.maximum(knots[0, 0] - z, z - knots[-1, 0])
    return np.asarray(np.maximum(radial, caps), np.float32)


def _smooth_interp(x: Floats, knots: Floats, values: Floats) -> Floats:
    """Monotone-ish cubic interpolation: cosine-free Catmull-Rom on uneven knots, clamped at the ends."""
    slopes = np.gradient(values, knots)
    i = np.searchsorted(knots, x).clip(1, len(knots) - 1)
    span = knots[i] - knots[i - 1]
    t = ((x - knots[i - 1]) / span).clip(0, 1)
    t2, t3 = t * t, t * t * t
    low, high = values[i - 1], values[i]
    curve = (2 * t3 - 3 * t2 + 1) * low + (t3 - 2 * t2 + t) * span * slopes[i - 1]
    curve = curve + (3 * t2 - 2 * t3) * high + (t3 - t2) * span * slopes[i]
    return np.asarray(curve.clip(min=0.5 * np.minimum(low, high), max=None) if values.min() > 0 else curve, np.float32)


def smooth_union(first: Floats, second: Floats, blend: float) -> Floats:
    """Polynomial smooth minimum; `blend` is the width in metres over which the two surfaces melt together."""
    h = (0.5 + 0.5 * (second - first) / blend).clip(0, 1)
    return np.asarray(second + (first - second) * h - blend * h * (1 - h), np.float32)


def blend_all(fields: Sequence[Floats], blend: float) -> Floats:
    """Smooth union of many fields."""
    total = fields[0]
    for field in fields[1:]:
        total = smooth_union(total, field, blend)
    return total


def cut(field: Floats, away: Floats) -> Floats:
    """What of `field` lies outside `away`."""
    return np.maximum(field, -away)


def grow(field: Field, lower: Point, upper: Point, step: float) -> Surface:
    """Mesh the zero level of a field inside a box, `step` metres a voxel; normals and openness from the field."""
    from skimage.measure import marching_cubes  # only growing needs it, not drawing

    axes = [np.arange(lo, hi + step, step, dtype=np.float32) for lo, hi in zip(lower, upper, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    volume = field(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    vertices, faces, _, _ = marching_cubes(volume, 0.0, spacing=(step, step, step))
    points = (vertices + np.asarray(lower)).astype(np.float32)
    normals = _gradient(field, points, 0.5 * step)
    openness = np.ones(len(points), np.float32)
    for reach in (0.03, 0.07, 0.14):
        openness *= (0.4 + 0.6 * (field(points + normals * np.float32(reach)) / reach)).clip(0.35, 1)
    return Surface(points, normals, faces.astype(np.int32), openness)


def _gradient(field: Field, points: Floats, step: float) -> Floats:
    columns = []
    for axis in range(3):
        shift = np.zeros(3, np.float32)
        shift[axis] = step
        columns.append(field(points + shift) - field(points - shift))
    normals = np.stack(columns, 1)
    return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9), np.float32)
