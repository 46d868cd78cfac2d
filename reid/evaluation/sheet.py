"""How do crops and words come onto one picture?  A sheet of paper that is pasted and written on."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageFont

Colour = tuple[int, int, int]  # BGR
PAPER: Colour = (255, 255, 255)
INK: Colour = (40, 32, 28)
FAINT: Colour = (130, 122, 116)


class Sheet:
    """A white sheet; everything is placed by its upper left corner, in pixels."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.pixels: NDArray[np.uint8] = np.full((height_px, width_px, 3), PAPER, np.uint8)  # (H, W, 3) BGR

    def paste(self, image: NDArray[np.uint8], left: int, top: int, width_px: int, height_px: int) -> None:
        """Resize a picture, uint8 (h, w, 3) BGR, and put it down; it must fit on the sheet."""
        shrinks = image.shape[1] > width_px
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        self.pixels[top : top + height_px, left : left + width_px] = cv2.resize(
            image, (width_px, height_px), interpolation=method
        )

    def fill(self, left: int, top: int, width_px: int, height_px: int, colour: Colour) -> None:
        """A filled box."""
        self.pixels[top : top + height_px, left : left + width_px] = colour

    def write(
        self,
        text: str,
        left: int,
        top: int,
        height_px: int,
        colour: Colour = INK,
        bold: bool = False,
        centred: bool = False,
        width_px: int | None = None,
    ) -> int:
        """One line of text; `centred` takes `left` as its middle, and longer than `width_px` it loses its beginning.

        What does not fit on the sheet is cut off.

        Returns:
            Where the line ends, in pixels from the left.
        """
        from PIL import Image, ImageDraw

        font = _font(height_px, bold)
        while width_px is not None and font.getlength(text) > width_px and len(text) > 1:
            text = "…" + text.removeprefix("…")[1:]
        width = int(font.getlength(text)) + 2
        line = Image.new("L", (width, round(1.4 * height_px)))
        ImageDraw.Draw(line).text((1, 0), text, fill=255, font=font)
        left = max(left - width // 2, 0) if centred else left
        area = self.pixels[top : top + line.height, left : left + line.width]
        ink = np.asarray(line, np.float32)[: area.shape[0], : area.shape[1], None] / 255  # (h, w, 1)
        area[:] = (area * (1 - ink) + np.array(colour) * ink).round().astype(np.uint8)
        return left + width


@lru_cache(maxsize=16)
def _font(height_px: int, bold: bool) -> "ImageFont.FreeTypeFont":
    import matplotlib  # it brings a font that knows most alphabets
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), height_px)
