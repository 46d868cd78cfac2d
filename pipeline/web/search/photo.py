"""Decode an uploaded picture."""

from __future__ import annotations

from ...pictures.picture_file import PictureError, decode_picture
from ...types import Image
from ..access.requests import RequestError

LEAST_SIDE, WIDEST_PX = 16, 1920  # larger pictures are shrunk: people are found at 640 pixels anyway


def decode_photo(content: bytes) -> Image:
    """A picture as uint8 (H, W, 3) BGR, upright, at most WIDEST_PX wide and high.

    Raises:
        RequestError: it is no picture of a known format, damaged, too large, or too small.
    """
    try:
        return decode_picture(content, WIDEST_PX, LEAST_SIDE).image
    except PictureError as error:
        raise RequestError(str(error)) from error
