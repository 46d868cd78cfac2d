"""Distance fields of heads, dressed torsos, legs, hands and shoes for each build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sdf import Field, Point, blend_all, cut, ellipsoid, loft, round_cone, smooth_union
from .skeleton import HAND_END, JOINTS

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Build:
    """Girths relative to an average person (1.0), and the bust in metres."""

    shoulders: float = 1.0
    chest: float = 1.0
    waist: float = 1.0
    hips: float = 1.0
    belly: float = 0.0
    limbs: float = 1.0
    bust: float = 0.0
    jaw: float = 1.0


BUILDS: dict[str, Build] = {
    "man": Build(shoulders=1.06, chest=1.05, waist=1.02, limbs=1.03),
    "slim_man": Build(shoulders=1.0, chest=0.94, waist=0.9, hips=0.94, limbs=0.9),
    "big_man": Build(1.1, 1.2, 1.3, 1.14, belly=0.075, limbs=1.2, jaw=1.1),
    "woman": Build(0.9, 0.92, 0.84, 1.03, limbs=0.9, bust=0.035, jaw=0.88),
    "slim_woman": Build(0.86, 0.85, 0.77, 0.94, limbs=0.8, bust=0.028, jaw=0.85),
    "big_woman": Build(0.96, 1.12, 1.16, 1.24, belly=0.05, limbs=1.12, bust=0.055, jaw=0.98),
}


def _joint(index: int) -> Point:
    x, y, z = JOINTS[index]
    return float(x), float(y), float(z)


def _mirrored(points: Floats) -> Floats:
    """Both sides of a body are the right side, (N, 3)."""
    mirrored = points.copy()
    mirrored[:, 0] = np.abs(mirrored[:, 0])
    return mirrored


def torso(build: Build, loose: float = 0.0, hem: float = 0.85) -> Field:
    """A garment from the neck to `hem`, with arms to the wrists; `loose` is how many metres it stands off the body."""
    w, d = build.waist, build.waist
    knots = [
        (0.98, 0.168 * build.hips, 0.118 * build.hips + build.belly * 0.5, -0.006 + build.belly * 0.4),
        (1.09, 0.148 * w, 0.105 * d + build.belly, 0.004 + build.belly * 0.9),
        (1.18, 0.155 * (w + build.chest) / 2, 0.110 * build.chest + build.belly * 0.7, 0.006 + build.belly * 0.6),
        (1.28, 0.172 * build.chest, 0.118 * build.chest, 0.004),
        (1.37, 0.176 * build.chest, 0.108 * build.chest, -0.006),
        (1.43, 0.148 * build.shoulders, 0.080, -0.012),
        (1.475, 0.080, 0.062, -0.016),
        (1.505, 0.060, 0.056, -0.014),
    ]
    flare = 0.10 * max(0.0, 0.85 - hem)
    low = (0.178 * build.hips + flare, 0.128 * build.hips + flare + build.belly * 0.2, -0.01)
    knots = [(hem, *low), (0.9, 0.178 * build.hips, 0.126 * build.hips + build.belly * 0.3, -0.01), *knots]
    table = np.array(knots, np.float32)
    table[:-2, 1:3] += loose
    limb = build.limbs
    shift = build.shoulders - 1.0
    girths = (0.060 * limb + loose * 0.7, 0.043 * limb + loose * 0.8, 0.034 * limb + loose * 0.7)

    def field(points: Floats) -> Floats:
        p = _mirrored(points)
        trunk = loft(p, table)
        bust = ellipsoid(p, (0.075, 0.085 * build.chest, 1.265), (0.075, 0.045 + build.bust, 0.07))
        trunk = smooth_union(trunk, bust, 0.05) if build.bust else trunk
        sx, sy, sz = _joint(8)
        shoulder = (sx * (1 + 0.6 * shift), sy, sz - 0.01)
        yoke = round_cone(p, (0.03, -0.015, 1.445), (shoulder[0] - 0.01, -0.01, 1.42), 0.055, 0.052 + loose * 0.5)
        upper = round_cone(p, shoulder, _joint(9), girths[0], girths[1])
        fore = round_cone(p, _joint(9), _joint(10), girths[1], girths[2])
        arm = smooth_union(upper, fore, 0.03)
        return blend_all([trunk, yoke, arm], 0.055)

    return field


def legs(build: Build, knee: float = 0.062, hem: float = 0.058, shorts: float = 0.0) -> Field:
    """Trousers or bare legs: radii at `knee` and `hem` for limbs of 1.0; `shorts` adds wide legs to that height."""
    limb = build.limbs
    table = np.array(
        [
            (0.84, 0.150 * build.hips, 0.112 * build.hips, -0.012),
            (0.92, 0.168 * build.hips, 0.122 * build.hips, -0.012),
            (1.0, 0.158 * build.hips, 0.106 * build.hips + build.belly * 0.4, -0.002 + build.belly * 0.3),
            (1.05, 0.146 * build.waist, 0.100 * build.waist + build.belly * 0.6, build.belly * 0.5),
        ],
        np.float32,
    )

    def field(points: Floats) -> Floats:
        p = _mirrored(points)
        hip, mid, low = _joint(14), _joint(15), _joint(16)
        thigh = round_cone(p, (hip[0], -0.006, hip[2] - 0.03), mid, 0.088 * limb, knee * limb)
        calf = round_cone(p, mid, (low[0], low[1] - 0.0, 0.055), knee * limb * 0.97, hem * limb)
        muscle = ellipsoid(p, (low[0] - 0.003, -0.025, 0.36), (0.045 * limb, 0.045 * limb, 0.11))
        leg = blend_all([thigh, calf, muscle], 0.03)
        leg = np.maximum(leg, 0.035 - p[:, 2])
        if shorts:
            wide = round_cone(
                p, (hip[0], -0.006, hip[2] - 0.03), (mid[0], mid[1], shorts - 0.02), 0.092 * limb, 0.090 * limb
            )
            leg = np.minimum(leg, np.maximum(wide, shorts - p[:, 2]))
        return smooth_union(loft(p, table), leg, 0.04)

    return field


def shoes(points: Floats) -> Floats:
    """Two shoes standing on z = 0."""
    p = _mirrored(points)
    x = float(JOINTS[16][0])
    heel = round_cone(p, (x, -0.055, 0.04), (x, -0.035, 0.085), 0.040, 0.043)
    front = round_cone(p, (x, -0.05, 0.035), (x + 0.012, 0.135, 0.022), 0.041, 0.034)
    ball = ellipsoid(p, (x + 0.008, 0.085, 0.03), (0.049, 0.09, 0.038))
    return np.maximum(blend_all([heel, front, ball], 0.035), -p[:, 2])


def hands(points: Floats) -> Floats:
    """Two relaxed hands: palm, four fingers as a slightly curled block, thumb forward."""
    p = _mirrored(points)
    wrist, end = JOINTS[10], HAND_END["r"]
    axis = end - wrist
    palm_from = tuple(float(v) for v in wrist - 0.1 * axis)
    fields = [round_cone(p, palm_from, tuple(float(v) for v in wrist + 0.25 * axis), 0.027, 0.03)]  # type: ignore[arg-type]
    for k, offset in enumerate((-0.027, -0.009, 0.009, 0.027)):
        start = wrist + 0.4 * axis + np.array([0, offset * 0.8, 0])
        tip = wrist + (0.9 + 0.05 * (k in (1, 2))) * axis + np.array([-0.02, offset, 0])
        fields.append(round_cone(p, tuple(map(float, start)), tuple(map(float, tip)), 0.015, 0.0095))  # type: ignore[arg-type]
    thumb = wrist + 0.5 * axis + np.array([-0.012, 0.052, 0.0])
    root = wrist + 0.15 * axis + np.array([0, 0.015, 0])
    fields.append(round_cone(p, tuple(map(float, root)), tuple(map(float, thumb)), 0.017, 0.011))  # type: ignore[arg-type]
    return blend_all(fields, 0.012)


SKULL: tuple[Point, Point] = ((0.0, -0.008, 1.672), (0.074, 0.094, 0.089))


def head(build: Build) -> Field:
    """Neck, skull, jaw, nose, lips, eye sockets and ears."""

    def field(points: Floats) -> Floats:
        p = _mirrored(points)
        skull = ellipsoid(p, *SKULL)
        face = ellipsoid(p, (0, 0.03, 1.612), (0.056 * build.jaw, 0.066, 0.074))
        chin = ellipsoid(p, (0, 0.066, 1.558), (0.026 * build.jaw, 0.022, 0.02))
        neck = round_cone(p, (0, -0.022, 1.42), (0, -0.010, 1.59), 0.058 * build.jaw, 0.050 * build.jaw)
        shape = blend_all([skull, face, chin, neck], 0.035)
        socket = ellipsoid(p, (0.032, 0.108, 1.648), (0.019, 0.018, 0.012))
        shape = np.asarray(-smooth_union(-shape, socket, 0.015), np.float32)
        eye = ellipsoid(p, (0.031, 0.074, 1.648), (0.013, 0.013, 0.0125))
        nose = round_cone(p, (0, 0.086, 1.65), (0, 0.106, 1.612), 0.008, 0.0135)
        lips = ellipsoid(p, (0, 0.089, 1.578), (0.022, 0.011, 0.009))
        shape = blend_all([shape, nose, lips, eye], 0.012)
        ear = cut(
            ellipsoid(p, (0.077, -0.008, 1.632), (0.010, 0.023, 0.032)),
            ellipsoid(p, (0.088, 0, 1.635), (0.008, 0.014, 0.02)),
        )
        return smooth_union(shape, ear, 0.01)

    return field


def skirt(build: Build, flare: float) -> Field:
    """A closed cone from the waist to mid-shin; the shader cuts it at the wearer's hem."""
    table = np.array(
        [
            (0.30, 0.20 + flare, 0.17 + flare, 0.0),
            (0.60, 0.185 + 0.55 * flare, 0.155 + 0.5 * flare, 0.0),
            (0.90, 0.183 * build.hips, 0.140 * build.hips, -0.008),
            (1.00, 0.165 * build.hips, 0.115 * build.hips + build.belly * 0.5, build.belly * 0.4),
            (1.06, 0.152 * build.waist, 0.105 * build.waist + build.belly * 0.8, build.belly * 0.6),
        ],
        np.float32,
    )

    def field(points: Floats) -> Floats:
        angle = np.arctan2(points[:, 1], points[:, 0])
        pleat = 0.010 * np.sin(11 * angle) * ((0.95 - points[:, 2]) / 0.5).clip(0, 1)
        return np.asarray(loft(points, table, 2.0) + pleat, np.float32)

    return field
