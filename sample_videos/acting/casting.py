"""Random poses and free floor points for people in single frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..drawing.props import Actor
from ..people.gait import Pose, joint_turns
from ..people.outfits import Outfit
from ..people.skeleton import skin_matrices
from ..stores.cameras import Camera
from ..stores.store import Rect, Store

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
BODY_RADIUS = 0.28  # metres kept free around a person's middle
IN_HAND = ("handbag", "carrier", "basket")


def random_pose(rng: np.random.Generator, outfit: Outfit) -> Pose:
    """Walking half of the time, else standing, reaching, talking or holding something."""
    walking = bool(rng.random() < 0.5)
    loaded = outfit.bag in IN_HAND
    reach = not walking and rng.random() < 0.35
    fold = rng.random() < (0.15 if walking else 0.4)
    left = bool(rng.random() < 0.5) or loaded
    return Pose(
        phase=float(rng.random()),
        walk=float(rng.uniform(0.75, 1.1)) if walking else 0.0,
        reach_l=float(rng.uniform(0.4, 1.2)) if reach and left else 0.0,
        reach_r=float(rng.uniform(0.4, 1.2)) if reach and not left else 0.0,
        fold_l=float(rng.uniform(0.4, 1.0)) if fold and left and not reach else 0.0,
        fold_r=float(rng.uniform(0.4, 1.0)) if fold and not left and not reach else 0.0,
        heavy_r=0.9 if loaded else 0.0,
        glance=float(rng.normal(0, 22)),
        nod=float(rng.uniform(-4, 22)),
        stoop=float(rng.choice([0.0, rng.uniform(5, 18), rng.uniform(25, 45)], p=[0.72, 0.23, 0.05])),
        sway=float(rng.uniform(-1, 1)),
    )


def put(actor: Actor, outfit: Outfit, pose: Pose, x: float, y: float, heading: float) -> None:
    """Pose a person and stand it on the floor; heading in radians, 0 faces +y."""
    actor.stand(skin_matrices(joint_turns(pose), outfit.scale()), x, y, heading)


def free(points: Doubles, obstacles: list[Rect], margin: float = BODY_RADIUS) -> NDArray[np.bool_]:
    """Which floor points (N, 2) keep `margin` metres from every obstacle, (N,)."""
    if not obstacles:
        return np.ones(len(points), bool)
    rects = np.array(obstacles)
    gap = np.maximum(rects[:, :2] - points[:, None], points[:, None] - rects[:, 2:]).max(2)  # (N, R)
    return np.asarray((gap > margin).all(1))


def floor_points(
    rng: np.random.Generator, store: Store, camera: Camera, count: int, depth: tuple[float, float] = (2.4, 11.0)
) -> Doubles:
    """Up to `count` free floor points (N, 2) that the camera has in view, obstacles or not in between."""
    points = rng.uniform((0.3, 0.3), np.array(store.size) - 0.3, (count * 12, 2))
    points = points[free(points, store.obstacles())]
    chest = camera.project(np.column_stack([points, np.full(len(points), 1.2)]))
    inside = (
        (chest[:, 2] > depth[0])
        & (chest[:, 2] < depth[1])
        & (chest[:, 0] > -20)
        & (chest[:, 0] < camera.width + 20)
        & (chest[:, 1] > 0)
        & (chest[:, 1] < camera.frame_height)
    )
    return np.asarray(points[inside][:count])


def open_share(place: Floats, camera: Camera, points: Doubles) -> Doubles:
    """Share of six heights on each person (N, 2) that no shelf hides, (N,); place: the backdrop's (H, W, 4)."""
    heights = np.array([0.15, 0.45, 0.75, 1.05, 1.35, 1.62])
    body = np.concatenate([np.repeat(points, len(heights), 0), np.tile(heights, len(points))[:, None]], 1)
    seen = camera.project(body)
    column, row = (seen[:, i].round().astype(int) for i in (0, 1))
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.frame_height)
    there = place[row.clip(0, camera.frame_height - 1), column.clip(0, camera.width - 1), :3]
    wall = np.linalg.norm(there - camera.eye, axis=1)
    clear = inside & (np.linalg.norm(body - camera.eye, axis=1) < wall + 0.15)
    return np.asarray(clear.reshape(len(points), -1).mean(1))
