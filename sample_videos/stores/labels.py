"""Draw prints of products, signs and shirts: small seeded textures, uint8 RGBA, sRGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..people.outfits import PRINT_COUNT

Bytes = NDArray[np.uint8]
SIZE = 128
PRODUCTS = 56
SIGNS = (
    "FRESH",
    "DAIRY",
    "BAKERY",
    "SALE -30%",
    "PAY HERE",
    "WELCOME",
    "ORGANIC",
    "DRINKS",
    "SNACKS",
    "HOUSEHOLD",
    "2 FOR 1",
    "COFFEE",
    "CHECKOUT 1",
    "CHECKOUT 2",
    "EXIT",
    "NEW!",
)
SIGN_FIRST = PRODUCTS
_BRANDS = (
    "NOVA",
    "Milo",
    "ALPA",
    "Bella",
    "ORO",
    "Zest",
    "KIWI",
    "Luna",
    "PURE",
    "Fizz",
    "TERRA",
    "Vita",
    "MOKA",
    "Sun",
    "RIVA",
    "Eco",
)


def _bright(rng: np.random.Generator) -> tuple[int, int, int]:
    # Groceries are mostly red, yellow, orange, green and blue; violet is rare. OpenCV counts hues to 180.
    tone = int(
        rng.choice(
            [0, 8, 15, 24, 28, 40, 58, 72, 98, 108, 115, 150],
            p=[0.14, 0.1, 0.1, 0.12, 0.08, 0.06, 0.1, 0.05, 0.07, 0.1, 0.05, 0.03],
        )
    )
    hue = np.array([[[tone, int(rng.integers(90, 225)), int(rng.integers(120, 250))]]], np.uint8)
    r, g, b = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return int(r), int(g), int(b)


def _text(image: Bytes, text: str, centre: tuple[int, int], width: int, colour: tuple[int, ...], bold: int) -> None:
    font = cv2.FONT_HERSHEY_DUPLEX
    (w, _), _ = cv2.getTextSize(text, font, 1.0, bold)
    scale = min(width / w, 2.2)
    (w, h), _ = cv2.getTextSize(text, font, scale, bold)
    cv2.putText(image, text, (centre[0] - w // 2, centre[1] + h // 2), font, scale, colour, bold, cv2.LINE_AA)


def product(rng: np.random.Generator) -> Bytes:
    """A package front: ground colour, band or disc, brand and small print, (128, 128, 4)."""
    image = np.full((SIZE, SIZE, 4), 255, np.uint8)
    ground, mark = _bright(rng), _bright(rng)
    image[:, :, :3] = ground if rng.random() < 0.7 else (235, 232, 225)
    kind = int(rng.integers(5))
    if kind == 0:
        top = int(rng.integers(20, 60))
        image[top : top + 45, :, :3] = mark
    elif kind == 1:
        cv2.circle(image, (64, int(rng.integers(45, 85))), int(rng.integers(26, 48)), (*mark, 255), -1, cv2.LINE_AA)
    elif kind == 2:
        cv2.fillPoly(image, [np.array([[0, 128], [0, 70], [128, 30], [128, 128]])], (*mark, 255))
    elif kind == 3:
        cv2.ellipse(image, (64, 64), (58, 26), 0, 0, 360, (*mark, 255), -1, cv2.LINE_AA)
    else:
        image[84:, :, :3] = mark
        cv2.circle(image, (64, 92), 24, (*_bright(rng), 255), -1, cv2.LINE_AA)
    ink = (250, 250, 245, 255) if rng.random() < 0.7 else (20, 20, 30, 255)
    _text(image, str(rng.choice(_BRANDS)), (64, int(rng.integers(30, 80))), 104, ink, 3)
    for row in range(int(rng.integers(1, 4))):
        cv2.line(image, (24, 104 + 7 * row), (int(rng.integers(60, 108)), 104 + 7 * row), ink, 2)
    image[[0, 1, -2, -1]] = image[[0, 1, -2, -1]] // 2
    image[:, [0, 1, -2, -1], :3] = image[:, [0, 1, -2, -1], :3] // 2
    return image


def sign(rng: np.random.Generator, text: str) -> Bytes:
    """A hanging sign, stretched to its board by the texture coordinates, (128, 128, 4)."""
    image = np.full((SIZE, SIZE, 4), 255, np.uint8)
    calm = [(22, 88, 58), (28, 56, 110), (60, 62, 66), (120, 44, 30)]
    loud = "SALE" in text or "FOR" in text or "NEW" in text
    image[:, :, :3] = (196, 32, 36) if loud else calm[int(rng.integers(len(calm)))]
    cv2.rectangle(image, (5, 5), (122, 122), (245, 245, 240, 255), 3)
    wide = np.full((SIZE, 4 * SIZE, 4), 0, np.uint8)
    wide[:] = cv2.resize(image, (4 * SIZE, SIZE))
    _text(wide, text, (256, 64), 400, (250, 250, 245, 255), 5)
    return np.asarray(cv2.resize(wide, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def print_on_shirt(rng: np.random.Generator, index: int) -> Bytes:
    """A motif with transparent ground for the front of a shirt, (128, 128, 4)."""
    image = np.zeros((SIZE, SIZE, 4), np.uint8)
    colour, other = (*_bright(rng), 255), (*_bright(rng), 255)
    kind = index % 6
    if kind == 0:
        cv2.circle(image, (64, 64), 50, colour, -1, cv2.LINE_AA)
        _text(image, str(rng.choice(_BRANDS)), (64, 64), 84, (250, 250, 250, 255), 4)
    elif kind == 1:
        _text(image, str(int(rng.integers(1, 99))), (64, 64), 92, colour, 9)
    elif kind == 2:
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 58, 24)
        star = np.stack([64 + radii * np.cos(angles), 64 + radii * np.sin(angles)], 1).astype(np.int32)
        cv2.fillPoly(image, [star], colour, cv2.LINE_AA)
    elif kind == 3:
        for i in range(5):
            cv2.line(image, (10 + 8 * i, 118), (70 + 10 * i, 12), colour if i % 2 else other, 9, cv2.LINE_AA)
    elif kind == 4:
        cv2.rectangle(image, (8, 16), (120, 112), colour, -1)
        cv2.circle(image, (46, 60), 24, other, -1, cv2.LINE_AA)
        cv2.fillPoly(image, [np.array([[30, 112], [84, 44], [120, 112]])], (30, 60, 60, 255))
    else:
        _text(image, str(rng.choice(_BRANDS)), (64, 42), 116, colour, 6)
        _text(image, str(rng.choice(_BRANDS)), (64, 88), 90, other, 5)
    return image


def product_atlas(seed: int) -> Bytes:
    """All product and sign layers, (PRODUCTS + len(SIGNS), 128, 128, 4)."""
    rng = np.random.default_rng([seed, 11])
    return np.stack([product(rng) for _ in range(PRODUCTS)] + [sign(rng, text) for text in SIGNS])


def print_atlas() -> Bytes:
    """All shirt motifs, (PRINT_COUNT, 128, 128, 4)."""
    rng = np.random.default_rng(7)
    return np.stack([print_on_shirt(rng, i) for i in range(PRINT_COUNT)])
