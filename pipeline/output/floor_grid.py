"""Draw the floor grid of a homography into a frame, so that a person sees whether it is right."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Image
from .video.label import DARK, draw_label

Floats = NDArray[np.floating]

MOST_LINES = 40  # each way; the grid becomes coarser on a large floor
STEPS_METRES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
POINTS = 200  # per line; straight lines stay straight, but parts behind the camera must not be drawn
SAMPLES = 40  # pixels along each side of the frame whose floor positions show how far the floor goes
FARTHEST_METRES = 1000.0
FAR_SHARE = 0.15  # of the picture: the floor near the horizon is no help, and is a large part of the metres
LEAST_SPACING_PX = 6  # between two lines; where they are nearer, far away, only a carpet of lines would be seen
TEXT_SHARE, SMALLEST_TEXT_PX = 1 / 70, 12  # size of the type over the picture's height
GAP_PX = 3  # between a line and its number, and between two numbers
SHIFT = 4  # bits of a pixel's fraction, for lines that do not stand between pixels
COLOUR_BGR, AXIS_BGR = (230, 190, 60), (60, 60, 230)
TEXT_COLOUR, AXIS_COLOUR, TEXT_OPACITY = "#ffffff", "#c02020", 0.75


def draw_floor_grid(image: Image, homography: Floats, far_share: float = FAR_SHARE) -> Image:
    """A copy of the frame with the lines of whole metres on the floor, x = 0 and y = 0 in red, and metres as numbers.

    Args:
        image: uint8 (H, W, 3) BGR.
        homography: float64 (3, 3), from pixels to metres.
        far_share: of the picture, at each end of x and of y, without lines; 0 for a plan, which has no horizon.
    """
    drawn = image.copy()
    height, width = image.shape[:2]
    low, high = _seen_floor(width, height, homography, far_share)  # (2,), (2,) metres
    step = next((one for one in STEPS_METRES if ((high - low) / one).max() <= MOST_LINES), STEPS_METRES[-1])
    back = np.linalg.inv(homography)
    side = np.sign(_project(np.array([[width / 2, height - 1]]), homography)[1][0])  # w of points on the floor
    labels: list[tuple[float, str, tuple[int, int]]] = []
    for axis in (0, 1):
        for metres in np.arange(np.ceil(low[axis] / step), high[axis] / step + 1e-9) * step:
            along = np.linspace(low[1 - axis], high[1 - axis], POINTS)
            line = np.empty((3, POINTS, 2))  # the one before, this one and the next one
            line[..., axis], line[..., 1 - axis] = metres + step * np.array([[-1], [0], [1]]), along
            pixels, scale = (one.reshape(3, POINTS, -1) for one in _project(line.reshape(-1, 2), back))
            with np.errstate(invalid="ignore"):
                spacing = np.linalg.norm(pixels[::2] - pixels[1], axis=2).min(0)  # (POINTS,)
            # A floor point lies in front of the camera if its pixel maps back with the sign of the frame's bottom.
            visible = np.isfinite(pixels[1]).all(1) & (np.sign(1 / scale[1, :, 0]) == side)
            visible &= (spacing >= LEAST_SPACING_PX) | (metres == 0)
            _draw_line(drawn, pixels[1], visible, AXIS_BGR if metres == 0 else COLOUR_BGR, 2 if metres == 0 else 1)
            place = _lowest(pixels[1][visible], width, height)
            if place is not None:
                labels.append((float(metres), f"{'xy'[axis]} {metres + 0.0:g}", place))  # not -0
    _write(drawn, labels)
    return drawn


def _seen_floor(width: int, height: int, homography: Floats, far_share: float) -> tuple[Floats, Floats]:
    """Lowest and highest floor position in the frame, as far as it lies below the horizon."""
    x, y = np.meshgrid(np.linspace(0, width - 1, SAMPLES), np.linspace(0, height - 1, SAMPLES))
    pixels = np.column_stack([x.ravel(), y.ravel()])
    metres, scale = _project(pixels, homography)
    bottom = np.sign(_project(np.array([[width / 2, height - 1]]), homography)[1][0])
    centre = _project(np.array([[width / 2, height - 1]]), homography)[0][0]
    near = (np.sign(scale) == bottom) & (np.abs(metres - centre).max(1) < FARTHEST_METRES)
    seen = metres[near] if near.any() else centre[None]
    return np.quantile(seen, far_share, axis=0), np.quantile(seen, 1 - far_share, axis=0)


def _project(points: Floats, homography: Floats) -> tuple[Floats, Floats]:
    """Points (N, 2) by a homography: (N, 2), and the third coordinate (N,), whose sign tells front from back."""
    projected = np.column_stack([points, np.ones(len(points))]) @ homography.T  # (N, 3)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return projected[:, :2] / projected[:, 2:], projected[:, 2]


def _draw_line(
    image: Image, pixels: Floats, visible: NDArray[np.bool_], colour: tuple[int, int, int], width_px: int
) -> None:
    fine = (np.clip(np.nan_to_num(pixels), -1e4, 1e4) * 2**SHIFT).round().astype(np.int32)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], visible, [False]])))
    pieces = [fine[[first, end - 1]] for first, end in zip(ends[::2], ends[1::2], strict=True)]
    cv2.polylines(image, pieces, False, colour, width_px, cv2.LINE_AA, SHIFT)


def _lowest(pixels: Floats, width: int, height: int) -> tuple[int, int] | None:
    """Where a line is lowest in the frame: near the camera, where the metres are large. None outside of the frame."""
    inside = pixels[(pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)]
    if not len(inside):
        return None
    x, y = inside[inside[:, 1].argmax()].astype(int).tolist()
    return x, y


def _write(image: Image, labels: list[tuple[float, str, tuple[int, int]]]) -> None:
    """Write (metres, text, place) beside their lines, those of the axes first; what would cover another is left out."""
    height, width = image.shape[:2]
    text_px = max(SMALLEST_TEXT_PX, round(TEXT_SHARE * height))
    taken: list[tuple[int, int, int, int]] = []
    for metres, text, (x, y) in sorted(labels, key=lambda one: abs(one[0])):
        label = draw_label(text, text_px, TEXT_COLOUR, DARK if metres else AXIS_COLOUR, TEXT_OPACITY)
        wide, high = label.size_wh
        left, top = min(x + GAP_PX, width - wide), min(max(y - high - GAP_PX, 0), height - high)
        if any(left < x2 + GAP_PX and x1 < left + wide + GAP_PX and top < y2 + GAP_PX and y1 < top + high + GAP_PX
               for x1, y1, x2, y2 in taken):
            continue
        taken.append((left, top, left + wide, top + high))
        label.blend(image, left, top)
