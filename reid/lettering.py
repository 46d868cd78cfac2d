"""Set lines of text in DejaVu Sans, the one font of all pictures and videos.

The font comes with matplotlib.  Pillow's own font knows Latin letters only; this one also knows Greek, Cyrillic, Arabic
and many more, and its digits share one width, so that a running clock does not tremble.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageFont

FONT_FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}  # by `bold`
ELLIPSIS = "…"


class Lettering:
    """One size and weight of type.

    Attributes:
        line_px: height of a line, from the top of the highest letter to the bottom of the lowest.

    Args:
        height_px: the size of the type in pixels.
        bold: bold instead of regular.
    """

    def __init__(self, height_px: int, bold: bool = False) -> None:
        self._font = _font(height_px, bold)
        self.line_px: int = sum(self._font.getmetrics())

    def width_px(self, text: str) -> float:
        """Width of a line of text."""
        return self._font.getlength(text)

    def shortened(self, text: str, width_px: float, keep: Literal["start", "end"] = "start") -> str:
        """The text, or as much of its start or end as fits into `width_px` together with an ellipsis."""
        if self.width_px(text) <= width_px:
            return text
        while text:
            text = text[:-1] if keep == "start" else text[1:]
            shortened = text + ELLIPSIS if keep == "start" else ELLIPSIS + text
            if self.width_px(shortened) <= width_px:
                return shortened
        return ELLIPSIS

    def draw(self, text: str, size_wh: tuple[int, int], left: int, top: int) -> NDArray[np.float32]:
        """Draw a line of text into an empty area; what does not fit is cut off.

        Args:
            text: one line.
            size_wh: (width, height) of the area in pixels.
            left, top: where the line begins, in pixels from the area's upper left corner.

        Returns:
            float32 (height, width, 1) in [0, 1], the opacity of the letters.
        """
        from PIL import Image, ImageDraw

        area = Image.new("L", size_wh)
        ImageDraw.Draw(area).text((left, top), text, fill=255, font=self._font)
        return np.asarray(area, np.float32)[..., None] / np.float32(255)  # (height, width, 1)


@lru_cache(maxsize=16)
def _font(height_px: int, bold: bool) -> "ImageFont.FreeTypeFont":
    import matplotlib  # here, as it is slow to import
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / FONT_FILES[bold]), height_px)
