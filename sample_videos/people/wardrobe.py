"""Distance fields of hair, hats and bags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .anatomy import SKULL
from .sdf import Field, Point, cut, ellipsoid, round_cone, rounded_box, smooth_union
from .skeleton import HAND_END, JOINTS

Floats = NDArray[np.float32]


def _shell(thickness: float, lift: float = 0.0) -> Field:
    centre, radii = SKULL
    grown: Point = (radii[0] + thickness, radii[1] + thickness, radii[2] + thickness)
    return lambda p: ellipsoid(p, (centre[0], centre[1], centre[2] + lift), grown)


def _face_gap(p: Floats, brow: float) -> Floats:
    """The space in front of the face, up to the hairline `brow` metres above the skull's middle."""
    slope = 0.55 * (p[:, 2] - SKULL[0][2] - brow) + 0.02
    return np.asarray(np.maximum(slope, 0.022 - p[:, 1]), np.float32)


def _above(p: Floats, height: float, tilt: float = 0.0) -> Floats:
    """Negative above a plane that drops by `tilt` metres per metre towards the back."""
    return np.asarray(height + tilt * p[:, 1] - p[:, 2], np.float32)


def short(p: Floats) -> Floats:
    """Short hair: a thin cap, clear of face and neck."""
    cap = np.maximum(_shell(0.014, 0.004)(p), _above(p, 1.61, 0.25))
    ears = ellipsoid(np.abs(p), (0.085, 0.015, 1.625), (0.03, 0.028, 0.045))
    return cut(cut(cap, _face_gap(p, 0.045)), ears)


def parted(p: Floats) -> Floats:
    """Fuller hair swept to one side."""
    cap = np.maximum(_shell(0.022, 0.008)(p), _above(p, 1.60, 0.3))
    quiff = ellipsoid(p, (0.015, 0.055, 1.762), (0.065, 0.05, 0.024))
    return cut(smooth_union(cap, quiff, 0.03), _face_gap(p, 0.05))


def bob(p: Floats) -> Floats:
    """Chin-long hair."""
    drape = ellipsoid(p, (0, -0.022, 1.625), (0.1, 0.095, 0.115))
    whole = smooth_union(_shell(0.02, 0.006)(p), drape, 0.03)
    return np.maximum(cut(whole, _face_gap(p, 0.055)), _above(p, 1.535))


def long(p: Floats) -> Floats:
    """Hair down the back."""
    fall = round_cone(p, (0, -0.055, 1.64), (0, -0.105, 1.34), 0.078, 0.05)
    sides = round_cone(np.abs(p), (0.072, -0.01, 1.66), (0.085, -0.02, 1.42), 0.028, 0.022)
    whole = smooth_union(_shell(0.018, 0.006)(p), smooth_union(fall, sides, 0.04), 0.04)
    return cut(whole, _face_gap(p, 0.055))


def ponytail(p: Floats) -> Floats:
    """Tied hair."""
    tail = round_cone(p, (0, -0.125, 1.70), (0, -0.155, 1.43), 0.034, 0.016)
    knot = ellipsoid(p, (0, -0.105, 1.70), (0.028, 0.03, 0.028))
    cap = cut(np.maximum(_shell(0.012, 0.004)(p), _above(p, 1.59, 0.3)), _face_gap(p, 0.05))
    return smooth_union(cap, smooth_union(tail, knot, 0.02), 0.02)


def bun(p: Floats) -> Floats:
    """Hair in a knot."""
    cap = cut(np.maximum(_shell(0.013, 0.004)(p), _above(p, 1.59, 0.3)), _face_gap(p, 0.05))
    return smooth_union(cap, ellipsoid(p, (0, -0.085, 1.765), (0.047, 0.045, 0.042)), 0.02)


def afro(p: Floats) -> Floats:
    """Round curly hair."""
    ball = ellipsoid(p, (0, -0.02, 1.705), (0.125, 0.125, 0.118))
    return cut(np.maximum(ball, _above(p, 1.60, 0.2)), _face_gap(p, 0.06))


def cap(p: Floats) -> Floats:
    """A baseball cap."""
    crown = np.maximum(_shell(0.022, 0.012)(p), _above(p, 1.695))
    brim = np.maximum(
        ellipsoid(p, (0, 0.10, 1.700), (0.078, 0.1, 0.03)), np.abs(p[:, 2] - 1.702 + 0.25 * (p[:, 1] - 0.1)) - 0.008
    )
    return smooth_union(crown, cut(brim, ellipsoid(p, *SKULL)), 0.01)


def beanie(p: Floats) -> Floats:
    """A knitted hat with a rolled rim."""
    crown = np.maximum(_shell(0.026, 0.022)(p), _above(p, 1.675, 0.25))
    rim = np.maximum(_shell(0.033, 0.01)(p), np.abs(p[:, 2] - 1.685 - 0.25 * p[:, 1]) - 0.02)
    return smooth_union(crown, rim, 0.01)


