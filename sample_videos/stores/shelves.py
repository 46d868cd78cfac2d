"""Build stores from axis-aligned boxes and cylinders, and shelves full of products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .labels import PRODUCTS, SIGN_FIRST

Floats = NDArray[np.float32]
Span = tuple[NDArray[np.float64], NDArray[np.float64]]
Tint = tuple[float, float, float]
Numbers = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int_]
VERTEX = np.dtype(
    [("point", "f4", 3), ("normal", "f4", 3), ("texcoord", "f4", 2), ("tint", "f4", 3), ("material", "f4", 2)]
)
PANEL = 0.035  # metres: end panels are a little thinner, so that no two faces fight for the same pixels
PAINT, FLOOR, PRODUCT, SIGN, WALL, CEILING, WOOD, OUTSIDE = range(8)

_CORNERS = np.array(
    [
        [
            [s if a == axis else (u if a == (axis + 1) % 3 else v) for a in range(3)]
            for u, v in ((0, 0), (1, 0), (1, 1), (0, 1))
        ]
        for axis in range(3)
        for s in (0, 1)
    ],
    np.float32,
)  # (6, 4, 3)
_NORMALS = np.array([[(2 * s - 1) * (a == axis) for a in range(3)] for axis in range(3) for s in (0, 1)], np.float32)
_QUAD = np.array([[0, 1, 2], [0, 2, 3]], np.uint32)


def _texcoords() -> Floats:
    """(6, 4, 2): labels upright and readable from outside each face."""
    uv = np.zeros((6, 4, 2), np.float32)
    for face, (axis, side) in enumerate((a, s) for a in range(3) for s in (0, 1)):
        corner = _CORNERS[face]
        across, sign = {0: (1, 1 if side else -1), 1: (0, -1 if side else 1), 2: (0, 1)}[axis]
        u = corner[:, across]
        uv[face, :, 0] = u if sign > 0 else 1 - u
        uv[face, :, 1] = 1 - corner[:, 2] if axis != 2 else 1 - corner[:, 1]
    return uv


_UV = _texcoords()


class Collector:
    """Collects shapes; `shell` shapes (floor, walls, ceiling) throw no shadow."""

    def __init__(self) -> None:
        self._vertices: dict[bool, list[NDArray[np.void]]] = {True: [], False: []}
        self._faces: dict[bool, list[NDArray[np.uint32]]] = {True: [], False: []}

    def boxes(
        self,
        lower: Numbers,
        upper: Numbers,
        tint: Numbers,
        material: int,
        layer: Numbers | float = 0,
        shell: bool = False,
    ) -> None:
        """Boxes from lower to upper (B, 3) metres; tint (B, 3) sRGB; layer (B,) of the label array."""
        lower, upper, tint = (np.atleast_2d(np.asarray(a, np.float32)) for a in (lower, upper, tint))
        count = len(lower)
        vertices = np.zeros((count, 6, 4), VERTEX)
        vertices["point"] = lower[:, None, None] + _CORNERS * (upper - lower)[:, None, None]
        vertices["normal"] = _NORMALS[:, None]
        vertices["texcoord"] = _UV
        vertices["tint"] = np.broadcast_to(tint, (count, 3))[:, None, None] ** 2.2
        vertices["material"][..., 0] = material
        vertices["material"][..., 1] = np.broadcast_to(np.asarray(layer, np.float32), (count,))[:, None, None]
        faces = (np.arange(count * 6, dtype=np.uint32) * 4)[:, None, None] + _QUAD
        self._vertices[shell].append(vertices.reshape(-1))
        self._faces[shell].append(faces.reshape(-1, 3).astype(np.uint32))

    def cylinders(
        self, foot: Floats, radius: Floats, height: Floats, tint: Floats, layer: Floats, sides: int = 10
    ) -> None:
        """Upright labelled cylinders: foot (B, 3), radius, height (B,) metres, tint (B, 3), layer (B,)."""
        angle = np.linspace(0, 2 * np.pi, sides + 1, dtype=np.float32)
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], 1)
        count = len(foot)
        vertices = np.zeros((count, 3, sides + 1), VERTEX)  # bottom ring, top ring, lid
        vertices["point"] = foot[:, None, None] + ring * radius[:, None, None, None]
        vertices["point"][:, 1:, :, 2] += height[:, None, None]
        vertices["normal"][:, :2] = ring
        vertices["normal"][:, 2] = (0, 0, 1)
        vertices["texcoord"][..., 0] = (np.linspace(0, 2, sides + 1) % 1.0001)[None, None]
        vertices["texcoord"][:, 0, :, 1] = 1
        vertices["tint"] = tint[:, None, None] ** 2.2
        vertices["material"][..., 0] = PRODUCT
        vertices["material"][:, 2, :, 0] = PAINT
        vertices["material"][..., 1] = layer[:, None, None]
        i = np.arange(sides, dtype=np.uint32)
        n = np.uint32(sides + 1)
        side = np.concatenate([np.stack([i, i + 1, i + 1 + n], 1), np.stack([i, i + 1 + n, i + n], 1)])
        lid = np.stack([np.full(sides - 1, 2 * n, np.uint32), 2 * n + i[1:], 2 * n + i[1:] + 1], 1)
        one = np.concatenate([side, lid]).astype(np.uint32)
        faces = (np.arange(count, dtype=np.uint32) * 3 * n)[:, None, None] + one
        self._vertices[False].append(vertices.reshape(-1))
        self._faces[False].append(faces.reshape(-1, 3).astype(np.uint32))

    def mesh(self) -> tuple[NDArray[np.void], NDArray[np.uint32], int]:
        """Vertices (V,), faces (F, 3), and how many of the first faces throw shadows."""
        vertices = self._vertices[False] + self._vertices[True]
        faces = self._faces[False] + self._faces[True]
        offsets = np.cumsum([0] + [len(v) for v in vertices[:-1]])
        joined = np.concatenate([f + np.uint32(o) for f, o in zip(faces, offsets, strict=True)])
        return np.concatenate(vertices), joined, sum(len(f) for f in self._faces[False])


def _row(rng: np.random.Generator, length: float, room: float) -> list[tuple[float, float, float, int, bool]]:
    """Facings along one shelf: start, width, height, label layer, round or not."""
    facings: list[tuple[float, float, float, int, bool]] = []
    at = 0.02
    while at < length - 0.1:
        width = float(rng.choice([0.07, 0.09, 0.12, 0.16, 0.2]))
        height = min(float(rng.uniform(0.5, 0.98)) * room, width * 3.2)
        layer, is_round = int(rng.integers(PRODUCTS)), bool(rng.random() < 0.36 and width < 0.13)
        for _ in range(int(rng.integers(2, 7))):
            if at + width > length - 0.02:
                break
            if rng.random() > 0.05:  # some are sold
                facings.append((at, width, height, layer, is_round))
            at += width + 0.008
        at += 0.012
    return facings


@dataclass(frozen=True)
class Side:
    """One side of a shelf along `axis` (0 x, 1 y): the stretch low..high, where its face is, which way it faces."""

    axis: int
    low: float
    high: float
    face: float
    facing: int
    depth: float

    def span(self, along: tuple[float, float], back: tuple[float, float], heights: tuple[float, float]) -> Span:
        """Corners (3,), (3,) of a box: metres along the shelf, metres behind the face, heights."""
        a, b = np.zeros(3), np.zeros(3)
        a[self.axis], b[self.axis] = along
        ends = sorted(self.face - self.facing * metres for metres in back)
        a[1 - self.axis], b[1 - self.axis] = ends
        a[2], b[2] = heights
        return a, b


def side_of(rect: tuple[float, float, float, float], axis: int, facing: int) -> Side:
    """The side of a footprint that faces -1 or +1 across `axis`."""
    across = 1 - axis
    thick = rect[across + 2] - rect[across]
    face = rect[across + 2] if facing > 0 else rect[across]
    depth = min(0.42, thick * (0.5 if thick > 0.7 else 1.0))
    return Side(axis, rect[axis] + PANEL, rect[axis + 2] - PANEL, face, facing, depth)


def _stock(out: Collector, rng: np.random.Generator, side: Side, heights: list[float], tint: Tint) -> None:
    """Boards with price rails, and products on them."""
    boxes: list[tuple[Span, int]] = []
    rounds: list[tuple[NDArray[np.float64], float, float, int]] = []
    along = (side.low, side.high)
    for board, above in zip(heights, [*heights[1:], heights[-1] + 0.32], strict=True):
        out.boxes(*side.span(along, (0.0, side.depth), (board - 0.035, board)), np.array(tint), PAINT)
        rail = np.array((0.93, 0.93, 0.88) if rng.random() < 0.6 else (0.85, 0.2, 0.2))
        out.boxes(*side.span(along, (-0.012, 0.0), (board - 0.045, board)), rail, PAINT)
        for start, width, height, layer, is_round in _row(rng, side.high - side.low, above - board - 0.06):
            back = float(rng.uniform(0.01, 0.06))
            at = side.low + start
            if is_round:
                foot, _ = side.span((at + width / 2, at), (back + width / 2, back + width / 2), (board, board))
                rounds.append((foot, width / 2, height, layer))
            else:
                deep = back + min(0.25, side.depth * 0.8)
                boxes.append((side.span((at, at + width), (back, deep), (board, board + height)), layer))
    if boxes:
        lower, upper = (np.array([span[i] for span, _ in boxes]) for i in (0, 1))
        out.boxes(lower, upper, np.array([[0.8, 0.8, 0.8]]), PRODUCT, np.array([layer for _, layer in boxes]))
    if rounds:
        feet, radii, tall, layers = (np.array([r[i] for r in rounds], np.float32) for i in range(4))
        tints = rng.uniform(0.2, 0.9, (len(rounds), 3)).astype(np.float32)
        out.cylinders(feet, radii, tall, tints, layers)


def shelf(
    out: Collector,
    rng: np.random.Generator,
    rect: tuple[float, float, float, float],
    height: float,
    axis: int,
    sides: tuple[int, ...],
    tint: tuple[float, float, float],
) -> None:
    """A gondola: base, back panel or middle wall, end panels, stocked boards on the given sides."""
    x1, y1, x2, y2 = rect
    out.boxes(np.array((x1 + 0.02, y1 + 0.02, 0)), np.array((x2 - 0.02, y2 - 0.02, 0.10)), np.array(tint) * 0.5, PAINT)
    low, high = np.array([x1, y1, 0.0]), np.array([x2, y2, height])
    across = 1 - axis
    wall_low, wall_high = low.copy(), high.copy()
    if len(sides) == 2:
        middle = (low[across] + high[across]) / 2
        wall_low[across], wall_high[across] = middle - 0.02, middle + 0.02
    else:
        back = low[across] if sides[0] > 0 else high[across] - 0.04
        wall_low[across], wall_high[across] = back, back + 0.04
    out.boxes(wall_low, wall_high, np.array(tint), PAINT)
    for end in (low[axis], high[axis] - 0.03):
        a, b = low.copy(), high.copy()
        a[axis], b[axis] = end, end + 0.03
        out.boxes(a, b, np.array(tint) * 0.9, PAINT)
        if len(sides) == 2:  # a poster on the end
            outward = -1 if end == low[axis] else 1
            p, q = a.copy(), b.copy()
            p[axis], q[axis] = sorted(
                (end if outward < 0 else end + 0.03, (end if outward < 0 else end + 0.03) + outward * 0.012)
            )
            p[across], q[across] = low[across] + 0.1, high[across] - 0.1
            p[2], q[2] = height - 0.62, height - 0.14
            out.boxes(p, q, np.ones(3), SIGN, float(SIGN_FIRST + rng.choice((3, 6, 10, 11, 15))))
    gap = float(rng.uniform(0.30, 0.38))
    boards = [0.13, *np.arange(0.13 + gap, height - 0.12, gap).tolist()]
    for side in sides:
        _stock(out, rng, side_of(rect, axis, side), boards, tint)
