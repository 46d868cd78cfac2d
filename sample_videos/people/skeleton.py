"""Rest skeleton, forward kinematics and skinning weights.

The rest person is 1.76 m tall, stands at the origin, faces +y, left hand towards -x, arms 40 degrees off the body.
Matrices are float32 (4, 4) acting on column vectors; angles are radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ARM_ANGLE = np.radians(40.0)
_ARM = np.array([np.sin(ARM_ANGLE), 0.0, -np.cos(ARM_ANGLE)])

NAMES = (
    "pelvis",
    "spine",
    "chest",
    "neck",
    "head",
    "arm_l",
    "forearm_l",
    "hand_l",
    "arm_r",
    "forearm_r",
    "hand_r",
    "thigh_l",
    "shin_l",
    "foot_l",
    "thigh_r",
    "shin_r",
    "foot_r",
)
INDEX = {name: i for i, name in enumerate(NAMES)}
PARENT = (-1, 0, 1, 2, 3, 2, 5, 6, 2, 8, 9, 0, 11, 12, 0, 14, 15)


def _side(sign: float) -> list[tuple[float, float, float]]:
    """Joints of one arm: shoulder, elbow, wrist."""
    shoulder = np.array([0.168, -0.008, 1.415])
    joints = [shoulder, shoulder + 0.285 * _ARM, shoulder + 0.545 * _ARM]
    return [(float(sign * j[0]), float(j[1]), float(j[2])) for j in joints]


_ROWS: list[tuple[float, float, float]] = [
    (0, 0, 0.95),
    (0, 0, 1.06),
    (0, 0, 1.22),
    (0, -0.012, 1.47),
    (0, 0, 1.56),
    *_side(-1),
    *_side(1),
    (-0.09, 0, 0.92),
    (-0.1, 0.005, 0.50),
    (-0.105, -0.015, 0.085),
    (0.09, 0, 0.92),
    (0.1, 0.005, 0.50),
    (0.105, -0.015, 0.085),
]
JOINTS = np.array(_ROWS, np.float32)  # (17, 3)
HAND_END = {"l": JOINTS[7] + 0.17 * np.array([-_ARM[0], 0, _ARM[2]]), "r": JOINTS[10] + 0.17 * _ARM}


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Floats:
    """Rotation z after y after x, (3, 3)."""
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx, np.float32)


def skin_matrices(turns: dict[str, Floats], scale: tuple[float, float]) -> Floats:
    """Bone matrices (17, 4, 4) that take rest points to a body standing on z = 0 at the origin, facing +y.

    turns: joint name -> rotation (3, 3) relative to the parent. scale: (width, height) of this body.
    The lower of the two feet is put on the floor.
    """
    world = np.tile(np.eye(4, dtype=np.float32), (len(NAMES), 1, 1))
    for i, name in enumerate(NAMES):
        local = np.eye(4, dtype=np.float32)
        if name in turns:
            local[:3, :3] = turns[name]
        local[:3, 3] = JOINTS[i] - (JOINTS[PARENT[i]] if PARENT[i] >= 0 else 0)
        world[i] = world[PARENT[i]] @ local if PARENT[i] >= 0 else local
    skins = world.copy()
    skins[:, :3, 3] -= np.einsum("bij,bj->bi", world[:, :3, :3], JOINTS)
    skins[:, 2, 3] -= _lowest_sole(skins)
    size = np.diag([scale[0], scale[0], scale[1], 1]).astype(np.float32)
    return np.asarray(size @ skins, np.float32)


def _lowest_sole(skins: Floats) -> float:
    """Height of the lowest of heels and toes after skinning."""
    soles = []
    for foot, sign in ((INDEX["foot_l"], -1), (INDEX["foot_r"], 1)):
        for y in (-0.07, 0.09, 0.16):
            point = np.array([sign * 0.11, y, 0.0 if y < 0.1 else 0.01, 1], np.float32)
            soles.append(float((skins[foot] @ point)[2]))
    return min(soles)


def _ramp(x: Floats, low: float, high: float) -> Floats:
    t = ((x - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def arm_coordinate(points: Floats) -> Floats:
    """Metres along the arm from the shoulder joint, negative inside the chest, (V,)."""
    mirrored = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    return np.asarray((mirrored - JOINTS[8]) @ _ARM, np.float32)


def torso_weights(points: Floats, hem_follow: float = 0.55) -> Floats:
    """Weights (V, 17) of a garment on torso and arms; below the hip a long hem follows the thighs by `hem_follow`."""
    weights = np.zeros((len(points), len(NAMES)), np.float32)
    z = points[:, 2]
    along = arm_coordinate(points)
    out = np.abs(points[:, 0])
    mirrored = np.column_stack([out, points[:, 1:]])
    beside = np.linalg.norm(mirrored - JOINTS[8] - along[:, None] * _ARM, axis=1)
    arm = _ramp(along, -0.045, 0.07) * _ramp(out, 0.12, 0.18) * (1 - _ramp(beside, 0.12, 0.17))
    chest = _ramp(z, 1.10, 1.24)
    spine = _ramp(z, 0.97, 1.08)
    body = 1 - arm
    weights[:, 2] = body * chest
    weights[:, 1] = body * (1 - chest) * spine
    low = body * (1 - chest) * (1 - spine)
    leg = _ramp(-z, -0.94, -0.62) * hem_follow
    right = _ramp(points[:, 0], -0.15, 0.15)
    weights[:, 0] = low * (1 - leg)
    weights[:, 11], weights[:, 14] = low * leg * (1 - right), low * leg * right
    elbow, wrist = _ramp(along, 0.24, 0.33), _ramp(along, 0.51, 0.58)
    for side, first in ((points[:, 0] < 0, 5), (points[:, 0] >= 0, 8)):
        weights[:, first] = arm * (1 - elbow) * side
        weights[:, first + 1] = arm * elbow * (1 - wrist) * side
        weights[:, first + 2] = arm * elbow * wrist * side
    return weights


def leg_weights(points: Floats) -> Floats:
    """Weights (V, 17) of trousers, legs and shoes."""
    weights = np.zeros((len(points), len(NAMES)), np.float32)
    z = points[:, 2]
    leg = _ramp(-z, -0.99, -0.84)
    knee = _ramp(-z, -0.57, -0.43)
    ankle = _ramp(-z, -0.13, -0.075) * _ramp(points[:, 1] + 0.6 * (0.13 - z), -0.03, 0.06)
    ankle = np.maximum(ankle, _ramp(-z, -0.10, -0.06))
    right = _ramp(points[:, 0], -0.02, 0.02)
    weights[:, 0] = 1 - leg
    for side, first in ((1 - right, 11), (right, 14)):
        weights[:, first] = leg * (1 - knee) * side
        weights[:, first + 1] = leg * knee * (1 - ankle) * side
        weights[:, first + 2] = leg * knee * ankle * side
    return weights


def head_weights(points: Floats) -> Floats:
    """Weights (V, 17) of neck, head and hair; hair below the collar hangs on the chest."""
    weights = np.zeros((len(points), len(NAMES)), np.float32)
    head, neck = _ramp(points[:, 2], 1.50, 1.58), _ramp(points[:, 2], 1.42, 1.49)
    weights[:, 4] = head
    weights[:, 3] = (1 - head) * neck
    weights[:, 2] = (1 - head) * (1 - neck)
    return weights


def rigid_weights(points: Floats, bone: str) -> Floats:
    """Weights (V, 17) of a thing that moves with one bone."""
    weights = np.zeros((len(points), len(NAMES)), np.float32)
    weights[:, INDEX[bone]] = 1
    return weights


def four_strongest(weights: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """The four strongest bones of each vertex: indices (V, 4), weights (V, 4) that sum to one."""
    order = np.argsort(-weights, axis=1)[:, :4]
    strongest = np.take_along_axis(weights, order, 1)
    return order.astype(np.uint8), (strongest / strongest.sum(1, keepdims=True)).astype(np.float32)