def brimmed(p: Floats) -> Floats:
    """A hat with a brim all round."""
    crown = np.maximum(ellipsoid(p, (0, -0.008, 1.70), (0.098, 0.118, 0.125)), _above(p, 1.70))
    brim = np.maximum(ellipsoid(p, (0, -0.005, 1.705), (0.17, 0.185, 0.05)), np.abs(p[:, 2] - 1.703) - 0.008)
    return smooth_union(crown, brim, 0.012)


def headscarf(p: Floats) -> Floats:
    """A scarf over head, neck and shoulders, the face free."""
    hood = _shell(0.02, 0.004)(p)
    wrap = round_cone(p, (0, -0.012, 1.58), (0, -0.005, 1.455), 0.085, 0.105)
    face = ellipsoid(p, (0, 0.125, 1.625), (0.056, 0.09, 0.088))
    return cut(smooth_union(hood, wrap, 0.05), face)


def backpack(p: Floats) -> Floats:
    """A rucksack with two straps over the shoulders."""
    body = rounded_box(p, (0, -0.225, 1.22), (0.145, 0.085, 0.215), 0.06)
    pocket = rounded_box(p, (0, -0.315, 1.13), (0.105, 0.03, 0.095), 0.025)
    q = np.abs(p) * np.array([1, 0, 1], np.float32) + p * np.array([0, 1, 0], np.float32)
    over = round_cone(q, (0.095, -0.14, 1.43), (0.100, 0.03, 1.500), 0.021, 0.023)
    down = round_cone(q, (0.100, 0.03, 1.500), (0.118, 0.152, 1.32), 0.023, 0.022)
    under = round_cone(q, (0.118, 0.152, 1.32), (0.195, -0.02, 1.13), 0.022, 0.018)
    straps = np.minimum(np.minimum(over, down), under)
    return smooth_union(smooth_union(body, pocket, 0.02), straps, 0.015)


def shoulder_bag(p: Floats) -> Floats:
    """A messenger bag at the left hip, its strap across the chest."""
    body = rounded_box(p, (-0.235, 0.0, 0.92), (0.055, 0.145, 0.12), 0.03)
    over = round_cone(p, (0.10, -0.07, 1.475), (0.09, 0.075, 1.44), 0.022, 0.022)
    front = round_cone(p, (0.09, 0.075, 1.44), (0.02, 0.155, 1.28), 0.022, 0.021)
    across = round_cone(p, (0.02, 0.155, 1.28), (-0.20, 0.125, 0.99), 0.021, 0.019)
    back = round_cone(p, (0.10, -0.10, 1.44), (-0.20, -0.135, 1.0), 0.022, 0.019)
    strap = np.minimum(np.minimum(over, front), np.minimum(across, back))
    return np.minimum(body, strap)


def _in_hand(depth: float) -> Point:
    x, y, z = HAND_END["r"] - 0.35 * (HAND_END["r"] - JOINTS[10])
    arm = JOINTS[10] - JOINTS[9]
    arm = arm / np.linalg.norm(arm)
    x, y, z = (np.array([x, y, z]) + depth * arm).tolist()
    return float(x), float(y), float(z)


def _hanging(p: Floats, half: Point, drop: float, rounding: float) -> Floats:
    """A box below the right hand, turned into the arm's direction, with a handle."""
    arm = JOINTS[10] - JOINTS[9]
    down = arm / np.linalg.norm(arm)
    across = np.array([-down[2], 0, down[0]])
    frame = np.stack([across, [0, 1, 0], -down], 1).astype(np.float32)
    local = (p - np.asarray(_in_hand(0.0), np.float32)) @ frame
    body = rounded_box(local, (0, 0, -drop - half[2]), half, rounding)
    q = local * np.array([1, 0, 1], np.float32)
    q[:, 1] = np.abs(local[:, 1])
    side = round_cone(q, (0, half[1] * 0.55, -drop - 0.01), (0, 0.05, 0), 0.014, 0.014)
    bar = round_cone(q, (0, 0, 0), (0, 0.055, 0), 0.016, 0.016)
    return np.minimum(body, np.minimum(side, bar))


def handbag(p: Floats) -> Floats:
    """A small bag in the right hand."""
    return _hanging(p, (0.06, 0.15, 0.11), 0.12, 0.03)


def carrier(p: Floats) -> Floats:
    """A big paper bag in the right hand."""
    return _hanging(p, (0.075, 0.15, 0.18), 0.10, 0.012)


def basket(p: Floats) -> Floats:
    """The store's shopping basket in the right hand."""
    return _hanging(p, (0.13, 0.2, 0.10), 0.16, 0.03)


HAIR: dict[str, Field] = {
    "short": short,
    "parted": parted,
    "bob": bob,
    "long": long,
    "ponytail": ponytail,
    "bun": bun,
    "afro": afro,
}
HATS: dict[str, Field] = {"cap": cap, "beanie": beanie, "brimmed": brimmed, "headscarf": headscarf}
BAGS: dict[str, tuple[Field, str]] = {
    "backpack": (backpack, "chest"),
    "shoulder_bag": (shoulder_bag, "spine"),
    "handbag": (handbag, "hand_r"),
    "carrier": (carrier, "hand_r"),
    "basket": (basket, "hand_r"),
}
