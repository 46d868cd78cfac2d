"""Decode a picture file from elsewhere: checked before it is decoded, so that no small file becomes a huge picture."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps

from ..types import Image

FORMATS = ("JPEG", "PNG", "WEBP")  # no format that can run code or name other files, such as SVG
MOST_PIXELS = 40_000_000  # of a picture; phones take 12 to 48 million
REFUSED = "expected a JPEG, PNG or WebP picture: this file is none, or it is damaged"


class PictureError(ValueError):
    """The content is no picture of a known format, damaged, or too large; callers name the file or request."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture that may have been shrunk.

    Attributes:
        image: uint8 (H, W, 3) BGR, upright; white where it was transparent.
        width, height: pixels of the file's picture, upright.
    """

    image: Image
    width: int
    height: int


def decode_picture(content: bytes, longest_px: int, least_px: int = 1) -> DecodedPicture:
    """A picture file as a picture of at most `longest_px` in width and height.

    Args:
        content: of the file.
        longest_px: longer sides are shrunk to this.
        least_px: smaller pictures are refused.

    Raises:
        PictureError: see there.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Picture.DecompressionBombWarning)
            picture = Picture.open(io.BytesIO(content), formats=FORMATS)
            width, height = picture.size  # from the header; nothing is decoded yet
            if width * height > MOST_PIXELS:
                raise PictureError(
                    f"the picture has {width}x{height} pixels: at most {MOST_PIXELS // 10**6} million are taken")
            if min(width, height) < least_px:
                raise PictureError(f"the picture has {width}x{height} pixels: nothing can be seen in it")
            picture.draft("RGB", (longest_px, longest_px))  # JPEG decodes to a smaller size at once
            upright = ImageOps.exif_transpose(picture)
            if (upright.width > upright.height) != (width > height):
                width, height = height, width
            upright.thumbnail((longest_px, longest_px))
            rgb = np.asarray(_on_white(upright), np.uint8)
    except PictureError:
        raise
    # Pillow's readers raise all of these on damaged files; once imported, ultralytics makes them ask for a package.
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, ModuleNotFoundError,
            Picture.DecompressionBombError, Picture.DecompressionBombWarning) as error:
        raise PictureError(REFUSED) from error
    return DecodedPicture(np.ascontiguousarray(rgb[:, :, ::-1]), width, height)


def _on_white(picture: Picture.Image) -> Picture.Image:
    """Without transparency: black lines on nothing would become black lines on black."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    shown = picture.convert("RGBA")
    return Picture.alpha_composite(Picture.new("RGBA", shown.size, "white"), shown).convert("RGB")
