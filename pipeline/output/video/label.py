"""Labels: text on a rounded background, drawn once and blended into many frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from ....reid.lettering import Lettering
from ...types import Image

DARK = "#101418"
PAD_SHARE, SMALLEST_PAD_PX = 0.35, 3  # space before and after the text, as a share of its height


@dataclass(frozen=True, slots=True)
class Label:
    """A drawn text.

    Attributes:
        paint: uint16 (h, w, 3) BGR, already multiplied by its opacity.
        clear: uint16 (h, w, 1) in [0, 255], how much of the frame stays visible.
    """

    paint: NDArray[np.uint16]
    clear: NDArray[np.uint16]

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        height, width = self.paint.shape[:2]
        return width, height

    def blend(self, image: Image, left: int, top: int) -> None:
        """Blend the label into a frame, uint8 (H, W, 3) BGR, in place; what lies outside the frame is cut off."""
        height, width = image.shape[:2]
        x1, y1 = max(left, 0), max(top, 0)
        x2, y2 = min(left + self.paint.shape[1], width), min(top + self.paint.shape[0], height)
        if x1 >= x2 or y1 >= y2:
            return
        own = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        area = image[y1:y2, x1:x2]
        area[:] = ((area * self.clear[own] + self.paint[own]) // 255).astype(np.uint8)


def draw_label(
    text: str,
    height_px: int,
    colour: str,
    background: str = DARK,
    opacity: float = 1.0,
    bold: bool = True,
    round_corners: bool = True,
) -> Label:
    """Draw a label.

    Args:
        text: one line.
        height_px: size of the type; the label is a little larger.
        colour, background: `#rrggbb`.
        opacity: of the background, in [0, 1].
        bold: bold instead of regular type.
        round_corners: rounded instead of square corners.
    """
    lettering, pad = Lettering(height_px, bold), _pad_px(height_px)
    size_wh = round(lettering.width_px(text)) + 2 * pad, lettering.line_px + 2
    letters = lettering.draw(text, size_wh, pad, 1)  # (h, w, 1)
    shape = PillowImage.new("L", size_wh)
    radius = height_px // 4 if round_corners else 0
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, size_wh[0] - 1, size_wh[1] - 1), radius, fill=255)
    under = np.asarray(shape, np.float32)[..., None] / 255 * opacity * (1 - letters)  # (h, w, 1)
    paint = 255 * (letters * _bgr(colour) + under * _bgr(background))  # (h, w, 3)
    clear = 255 * (1 - letters - under)  # (h, w, 1)
    return Label(paint.round().astype(np.uint16), clear.round().astype(np.uint16))


def shorten(text: str, height_px: int, width_px: int) -> str:
    """The text, or its start and an ellipsis, such that its label is at most `width_px` wide."""
    return Lettering(height_px, bold=True).shortened(text, width_px - 2 * _pad_px(height_px))


def _pad_px(height_px: int) -> int:
    return max(SMALLEST_PAD_PX, round(PAD_SHARE * height_px))


def _bgr(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` → BGR, 0 to 255."""
    bgr: tuple[int, int, int] = sv.Color.from_hex(colour).as_bgr()
    return bgr
