"""Place cameras in a floor plan as a fitter would: the door first, then the tills, then whatever is not yet seen.

Sight lines are segments from the camera to a floor grid, cut by boxes (slab test): shelves, tills, walls and signs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..acting.casting import free
from ..stores.cameras import Camera
from ..stores.store import Store
from .floor_plans import FloorPlan

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
CANDIDATES = 160
NEAREST, FARTHEST = 1.8, 10.5  # metres of depth between which a person is large enough, and not cut by the image
_GRID_METRES = 0.6
_HEIGHTS = (0.5, 1.55)  # metres: a person counts as in view where thighs and head are


def solids(store: Store) -> Doubles:
    """Whatever hides people, as boxes (R, 6): low x, y, z, high x, y, z."""
    width, depth = store.size
    top = store.ceiling
    boxes = [(*g.rect[:2], 0.0, *g.rect[2:], g.height) for g in store.gondolas]
    boxes += [(*till.rect[:2], 0.0, *till.rect[2:], 1.0) for till in store.tills]
    boxes += [(*rect[:2], 0.0, *rect[2:], 0.8) for rect in store.bins]
    boxes += [(*rect[:2], 0.0, *rect[2:], 2.5) for rect in store.partitions]
    for x, y, z, axis, _ in store.signs:
        half_x, half_y = (0.6, 0.02) if axis == 0 else (0.02, 0.6)
        boxes.append((x - half_x, y - half_y, z, x + half_x, y + half_y, z + 0.3))
    at = -20.0
    for left, right in sorted(store.doors):
        boxes += [(at, -0.2, 0.0, left, 0.0, top), (left, -0.2, 2.4, right, 0.0, top)]
        at = right
    boxes += [(at, -0.2, 0.0, width + 20, 0.0, top), (-0.2, 0.0, 0.0, 0.0, depth, top)]
    boxes += [(width, 0.0, 0.0, width + 0.2, depth, top), (0.0, depth, 0.0, width, depth + 0.2, top)]
    return np.array(boxes)


def unobstructed(eye: Doubles, points: Doubles, boxes: Doubles) -> Flags:
    """Which points (N, 3) no box (R, 6) hides from the eye (3,), (N,): slab test of Kay and Kajiya, 1986."""
    way = points - eye
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)[:, None]  # (N, 1, 3)
    one, other = (boxes[:, :3] - eye) / way, (boxes[:, 3:] - eye) / way  # (N, R, 3)
    enters, leaves = np.minimum(one, other).max(2), np.maximum(one, other).min(2)
    return np.asarray(~((enters < leaves) & (leaves > 0) & (enters < 0.999)).any(1))


def in_view(camera: Camera, points: Doubles, boxes: Doubles) -> Flags:
    """Which points (N, 3) lie in the image, not hidden by a box, (N,)."""
    seen = camera.project(points)
    inside = (seen[:, 2] > 0.3) & (seen[:, :2] >= 0).all(1)
    inside &= (seen[:, 0] < camera.width) & (seen[:, 1] < camera.frame_height)
    inside[inside] = unobstructed(camera.eye, points[inside], boxes)
    return np.asarray(inside)


def people_in_view(camera: Camera, floor: Doubles, boxes: Doubles) -> Flags:
    """At which floor points (N, 2) somebody is seen from the thighs up, near enough to be recognised, (N,)."""
    distance = np.hypot(*(floor - camera.eye[:2]).T)
    shown = (distance > NEAREST) & (distance < FARTHEST)
    for height in _HEIGHTS:
        shown[shown] = in_view(camera, np.column_stack([floor[shown], np.full(shown.sum(), height)]), boxes)
    return np.asarray(shown)


def _candidate(rng: np.random.Generator, store: Store, aim: Doubles) -> Camera:
    """A camera on a wall or hanging from the ceiling, turned to a floor point four to eight metres away."""
    width, depth = store.size
    x, y = (float(v) for v in rng.uniform((0.3, 0.3), (width - 0.3, depth - 0.3)))
    if rng.random() < 0.6:
        x, y = [(0.25, y), (width - 0.25, y), (x, 0.3), (x, depth - 0.25)][int(rng.integers(4))]
    heading = float(np.degrees(np.arctan2(-(aim[0] - x), aim[1] - y)) + rng.normal(0, 8))
    height, pitch = float(rng.uniform(2.55, 3.0)), float(rng.uniform(15, 23))
    return Camera(x, y, height, heading, pitch, float(rng.uniform(66, 80)))


def _well_placed(camera: Camera, store: Store) -> bool:
    """Neither in nor right behind a shelf, a sign, or a partition: what is near the eye hides most."""
    near = [g.rect for g in store.gondolas if g.height > camera.height - 0.9] + store.partitions
    near += [(x - 0.6, y - 0.6, x + 0.6, y + 0.6) for x, y, *_ in store.signs]
    eye = camera.eye[None, :2]
    return bool(free(eye, near, 0.1).all() and free(eye, [g.rect for g in store.gondolas], -0.05).all())


def place_cameras(rng: np.random.Generator, plan: FloorPlan, count: int) -> dict[str, Camera]:
    """`count` cameras by name; how much they overlap is drawn, too."""
    store, boxes = plan.store, solids(plan.store)
    grid = np.stack(np.meshgrid(*(np.arange(0.4, side - 0.3, _GRID_METRES) for side in store.size)), -1).reshape(-1, 2)
    grid = grid[free(grid, plan.walls(), 0.3)]
    door = np.array(plan.doors[0])
    at_door = np.hypot(*(grid - door).T) < 2.5
    tills = np.array([(spot.x, spot.y) for till in plan.tills for spot in (till.customer, till.staff)])
    at_tills = np.hypot(*(grid[:, None] - tills).transpose(2, 0, 1)).min(1) < 1.5
    cameras: list[Camera] = []
    views: list[Flags] = []
    while len(cameras) < CANDIDATES:
        camera = _candidate(rng, store, [door, grid[at_tills].mean(0), grid[rng.integers(len(grid))]][len(cameras) % 3])
        if not _well_placed(camera, store):
            continue
        cameras.append(camera)
        views.append(people_in_view(camera, grid, boxes))
    shown = np.array(views).astype(float)  # (C, G)
    again = float(rng.choice([0.1, 0.45]))  # the worth of seeing a place a second time
    seen, chosen = np.zeros(len(grid)), {}
    for index in range(count):
        weight = np.where(seen == 0, 1.0, np.where(seen == 1, again, 0.0))
        weight = weight + (6.0 * at_door if index == 0 else 4.0 * at_tills if index == 1 else 0.0)
        best = int(np.argmax(shown @ weight))
        chosen[["entrance", "checkout", "shelves_1", "shelves_2", "shelves_3"][index]] = cameras[best]
        seen += shown[best]
    return chosen


def mostly_seen(rng: np.random.Generator, plan: FloorPlan, cameras: dict[str, Camera]) -> FloorPlan:
    """The plan without most of the spots that no camera sees: who stays there adds nothing to the footage."""
    floor, boxes = np.array([(spot.x, spot.y) for spot in plan.browse]), solids(plan.store)
    seen = np.any([people_in_view(camera, floor, boxes) for camera in cameras.values()], axis=0)
    keep = seen | (rng.random(len(floor)) < 0.3)
    return replace(plan, browse=[spot for spot, kept in zip(plan.browse, keep, strict=True) if kept])
