"""Decode an uploaded picture: checked before it is decoded, so that no small file becomes a huge picture."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps

from ...types import Image
from ..access.requests import RequestError

FORMATS = ("JPEG", "PNG", "WEBP")  # no format that can run code or name other files, such as SVG
MOST_PIXELS = 40_000_000  # of a picture; phones take 12 to 48 million
LEAST_SIDE, WIDEST_PX = 16, 1920  # larger pictures are shrunk: people are found at 640 pixels anyway
REFUSED = "expected a JPEG, PNG or WebP picture: this file is none, or it is damaged"


def decode_photo(content: bytes) -> Image:
    """A picture as uint8 (H, W, 3) BGR, upright, at most WIDEST_PX wide and high.

    Raises:
        RequestError: it is no picture of a known format, damaged, too large, or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Picture.DecompressionBombWarning)
            picture = Picture.open(io.BytesIO(content), formats=FORMATS)
            width, height = picture.size  # from the header; nothing is decoded yet
            if width * height > MOST_PIXELS:
                raise RequestError(
                    f"the picture has {width}x{height} pixels: at most {MOST_PIXELS // 10**6} million are taken")
            if min(width, height) < LEAST_SIDE:
                raise RequestError(f"the picture has {width}x{height} pixels: nobody can be seen in it")
            picture.draft("RGB", (WIDEST_PX, WIDEST_PX))  # JPEG decodes to a smaller size at once
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((WIDEST_PX, WIDEST_PX))
            rgb = np.asarray(upright.convert("RGB"), np.uint8)
    except RequestError:
        raise
    # Pillow's readers raise all of these on damaged files; once imported, ultralytics makes them ask for a package.
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, ModuleNotFoundError,
            Picture.DecompressionBombError, Picture.DecompressionBombWarning) as error:
        raise RequestError(REFUSED) from error
    return np.ascontiguousarray(rgb[:, :, ::-1])
