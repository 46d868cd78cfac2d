"""Decoded frames as images, upright and in BGR, and their luma alone."""

from __future__ import annotations

from functools import cache
from typing import cast

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter

from ...types import Image
from ..quiet import GreyPlane, grey_of, grey_plane

FULL_COLOUR = ("yuv444p", "yuvj444p")  # 8 bits, with the colour of every pixel
BT601 = (0.299, 0.114)
# What red and blue contribute to luma, by matrix coefficients in ITU-T H.273; 2 is unspecified.
RED_BLUE = {1: (0.2126, 0.0722), 2: BT601, 5: BT601, 6: BT601}
FULL_RANGE_FORMATS = ("yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p")
BLACK, WHITE = 16, 235  # luma of limited range
QUARTER_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels after the rotation that the frame's metadata asks for."""
    if frame.rotation % 180 == 90:
        return frame.height, frame.width
    return frame.width, frame.height


def bgr_image(frame: VideoFrame, reformatter: VideoReformatter) -> Image:
    """Convert a decoded frame to uint8 (H, W, 3) BGR, contiguous and upright; it shares no memory with the decoder.

    Args:
        frame: as decoded.
        reformatter: reused by the caller for every frame, because setting up a conversion is slow.
    """
    direct = frame.format.name in FULL_COLOUR and frame.colorspace in RED_BLUE
    image = _from_full_colour(frame) if direct else _by_libswscale(frame, reformatter)
    turn = QUARTER_TURNS.get(frame.rotation % 360)
    return np.ascontiguousarray(image if turn is None else cv2.rotate(image, turn), np.uint8)


def small_grey(frame: VideoFrame, reformatter: VideoReformatter) -> tuple[GreyPlane, float]:
    """A decoded frame made small as by `grey_plane`, not turned upright; it shares no memory with the decoder.

    Most formats hold the luma as a plane of its own; then nothing is converted.

    Returns:
        The plane, and how many grey levels from 0 to 255 one of its levels is.
    """
    if not _begins_with_luma(frame.format.name):
        return grey_plane(grey_of(_by_libswscale(frame, reformatter))), 1.0
    return grey_plane(first_plane(frame)), 1.0 if _is_full_range(frame) else 255 / (WHITE - BLACK)


def first_plane(frame: VideoFrame) -> GreyPlane:
    """The first bytes of every row, uint8 (H, W), in the decoder's memory: the luma, if it has a plane of its own."""
    return _pixels(frame.planes[0])


@cache
def _begins_with_luma(name: str) -> bool:
    """Whether the first plane of a format holds the luma and nothing else, in 8 bits."""
    pixels = VideoFormat(name)
    first = pixels.components[0]
    return pixels.is_planar and first.is_luma and first.plane == 0 and first.bits == 8


def _is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name in FULL_RANGE_FORMATS


def _pixels(plane: VideoPlane) -> GreyPlane:
    """The bytes of a plane, uint8 (H, W), in the decoder's memory."""
    content = np.frombuffer(cast("memoryview[int]", plane), np.uint8)  # PyAV does not declare that it is a buffer
    return content.reshape(plane.height, plane.line_size)[:, : plane.width]


def _by_libswscale(frame: VideoFrame, reformatter: VideoReformatter) -> Image:
    return np.asarray(reformatter.reformat(frame, format="bgr24", threads=1).to_ndarray(), np.uint8)


def _from_full_colour(frame: VideoFrame) -> Image:
    """A frame of YUV 4:4:4 as BGR (H, W, 3), within one grey level of libswscale, which takes six times as long."""
    planes = [_pixels(plane) for plane in frame.planes]
    black, luma, chroma = (0, 1.0, 1.0) if _is_full_range(frame) else (BLACK, 255 / (WHITE - BLACK), 255 / 224)
    red, blue = RED_BLUE[frame.colorspace]
    green = 1 - red - blue
    from_u, from_v = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
    rows = np.array([[luma, from_u, 0], [luma, -blue / green * from_u, -red / green * from_v], [luma, 0, from_v]])
    offset = -rows @ [black, 128, 128]  # (3,)
    image = np.asarray(cv2.merge(planes), np.uint8)  # (H, W, 3)
    cv2.transform(image, np.column_stack([rows, offset]).astype(np.float32), dst=image)
    return image
