"""Build the triangle mesh of a dressed person: parts are grown once per build and joined into one vertex array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from . import anatomy, wardrobe
from .sdf import Field, Point, Surface, grow
from .skeleton import four_strongest, head_weights, leg_weights, rigid_weights, torso_weights

Floats = NDArray[np.float32]

VERTEX = np.dtype(
    [("rest", "f4", 3), ("normal", "f4", 3), ("kind", "f4", 2), ("bone", "u1", 4), ("weight", "u1", 4)]
)  # kind: material number of person.frag, openness in [0, 1]
HEAD, TOP, LEGS, SHOES, HANDS, HAIR, HAT, BAG, SKIRT = range(9)

TORSO_CUTS: dict[str, tuple[float, float]] = {  # looseness, hem height
    "fitted": (0.004, 0.86),
    "shirt": (0.014, 0.82),
    "jacket": (0.030, 0.80),
    "long_coat": (0.030, 0.52),
}
LEG_CUTS: dict[str, tuple[float, ...]] = {  # radius at knee, at hem, height of the hem of shorts
    "bare": (0.055, 0.038),
    "shorts": (0.055, 0.038, 0.56),
    "short_shorts": (0.055, 0.038, 0.68),
    "slim": (0.060, 0.044),
    "straight": (0.067, 0.062),
    "wide": (0.078, 0.090),
}


@dataclass(frozen=True)
class Mesh:
    """A person's triangles: vertices (V,) of VERTEX, faces uint32 (F, 3)."""

    vertices: NDArray[np.void]
    faces: NDArray[np.uint32]


def _join(parts: list[Mesh]) -> Mesh:
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = [part.faces + np.uint32(offset) for part, offset in zip(parts, offsets, strict=True)]
    return Mesh(np.concatenate([part.vertices for part in parts]), np.concatenate(faces))


def _mesh(surface: Surface, weights: Floats, material: int) -> Mesh:
    vertices = np.zeros(len(surface.points), VERTEX)
    bone, weight = four_strongest(weights)
    vertices["rest"], vertices["normal"] = surface.points, surface.normals
    vertices["kind"] = np.stack([np.full(len(surface.points), material, np.float32), surface.openness], 1)
    vertices["bone"] = bone
    vertices["weight"] = np.round(weight * 255).astype(np.uint8)
    return Mesh(vertices, surface.faces.astype(np.uint32))


def _grown(field: Field, lower: Point, upper: Point, step: float) -> Surface:
    return grow(field, lower, upper, step)


@cache
def torso_part(build: str, style: str) -> Mesh:
    """The upper garment of a build."""
    loose, hem = TORSO_CUTS[style]
    field = anatomy.torso(anatomy.BUILDS[build], loose, hem)
    surface = _grown(field, (-0.62, -0.28, hem - 0.03), (0.62, 0.34, 1.54), 0.025)
    return _mesh(surface, torso_weights(surface.points), TOP)


@cache
def leg_part(build: str, style: str) -> Mesh:
    """Trousers or bare legs of a build."""
    surface = _grown(
        anatomy.legs(anatomy.BUILDS[build], *LEG_CUTS[style]), (-0.32, -0.24, 0.0), (0.32, 0.28, 1.09), 0.025
    )
    return _mesh(surface, leg_weights(surface.points), LEGS)


@cache
def skirt_part(build: str, flared: bool) -> Mesh:
    """A skirt of a build."""
    field = anatomy.skirt(anatomy.BUILDS[build], 0.10 if flared else 0.0)
    surface = _grown(field, (-0.4, -0.4, 0.27), (0.4, 0.4, 1.1), 0.026)
    return _mesh(surface, torso_weights(surface.points, 0.8), SKIRT)


@cache
def head_part(build: str) -> Mesh:
    """Head and neck of a build."""
    surface = _grown(anatomy.head(anatomy.BUILDS[build]), (-0.12, -0.14, 1.40), (0.12, 0.16, 1.79), 0.012)
    return _mesh(surface, head_weights(surface.points), HEAD)


@cache
def limb_ends() -> Mesh:
    """Shoes and hands, the same for everyone."""
    feet = _grown(anatomy.shoes, (-0.19, -0.14, -0.01), (0.19, 0.21, 0.15), 0.015)
    hands = _grown(anatomy.hands, (-0.68, -0.07, 0.80), (0.68, 0.09, 1.06), 0.0125)
    return _join([_mesh(feet, leg_weights(feet.points), SHOES), _mesh(hands, torso_weights(hands.points), HANDS)])


@cache
def hair_part(style: str) -> Mesh:
    """Hair."""
    surface = _grown(wardrobe.HAIR[style], (-0.16, -0.22, 1.26), (0.16, 0.17, 1.86), 0.017)
    return _mesh(surface, head_weights(surface.points), HAIR)


@cache
def hat_part(style: str) -> Mesh:
    """A hat or scarf."""
    surface = _grown(wardrobe.HATS[style], (-0.22, -0.24, 1.33), (0.22, 0.24, 1.87), 0.016)
    return _mesh(surface, head_weights(surface.points), HAT)


@cache
def bag_part(style: str) -> Mesh:
    """A bag, moving with the bone that carries it."""
    field, bone = wardrobe.BAGS[style]
    surface = _grown(field, (-0.36, -0.37, 0.30), (0.98, 0.3, 1.52), 0.0165)
    weights = torso_weights(surface.points) if bone == "spine" else rigid_weights(surface.points, bone)
    return _mesh(surface, weights, BAG)


def dress(build: str, top: str, legs: str, skirt: str, hair: str, hat: str, bag: str) -> Mesh:
    """One person's mesh; an empty word means that the part is absent."""
    parts = [head_part(build), torso_part(build, top), leg_part(build, legs), limb_ends()]
    if skirt:
        parts.append(skirt_part(build, skirt == "flared"))
    if hair:
        parts.append(hair_part(hair))
    if hat:
        parts.append(hat_part(hat))
    if bag:
        parts.append(bag_part(bag))
    return _join(parts)
