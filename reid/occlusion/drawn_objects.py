"""Draw synthetic occluders of shops and streets: shelves, trolleys, boxes, plants, boards and the like [ours].

A few polygons each, in random colours and proportions, so that training needs no images of real objects.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Colour = NDArray[np.float32]  # (3,) BGR, 0 to 255
Corners = Sequence[tuple[float, float]]  # (x, y) in shares of the image

TALL_PX = 256  # of the finished image; as high as a crop, which it seldom fills
FINER = 2  # drawn this much larger and reduced, for smooth edges
INK, RUBBER, GLASS = (np.full(3, level, np.float32) for level in (35, 30, 60))


def draw_thing(rng: Rng) -> NDArray[np.uint8]:
    """Draw a random object on a transparent background: uint8 (256, any width, 4) BGRA, not premultiplied."""
    thing = THINGS[rng.integers(len(THINGS))]
    return thing(rng)


class Canvas:
    """A transparent sheet; later strokes cover earlier ones.  Places are shares of it, (0, 0) at the top left."""

    def __init__(self, aspect: float) -> None:
        """`aspect` is width by height."""
        self.size = (round(TALL_PX * aspect) * FINER, TALL_PX * FINER)  # (width, height)
        self.paint = np.zeros((self.size[1], self.size[0], 3), np.float32)
        self.alpha = np.zeros((self.size[1], self.size[0]), np.uint8)

    def polygon(self, corners: Corners, colour: Colour) -> None:
        """Fill between corners."""
        points = (np.array(corners) * self.size).round().astype(np.int32)
        cv2.fillPoly(self.paint, [points], colour.tolist())
        cv2.fillPoly(self.alpha, [points], 255)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, corners: Corners, colour: Colour, thick: float) -> None:
        """Draw from corner to corner; `thick` is a share of the height."""
        points = (np.array(corners) * self.size).round().astype(np.int32)
        width = max(1, round(thick * self.size[1]))
        cv2.polylines(self.paint, [points], False, colour.tolist(), width)
        cv2.polylines(self.alpha, [points], False, 255, width)

    def ellipse(self, middle: tuple[float, float], radii: tuple[float, float], colour: Colour, turn: float = 0) -> None:
        """Fill an ellipse; radii are shares of the height both, `turn` is in degrees."""
        x, y = (round(share * size) for share, size in zip(middle, self.size, strict=True))
        axes = max(1, round(radii[0] * self.size[1])), max(1, round(radii[1] * self.size[1]))
        cv2.ellipse(self.paint, (x, y), axes, turn, 0, 360, colour.tolist(), cv2.FILLED)
        cv2.ellipse(self.alpha, (x, y), axes, turn, 0, 360, 255, cv2.FILLED)

    def arc(self, middle: tuple[float, float], radii: tuple[float, float], colour: Colour, thick: float) -> None:
        """The upper half of an ellipse's outline, as a handle."""
        turns = np.linspace(np.pi, 2 * np.pi, 24)
        squeeze = self.size[1] / self.size[0]
        xs, ys = middle[0] + radii[0] * squeeze * np.cos(turns), middle[1] + radii[1] * np.sin(turns)
        self.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), colour, thick)

    def finished(self, rng: Rng, round_body: bool = False) -> NDArray[np.uint8]:
        """Light, grain and smooth edges: uint8 (256, width, 4) BGRA."""
        down = np.linspace(1 + rng.uniform(0, 0.15), 1 - rng.uniform(0, 0.3), self.size[1])[:, None]  # (H, 1)
        across = np.linspace(-1, 1, self.size[0])[None]  # (1, W)
        side = 1 + rng.uniform(-0.2, 0.2) * across
        if round_body:
            side = side * np.sqrt(np.maximum(0.15, 1 - (across - rng.uniform(-0.4, 0.4)) ** 2))
        speckles = rng.normal(0, rng.uniform(0, 4), (self.size[1] // 8, self.size[0] // 8)).astype(np.float32)
        grain = cv2.resize(speckles, self.size, interpolation=cv2.INTER_CUBIC)
        lit = (self.paint * (down * side)[:, :, None] + grain[:, :, None]).clip(0, 255)  # (H, W, 3)
        weight = (self.alpha / 255)[:, :, None]  # (H, W, 1)
        small = (self.size[0] // FINER, self.size[1] // FINER)
        colour = cv2.resize(lit * weight, small, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)[:, :, None]
        merged = np.concatenate([colour / np.maximum(alpha, 1e-6), alpha * 255], axis=2)  # (h, w, 4)
        return np.asarray(merged.round().clip(0, 255), np.uint8)


def shelf_end(rng: Rng) -> NDArray[np.uint8]:
    """The end of a row of shelves: goods on each board, a sign on top."""
    canvas, metal = Canvas(rng.uniform(0.4, 0.8)), _plain(rng)
    head = rng.uniform(0.03, 0.1)
    canvas.box(rng.uniform(0.05, 0.3), 0, rng.uniform(0.7, 0.95), head, _vivid(rng))  # the sign
    canvas.box(0.02, head, 0.98, 1, metal * 0.8)
    levels = np.linspace(head + rng.uniform(0.02, 0.06), 0.93, rng.integers(4, 7))
    for top, board in pairwise(levels.tolist()):
        left, goods = 0.05, _vivid(rng)
        while left < 0.9:
            wide = rng.uniform(0.06, 0.2)
            goods = _vivid(rng) if rng.random() < 0.5 else goods
            above = board - (board - top) * rng.uniform(0.5, 0.85)
            canvas.box(left, above, min(0.95, left + wide), board, goods)
            canvas.box(left, (above + board) / 2, min(0.95, left + wide), (above + 2 * board) / 3, _varied(goods, rng))
            left += wide + rng.uniform(0, 0.03)
        canvas.box(0, board, 1, board + 0.022, metal)
    for left in (0.0, 0.955):
        canvas.box(left, head, left + 0.045, 1, metal * 0.9)
    canvas.box(0, 0.95, 1, 1, metal * 0.5)
    return canvas.finished(rng)


def trolley(rng: Rng) -> NDArray[np.uint8]:
    """A shopping trolley: a wire basket to see through, a frame, wheels, and perhaps goods."""
    canvas, wire, thick = Canvas(rng.uniform(0.8, 1.1)), np.full(3, rng.uniform(110, 200), np.float32), 0.012
    if rng.random() < 0.7:
        for _ in range(rng.integers(2, 8)):
            left, top = rng.uniform(0.25, 0.65), rng.uniform(0.12, 0.4)
            canvas.box(left, top, left + rng.uniform(0.08, 0.22), 0.6, _vivid(rng))
    left, right, rim, floor = 0.18, 0.97, 0.22, 0.62
    for share in np.linspace(0, 1, rng.integers(8, 15)):
        foot = left + 0.12 + share * (right - left - 0.2)
        canvas.line([(left + share * (right - left), rim + 0.05 * (1 - share)), (foot, floor)], wire, thick / 2)
    for share in np.linspace(0, 1, rng.integers(4, 7)):
        inset = share * 0.12, share * 0.08
        level = rim + share * (floor - rim)
        ends = [(left + inset[0], level + 0.05 * (1 - share)), (right - inset[1], level)]
        canvas.line(ends, wire, thick if share in (0, 1) else thick / 2)
    canvas.line([(0.06, 0.14), (left, rim + 0.05), (0.34, 0.7), (0.2, 0.9)], wire * 0.8, 0.022)
    canvas.line([(0.34, 0.7), (0.88, 0.78), (0.9, 0.9)], wire * 0.8, 0.022)
    canvas.line([(0.02, 0.14), (0.12, 0.14)], _vivid(rng), 0.04)
    for x in (0.2, 0.9):
        canvas.ellipse((x, 0.94), (0.045, 0.045), RUBBER)
        canvas.ellipse((x, 0.94), (0.018, 0.018), wire)
    return canvas.finished(rng)


def box_stack(rng: Rng) -> NDArray[np.uint8]:
    """Two to five boxes on top of each other, each with a front, a side and a strip of tape."""
    canvas = Canvas(rng.uniform(0.45, 0.9))
    cardboard = np.array((95, 140, 180), np.float32) * rng.uniform(0.7, 1.15)
    edges = np.cumsum(rng.uniform(0.5, 1.0, rng.integers(2, 6)))
    edges = 0.04 + 0.96 * np.concatenate([[0], edges / edges[-1]])
    for top, bottom in reversed(list(pairwise(edges.tolist()))):
        face = _varied(cardboard, rng) if rng.random() < 0.8 else _vivid(rng)
        left, right, depth = rng.uniform(0, 0.12), rng.uniform(0.72, 0.85), rng.uniform(0.08, 0.14)
        rise = 0.03
        canvas.polygon(
            [(left, top), (right, top), (right + depth, top - rise), (left + depth, top - rise)], face * 1.15
        )
        canvas.polygon(
            [(right, top), (right + depth, top - rise), (right + depth, bottom - rise), (right, bottom)], face * 0.65
        )
        canvas.box(left, top, right, bottom, face)
        middle = (left + right) / 2
        canvas.box(middle - 0.04, top, middle + 0.04, top + (bottom - top) * rng.uniform(0.25, 1), face * 1.2)
        if rng.random() < 0.5:
            canvas.box(left + 0.06, bottom - 0.08, left + 0.24, bottom - 0.03, _plain(rng))
    return canvas.finished(rng)


def plant(rng: Rng) -> NDArray[np.uint8]:
    """Leaves over a pot."""
    canvas, rim = Canvas(rng.uniform(0.5, 0.9)), rng.uniform(0.68, 0.8)
    green = np.array((rng.uniform(30, 70), rng.uniform(90, 150), rng.uniform(30, 100)), np.float32)
    root = (0.5, rim)
    slender, longest = rng.uniform(0.12, 0.35), rng.uniform(0.1, 0.2)
    for _ in range(rng.integers(40, 110)):
        turn = rng.normal(-np.pi / 2, 0.75)
        reach = rng.uniform(0.08, rim - longest * 0.6)
        x = root[0] + reach * np.cos(turn) / canvas.size[0] * canvas.size[1]
        y = root[1] + reach * np.sin(turn)
        length = longest * rng.uniform(0.5, 1)
        canvas.line([root, (x, y)], green * 0.5, 0.006)
        shade = green * rng.uniform(0.5, 1.3)
        canvas.ellipse((x, y), (length, length * slender), shade, float(np.degrees(turn + rng.normal(0, 0.5))))
    pot = _plain(rng)
    wide, narrow = rng.uniform(0.2, 0.3), rng.uniform(0.13, 0.2)
    canvas.polygon([(0.5 - wide, rim), (0.5 + wide, rim), (0.5 + narrow, 1), (0.5 - narrow, 1)], pot)
    canvas.box(0.5 - wide - 0.02, rim - 0.02, 0.5 + wide + 0.02, rim + 0.035, pot * 1.1)
    return canvas.finished(rng)


def signboard(rng: Rng) -> NDArray[np.uint8]:
    """A board with lines of writing, on one leg or two."""
    canvas, board, frame = Canvas(rng.uniform(0.45, 1.0)), _vivid(rng), _plain(rng)
    low = rng.uniform(0.55, 0.93)
    legs = (0.49,) if rng.random() < 0.4 else (0.12, 0.85)
    for left in legs:
        canvas.box(left, low, left + 0.04, 1, frame * 0.7)
    canvas.box(0, 0, 1, low, frame)
    canvas.box(0.03, 0.02, 0.97, low - 0.02, board)
    ink = INK if board.mean() > 120 else np.full(3, 235, np.float32)
    line = rng.uniform(0.06, 0.1)
    if rng.random() < 0.5:
        radius = min(0.3 * low, 0.3 * canvas.size[0] / canvas.size[1])
        canvas.ellipse((0.5, 0.06 + radius), (radius, radius), _vivid(rng))
        line = 0.1 + 2 * radius
    while line < low - 0.1:
        tall = rng.uniform(0.015, 0.04)
        canvas.box(0.1, line, rng.uniform(0.4, 0.9), line + tall, ink)
        line += tall + rng.uniform(0.02, 0.05)
    return canvas.finished(rng)


def bag(rng: Rng) -> NDArray[np.uint8]:
    """A carrier bag, a suitcase or the like: a body, a handle, a stripe."""
    canvas, cloth = Canvas(rng.uniform(0.6, 1.0)), _vivid(rng) if rng.random() < 0.6 else _plain(rng)
    top, spread = rng.uniform(0.25, 0.4), rng.uniform(-0.08, 0.1)
    radius = rng.uniform(0.1, 0.16), top - 0.05
    for offset in (-0.03, 0.03):
        canvas.arc((0.5 + offset, top + 0.03), radius, cloth * rng.uniform(0.4, 0.8), rng.uniform(0.015, 0.035))
    bulge = rng.uniform(0, 0.04)
    left, right = 0.15 - spread, 0.85 + spread
    right_side = [(0.85, top), (right + bulge, 0.75), (right, 0.97), (right - 0.06, 1)]
    canvas.polygon([(0.15, top), *right_side, (left + 0.06, 1), (left, 0.97), (left - bulge, 0.75)], cloth)
    canvas.box(0.17, top, 0.83, top + 0.03, cloth * 0.7)
    if rng.random() < 0.6:
        stripe = rng.uniform(top + 0.1, 0.8)
        canvas.box(left + 0.04, stripe, right - 0.04, stripe + rng.uniform(0.04, 0.15), _varied(cloth, rng))
    return canvas.finished(rng, round_body=bool(rng.random() < 0.5))


def pillar(rng: Rng) -> NDArray[np.uint8]:
    """A pillar, a post or a bin: higher than wide, round or square, perhaps with a poster."""
    canvas, stone = Canvas(rng.uniform(0.16, 0.45)), _plain(rng)
    canvas.box(0.04, 0, 0.96, 1, stone)
    if rng.random() < 0.5:
        top = rng.uniform(0.1, 0.5)
        canvas.box(0.2, top, 0.8, top + rng.uniform(0.1, 0.25), _vivid(rng))
    if rng.random() < 0.3:
        warning = _vivid(rng)
        for top in np.arange(rng.uniform(0.5, 0.8), 1, 0.1).tolist():
            canvas.polygon([(0.04, top), (0.96, top - 0.04), (0.96, top + 0.01), (0.04, top + 0.05)], warning)
    canvas.box(0, 0.95, 1, 1, stone * 0.6)
    return canvas.finished(rng, round_body=bool(rng.random() < 0.6))


def car(rng: Rng) -> NDArray[np.uint8]:
    """A parked car from its side: body, roof, windows and wheels."""
    canvas, body = Canvas(rng.uniform(2.0, 2.6)), _vivid(rng) if rng.random() < 0.5 else _plain(rng)
    belt, bonnet, roof = rng.uniform(0.38, 0.46), rng.uniform(0.2, 0.3), rng.uniform(0.03, 0.1)
    rear = rng.uniform(0.8, 0.95)
    cabin = [(bonnet, belt), (bonnet + 0.12, roof + 0.03), (bonnet + 0.2, roof), (rear - 0.18, roof), (rear, belt)]
    low = 0.84
    sides = [(0.99, belt + 0.06), (1, 0.7), (0.98, low), (0.02, low), (0, 0.68), (0.03, belt + 0.12)]
    canvas.polygon([*cabin, *sides, (bonnet - 0.1, belt + 0.03)], body)
    glass, sill = GLASS * rng.uniform(0.6, 1.8), belt + 0.03
    middle = (bonnet + rear) / 2
    canvas.polygon([(bonnet + 0.05, sill), (bonnet + 0.14, roof + 0.07), (middle - 0.01, roof + 0.06)], glass)
    canvas.polygon([(bonnet + 0.05, sill), (middle - 0.01, roof + 0.06), (middle - 0.01, sill)], glass)
    canvas.polygon([(middle + 0.01, sill), (middle + 0.01, roof + 0.06), (rear - 0.18, roof + 0.07)], glass * 0.9)
    canvas.polygon([(middle + 0.01, sill), (rear - 0.18, roof + 0.07), (rear - 0.05, sill)], glass * 0.9)
    canvas.line([(middle, sill), (middle, low - 0.08)], body * 0.6, 0.012)
    canvas.box(0.02, 0.76, 0.98, low, body * 0.5)
    canvas.ellipse((0.03, belt + 0.2), (0.04, 0.05), np.array((190, 230, 240), np.float32))
    canvas.ellipse((0.975, belt + 0.14), (0.03, 0.06), np.array((30, 30, 190), np.float32))
    for x in (rng.uniform(0.17, 0.21), rng.uniform(0.78, 0.83)):
        canvas.ellipse((x, 0.83), (0.17, 0.17), RUBBER)
        canvas.ellipse((x, 0.83), (0.1, 0.1), np.full(3, rng.uniform(110, 190), np.float32))
    return canvas.finished(rng)


def _vivid(rng: Rng) -> Colour:
    """Any colour of paint, print or plastic."""
    hue, saturation, value = rng.integers(180), rng.uniform(70, 235), rng.uniform(60, 235)
    pixel = np.array([[[hue, saturation, value]]]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def _plain(rng: Rng) -> Colour:
    """A grey, a white, or a brown: metal, stone, laminate and wood."""
    tint = np.array((0.75, 0.95, 1.15) if rng.random() < 0.35 else (1.0, 1.0, 1.0), np.float32)
    return np.asarray(rng.uniform(50, 215) * tint + rng.normal(0, 5, 3), np.float32).clip(0, 255)


def _varied(colour: Colour, rng: Rng) -> Colour:
    return (colour * np.float32(rng.uniform(0.7, 1.3)) + rng.normal(0, 14, 3).astype(np.float32)).clip(0, 255)


THINGS: tuple[Callable[[Rng], NDArray[np.uint8]], ...] = (
    *(shelf_end, trolley, box_stack, plant),
    *(signboard, bag, pillar, car),
)
