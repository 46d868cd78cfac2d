"""Draw the floor grid of a homography into a frame, so that a person sees whether it is right."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Image

Floats = NDArray[np.floating]

MOST_LINES = 40  # each way; the grid becomes coarser on a large floor
STEPS_METRES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
POINTS = 200  # per line; straight lines stay straight, but parts behind the camera must not be drawn
SAMPLES = 40  # pixels along each side of the frame whose floor positions show how far the floor goes
FARTHEST_METRES = 1000.0
FAR_SHARE = 0.15  # of the picture: the floor near the horizon is no help, and is a large part of the metres
COLOUR_BGR, AXIS_BGR, TEXT_BGR = (230, 190, 60), (60, 60, 230), (255, 255, 255)


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
    for axis in (0, 1):
        for metres in np.arange(np.ceil(low[axis] / step), high[axis] / step + 1e-9) * step:
            along = np.linspace(low[1 - axis], high[1 - axis], POINTS)
            line = np.empty((POINTS, 2))
            line[:, axis], line[:, 1 - axis] = metres, along
            pixels, scale = _project(line, back)
            # A floor point lies in front of the camera if its pixel maps back with the sign of the frame's bottom.
            visible = np.isfinite(pixels).all(1) & (np.sign(1 / scale) == side)
            _draw_line(drawn, pixels, visible, AXIS_BGR if metres == 0 else COLOUR_BGR, 2 if metres == 0 else 1)
            _label(drawn, pixels[visible], f"{'xy'[axis]} {metres + 0.0:g}")  # not -0
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
    whole = np.clip(np.nan_to_num(pixels), -1e4, 1e4).round().astype(np.int32)
    for place in np.flatnonzero(visible[:-1] & visible[1:]).tolist():
        cv2.line(image, whole[place].tolist(), whole[place + 1].tolist(), colour, width_px, cv2.LINE_AA)


def _label(image: Image, pixels: Floats, text: str) -> None:
    """Write a number where its line is in the frame, as low as possible: near the camera, where it is large."""
    height, width = image.shape[:2]
    inside = pixels[(pixels >= 0).all(1) & (pixels[:, 0] < width - 40) & (pixels[:, 1] < height - 4)]
    if len(inside):
        x, y = inside[inside[:, 1].argmax()].astype(int).tolist()
        for colour, thickness in (((0, 0, 0), 3), (TEXT_BGR, 1)):
            cv2.putText(
                image, text, (x + 3, max(y - 3, 12)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, thickness, cv2.LINE_AA
            )
