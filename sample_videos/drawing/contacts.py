"""Spheres that approximate a body when it darkens the floor, and the ceiling lamps nearest to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..people.skeleton import INDEX, JOINTS
from ..stores.cameras import Camera

Floats = NDArray[np.float32]
LAMP_PITCH = (2.4, 3.0)  # metres between ceiling lamps in x and y, as in place.frag
LAMP_HEIGHT = 3.4
SHADOW_REACH = 0.8  # metres from the pelvis where contact.frag has faded to nothing

_BALLS: list[tuple[str, float, float, float, float]] = [  # bone, rest x, y, z, radius
    ("head", 0, 0, 1.66, 0.11),
    ("chest", 0.08, 0, 1.36, 0.12),
    ("chest", -0.08, 0, 1.36, 0.12),
    ("spine", 0, 0, 1.14, 0.15),
    ("pelvis", 0.07, 0, 0.94, 0.13),
    ("pelvis", -0.07, 0, 0.94, 0.13),
]
for _s, _x in (("l", -1), ("r", 1)):
    _knee, _ankle = JOINTS[INDEX[f"shin_{_s}"]], JOINTS[INDEX[f"foot_{_s}"]]
    _BALLS += [
        (f"thigh_{_s}", _x * 0.095, 0, 0.70, 0.095),
        (f"shin_{_s}", _x * 0.10, 0, 0.48, 0.075),
        (f"shin_{_s}", _x * 0.10, -0.01, 0.28, 0.065),
        (f"foot_{_s}", _x * 0.105, -0.04, 0.07, 0.055),
        (f"foot_{_s}", _x * 0.11, 0.09, 0.035, 0.055),
        (f"forearm_{_s}", _x * 0.38, 0, 1.16, 0.05),
    ]
_POINTS = np.array([[b[1], b[2], b[3], 1] for b in _BALLS], np.float32)
_BONES = np.array([INDEX[b[0]] for b in _BALLS])
_RADII = np.array([b[4] for b in _BALLS], np.float32)


def body_balls(world_bones: Floats) -> Floats:
    """Spheres (18, 4) x, y, z, radius in metres for bone matrices (17, 4, 4) that lead to the world."""
    points = np.einsum("bij,bj->bi", world_bones[_BONES], _POINTS)
    return np.column_stack([points[:, :3], _RADII]).astype(np.float32)


def around(
    camera: Camera, balls: Floats, window: tuple[float, float, float, float], size: tuple[int, int], margin: float = 0.5
) -> tuple[int, int, int, int] | None:
    """Target rectangle x, y, w, h that holds a body, its bags, and `margin` metres around; None if out of view."""
    low, high = balls[:, :3].min(0) - (margin, margin, 0.1), balls[:, :3].max(0) + np.array((margin, margin, 0.2))
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (0.0, high[2])])
    seen = camera.project(corners)
    if (seen[:, 2] < 0.3).any():
        return 0, 0, *size
    scale = np.array([size[0] / (window[2] - window[0]), size[1] / (window[3] - window[1])])
    pixels = (seen[:, :2] - window[:2]) * scale
    x1, y1 = np.floor(pixels.min(0)).clip(0, size).astype(int)
    x2, y2 = np.ceil(pixels.max(0)).clip(0, size).astype(int)
    return (int(x1), int(y1), int(x2 - x1), int(y2 - y1)) if x2 > x1 and y2 > y1 else None


def lamps_near(floor_xy: Floats, strength: float) -> Floats:
    """The four ceiling lamps around a floor point, (4, 4) x, y, z, strength."""
    cell = np.floor(np.asarray(floor_xy) / LAMP_PITCH - 0.5)
    cells = cell + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    centres = (cells + 0.5) * LAMP_PITCH
    return np.column_stack([centres, np.full(4, LAMP_HEIGHT), np.full(4, strength)]).astype(np.float32)
