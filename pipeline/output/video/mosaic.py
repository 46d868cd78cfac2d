"""Combine all cameras into one video: a grid of tiles, sampled at regular times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from ...types import Image
from .paint import empty_tile

SMALL_WH, LARGE_WH = (1280, 720), (1920, 1080)  # for up to SMALL_CAMERAS, and for more
SMALL_CAMERAS = 4
GAP_PX = 4  # between tiles
BACKGROUND = 12  # grey level
HIGHEST_FPS = 60
TOLERANCE = 0.25  # ticks: timestamps rounded to milliseconds may be a little later than the grid's
STALE_SECONDS = 2.0  # a camera without a new frame for this long goes dark
STALE_FRAMES = 3  # frame intervals, for cameras so slow that these take longer
NOT_YET, NO_LONGER = "no picture yet", "no picture"


@dataclass(frozen=True, slots=True)
class Tile:
    """Position and size of one camera in the mosaic, in pixels."""

    left: int
    top: int
    width: int
    height: int


def lay_out(sizes: Mapping[str, tuple[int, int]]) -> tuple[tuple[int, int], dict[str, Tile]]:
    """Place the cameras in the grid in which they are largest.

    Args:
        sizes: (width, height) of every camera's frames, in the order in which cameras are placed.

    Returns:
        (width, height) of the mosaic, both even, and a tile per camera with the aspect ratio of its frames.
    """
    count = len(sizes)
    room_w, room_h = SMALL_WH if count <= SMALL_CAMERAS else LARGE_WH
    aspect = float(np.median([width / height for width, height in sizes.values()]))
    cell_w, columns = max(
        (min(room_w / columns, room_h / -(-count // columns) * aspect), columns) for columns in range(1, count + 1))
    cell = int(cell_w) // 2 * 2, int(cell_w / aspect) // 2 * 2  # (width, height)
    tiles = {}
    for index, (camera, (width, height)) in enumerate(sizes.items()):
        scale = min((cell[0] - GAP_PX) / width, (cell[1] - GAP_PX) / height)
        tile_w, tile_h = max(1, round(width * scale)), max(1, round(height * scale))
        row, column = divmod(index, columns)
        tiles[camera] = Tile(
            column * cell[0] + (cell[0] - tile_w) // 2, row * cell[1] + (cell[1] - tile_h) // 2, tile_w, tile_h)
    return (columns * cell[0], -(-count // columns) * cell[1]), tiles


class Mosaic:
    """The current frame of every camera, or a dark tile, side by side.

    The mosaic's frames come at the rate of the fastest camera, counted from the very first frame.  Pauses of all
    cameras are skipped: a day between two recordings does not become a day of dark tiles.

    Args:
        sizes: (width, height) of every camera's frames, in the order in which cameras are placed.
        rates: frames per second of every camera.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], rates: Mapping[str, float]) -> None:
        self.fps = min(Fraction(max(rates.values())).limit_denominator(1001), Fraction(HIGHEST_FPS))
        self.size_wh, self.tiles = lay_out(sizes)
        self._canvas = np.full((self.size_wh[1], self.size_wh[0], 3), BACKGROUND, np.uint8)
        self._stale_seconds = {camera: max(STALE_SECONDS, STALE_FRAMES / rate) for camera, rate in rates.items()}
        self._pause_seconds = max(self._stale_seconds.values())
        self._latest: dict[str, float] = {}  # cameras on show → seconds of their frame
        self._newest_seconds = 0.0  # of any camera's frame
        self._begin_seconds: float | None = None
        self._ticks = 0  # since the start, or since the last pause that was skipped
        for camera in sizes:
            self._darken(camera, NOT_YET)

    def until(self, seconds: float) -> Iterator[Image]:
        """The mosaic's frames up to the next frame of any camera.

        Args:
            seconds: UTC epoch seconds of the next frame of any camera.

        Yields:
            uint8 (H, W, 3) BGR of the mosaic's size; the memory is reused.
        """
        if self._begin_seconds is None:
            self._begin_seconds = seconds
        while (now := self._begin_seconds + float(self._ticks / self.fps)) + TOLERANCE / self.fps < seconds:
            self._darken_stale(now)
            if now - self._newest_seconds > self._pause_seconds:
                self._begin_seconds, self._ticks = seconds, 0
                return
            yield self._canvas
            self._ticks += 1

    def last(self) -> Iterator[Image]:
        """The mosaic's frames up to the last frame of any camera."""
        if self._begin_seconds is not None:
            yield from self.until(self._newest_seconds + 1 / float(self.fps))

    def show(self, camera: str, image: Image, seconds: float) -> None:
        """Put a camera's new frame, uint8 (h, w, 3) BGR of its tile's size, into the mosaic."""
        self._put(camera, image)
        self._latest[camera] = self._newest_seconds = seconds

    def _darken_stale(self, seconds: float) -> None:
        for camera, shown in list(self._latest.items()):
            if seconds - shown > self._stale_seconds[camera]:
                self._darken(camera, NO_LONGER)
                del self._latest[camera]

    def _darken(self, camera: str, note: str) -> None:
        tile = self.tiles[camera]
        self._put(camera, empty_tile(camera, (tile.width, tile.height), note))

    def _put(self, camera: str, image: Image) -> None:
        tile = self.tiles[camera]
        self._canvas[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = image


def shrunk(image: Image, tile: Tile) -> Image:
    """Resize a frame, uint8 (H, W, 3) BGR, to its tile → uint8 (h, w, 3) BGR, a copy."""
    while image.shape[1] >= 2 * tile.width and image.shape[0] >= 2 * tile.height:
        # Halving exactly, then resizing the rest: as good as area interpolation in one step, and ten times as fast.
        half_wh = image.shape[1] // 2, image.shape[0] // 2
        even = image[: 2 * half_wh[1], : 2 * half_wh[0]]
        image = np.asarray(cv2.resize(even, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
    resized = cv2.resize(image, (tile.width, tile.height), interpolation=cv2.INTER_LINEAR)
    return np.array(resized, np.uint8)  # cv2 returns its input where the size is right already
