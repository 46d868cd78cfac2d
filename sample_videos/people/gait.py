"""Joint rotations of walking, standing, reaching and looking at shelves.

Angles in degrees here, radians out. Flexion is positive where the limb swings forward (+y); tables follow the
textbook curves of normal walking (hip, knee and ankle over one stride from heel strike to heel strike).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .skeleton import ARM_ANGLE, rotation

Floats = NDArray[np.float32]

_PHASE = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
_HIP = np.array([27, 23, 15, 5, -4, -10, -5, 12, 25, 29, 27])
_KNEE = np.array([4, 15, 16, 10, 5, 11, 36, 60, 52, 20, 4])
_ANKLE = np.array([0, -4, 4, 8, 11, 6, -17, -8, 0, 1, 0])

STRIDE_METRES = 1.16  # what the legs of the tables above reach in two steps, so that feet do not slide


@dataclass(frozen=True)
class Pose:
    """What a body does: stride phase [0, 1), walking amount [0, 1], hands' business, head turn in degrees.

    reach_l/r: 0 hangs, 1 points to a shelf at chest height. fold: 1 holds something before the chest.
    lean: degrees forward. glance: degrees to the left. stoop: degrees of bending the back.
    """

    phase: float = 0.0
    walk: float = 0.0
    reach_l: float = 0.0
    reach_r: float = 0.0
    fold_l: float = 0.0
    fold_r: float = 0.0
    heavy_r: float = 0.0
    glance: float = 0.0
    nod: float = 0.0
    stoop: float = 0.0
    sway: float = 0.0


def _at(table: NDArray[np.float64] | NDArray[np.int_], phase: float) -> float:
    return float(np.interp(phase % 1.0, _PHASE, table))


def _leg(pose: Pose, side: str, offset: float, turns: dict[str, Floats]) -> None:
    phase, walk = pose.phase + offset, pose.walk
    sign = -1.0 if side == "l" else 1.0
    hip = walk * _at(_HIP, phase) + (1 - walk) * (2.0 + sign * 1.5 * pose.sway)
    knee = walk * _at(_KNEE, phase) + (1 - walk) * (3.0 + 2.5 * abs(pose.sway) * (1 - sign * np.sign(pose.sway)))
    ankle = walk * _at(_ANKLE, phase) + (1 - walk) * 1.0
    spread = np.radians((1 - walk) * 3.0 * sign - 1.0 * sign * walk)
    turns[f"thigh_{side}"] = rotation(x=np.radians(hip), y=-spread, z=np.radians(-sign * 4.0))
    turns[f"shin_{side}"] = rotation(x=np.radians(-knee))
    turns[f"foot_{side}"] = rotation(x=np.radians(ankle))


def _arm(pose: Pose, side: str, turns: dict[str, Floats]) -> None:
    sign = -1.0 if side == "l" else 1.0
    swing = np.cos(2 * np.pi * (pose.phase + (0.0 if side == "r" else 0.5)))  # forward with the other leg
    heavy = pose.heavy_r if side == "r" else 0.0
    reach = pose.reach_l if side == "l" else pose.reach_r
    fold = pose.fold_l if side == "l" else pose.fold_r
    free = (1 - reach) * (1 - fold)
    flex = free * (pose.walk * (22.0 * swing * (1 - 0.75 * heavy) + 2.0) + (1 - pose.walk) * (3.0 + 2.0 * pose.sway))
    flex += reach * 68.0 + fold * 28.0
    elbow = free * (14.0 + pose.walk * (10.0 + 9.0 * max(swing, 0.0)) * (1 - heavy)) * (1 - 0.6 * heavy)
    elbow += reach * 28.0 + fold * 88.0
    abduct = np.radians(7.0 + 7.0 * heavy + 6.0 * fold)  # how far the hanging arm stands off the body
    # The rest arm already stands off by ARM_ANGLE: first lay it down, then swing it about the body's x axis.
    lay = rotation(y=sign * (ARM_ANGLE - abduct))
    turns[f"arm_{side}"] = (rotation(x=np.radians(flex)) @ lay).astype(np.float32)
    # The elbow bends in the plane of the laid arm; the forearm frame still has the rest arm's direction.
    axis = np.array([np.cos(ARM_ANGLE), 0.0, sign * np.sin(ARM_ANGLE)])
    bend = _about(axis, np.radians(elbow))
    inward = _about(np.array([sign * np.sin(ARM_ANGLE), 0.0, -np.cos(ARM_ANGLE)]), np.radians(-sign * (20 + 25 * fold)))
    turns[f"forearm_{side}"] = (inward @ bend).astype(np.float32)
    if heavy:  # what hangs from a hand hangs straight
        turns[f"hand_{side}"] = (
            rotation(y=sign * abduct) @ _about(axis, np.radians(-elbow * 0.9 - flex * 0.9))
        ).astype(np.float32)


def _about(axis: NDArray[np.float64], angle: float) -> Floats:
    """Rotation (3, 3) about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, np.float32)


def joint_turns(pose: Pose) -> dict[str, Floats]:
    """Joint rotations (3, 3) by joint name, for skeleton.skin_matrices."""
    turns: dict[str, Floats] = {}
    wave = np.cos(2 * np.pi * pose.phase) * pose.walk
    turns["pelvis"] = rotation(
        y=np.radians(2.0 * np.sin(2 * np.pi * pose.phase) * pose.walk + 2.0 * pose.sway * (1 - pose.walk)),
        z=np.radians(5.0 * wave),
    )
    turns["spine"] = rotation(x=np.radians(-0.5 * pose.stoop - 1.0), z=np.radians(-5.0 * wave))
    turns["chest"] = rotation(
        x=np.radians(-0.5 * pose.stoop - 1.0 - 2.0 * pose.walk),
        y=np.radians(-2.0 * pose.sway),
        z=np.radians(-5.0 * wave + 0.12 * pose.glance),
    )
    turns["neck"] = rotation(x=np.radians(0.3 * pose.stoop - 0.3 * pose.nod), z=np.radians(0.3 * pose.glance))
    turns["head"] = rotation(
        x=np.radians(0.3 * pose.stoop - 0.7 * pose.nod + 2), z=np.radians(5.0 * wave + 0.58 * pose.glance)
    )
    _leg(pose, "l", 0.0, turns)
    _leg(pose, "r", 0.5, turns)
    _arm(pose, "l", turns)
    _arm(pose, "r", turns)
    return turns
