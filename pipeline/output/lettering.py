"""How does text get into a picture?  As small patches with soft edges, drawn once and blended in many times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from ..types import Image
from .palette import rgb

REGULAR, BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"  # digits of one width: a clock does not tremble
DARK = "#101418"


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece of text on a rounded background.

    Attributes:
        paint: uint16 (h, w, 3) BGR, already multiplied by its opacity.
        clear: uint16 (h, w, 1) in [0, 255], how much of the picture stays visible.
    """

    paint: NDArray[np.uint16]
    clear: NDArray[np.uint16]

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        height, width = self.paint.shape[:2]
        return width, height

    def blend(self, image: Image, left: int, top: int) -> None:
        """Put it into a picture, in place; what lies outside the picture is left out."""
        height, width = image.shape[:2]
        x1, y1 = max(left, 0), max(top, 0)
        x2, y2 = min(left + self.paint.shape[1], width), min(top + self.paint.shape[0], height)
        if x1 >= x2 or y1 >= y2:
            return
        own = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        area = image[y1:y2, x1:x2]
        area[:] = ((area * self.clear[own] + self.paint[own]) // 255).astype(np.uint8)


class Lettering:
    """One size of type.

    Args:
        height_px: of a line of text, without the space around it.
    """

    def __init__(self, height_px: int) -> None:
        import matplotlib  # supervision needs it too; it brings a font that knows most alphabets

        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.height_px = height_px
        self._fonts = {name: ImageFont.truetype(str(fonts / name), height_px) for name in (REGULAR, BOLD)}
        ascent, descent = self._fonts[BOLD].getmetrics()
        self._pad = max(3, round(0.35 * height_px))
        self._line_px = ascent + descent

    def patch(
        self, text: str, colour: str, background: str = DARK, opacity: float = 1.0, font: str = BOLD,
        round_corners: bool = True,
    ) -> Patch:
        """Draw a text.

        Args:
            colour, background: `#rrggbb`.
            opacity: of the background, in [0, 1].
            font: REGULAR or BOLD.
        """
        width = round(self._fonts[font].getlength(text)) + 2 * self._pad
        height = self._line_px + 2
        ground = PillowImage.new("L", (width, height))
        radius = self.height_px // 4 if round_corners else 0
        ImageDraw.Draw(ground).rounded_rectangle((0, 0, width - 1, height - 1), radius, fill=255)
        letters = PillowImage.new("L", (width, height))
        ImageDraw.Draw(letters).text((self._pad, 1), text, fill=255, font=self._fonts[font])
        ink = np.asarray(letters, np.float32)[..., None] / 255  # (h, w, 1)
        under = np.asarray(ground, np.float32)[..., None] / 255 * opacity * (1 - ink)  # (h, w, 1)
        paint = 255 * (ink * rgb(colour)[::-1] + under * rgb(background)[::-1])  # (h, w, 3)
        clear = 255 * (1 - ink - under)  # (h, w, 1)
        return Patch(paint.round().astype(np.uint16), clear.round().astype(np.uint16))

    def shortened(self, text: str, width_px: int) -> str:
        """The text, or its beginning and an ellipsis, so that its patch is at most so wide."""
        font, room = self._fonts[BOLD], width_px - 2 * self._pad
        if font.getlength(text) <= room:
            return text
        while text and font.getlength(text + "…") > room:
            text = text[:-1]
        return text + "…"
