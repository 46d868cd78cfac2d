"""A white sheet that crops and text are placed on: the canvas of ranked pages and evidence maps."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..lettering import Lettering

Colour = tuple[int, int, int]  # BGR
PAPER: Colour = (255, 255, 255)
INK: Colour = (40, 32, 28)
FAINT: Colour = (130, 122, 116)
LINE_SHARE = 1.4  # height of a line over the size of its type: room for descenders


class Sheet:
    """A white sheet; everything is placed by its upper left corner, in pixels.

    Attributes:
        pixels: uint8 (H, W, 3) BGR, the sheet as drawn so far.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self.pixels: NDArray[np.uint8] = np.full((height_px, width_px, 3), PAPER, np.uint8)

    def paste(self, image: NDArray[np.uint8], left: int, top: int, width_px: int, height_px: int) -> None:
        """Paste an image, uint8 (h, w, 3) BGR, resized to `width_px` by `height_px`; it must fit on the sheet."""
        shrinks = image.shape[1] > width_px
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        self.pixels[top : top + height_px, left : left + width_px] = cv2.resize(
            image, (width_px, height_px), interpolation=method
        )

    def fill(self, left: int, top: int, width_px: int, height_px: int, colour: Colour) -> None:
        """Fill a rectangle."""
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
        """Write one line of text; what does not fit on the sheet is cut off.

        Args:
            text: one line.
            left, top: the upper left corner of the line; `centred` takes `left` as its middle.
            height_px: size of the type.
            colour: BGR.
            bold: bold instead of regular.
            centred: centre the line on `left`.
            width_px: a longer text loses its start, because file names differ at their end.

        Returns:
            Where the line ends, in pixels from the left.
        """
        lettering = Lettering(height_px, bold)
        if width_px is not None:
            text = lettering.shortened(text, width_px, keep="end")
        width = int(lettering.width_px(text)) + 2
        letters = lettering.draw(text, (width, round(LINE_SHARE * height_px)), 1, 0)  # (h, w, 1)
        left = max(left - width // 2, 0) if centred else left
        area = self.pixels[top : top + letters.shape[0], left : left + width]
        letters = letters[: area.shape[0], : area.shape[1]]
        area[:] = (area * (1 - letters) + np.array(colour) * letters).round().astype(np.uint8)
        return left + width
