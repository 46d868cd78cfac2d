"""What do all cameras see at one moment?  One picture of tiles, at regular moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from ..types import Image
from .paint import empty_tile

SMALL_WH, LARGE_WH = (1280, 720), (1920, 1080)  # up to four cameras, and more
SMALL_CAMERAS = 4
GAP_PX = 4  # between tiles
BACKGROUND = 12  # grey level
HIGHEST_FPS = 60
TOLERANCE = 0.25  # of a tick: timestamps that are rounded to milliseconds fall a little behind the grid
STALE_SECONDS = 2.0  # a camera that has shown nothing for so long is no longer shown as if it did
STALE_FRAMES = 3  # unless it is that slow
NOT_YET, NO_LONGER = "no picture yet", "no picture"


@dataclass(frozen=True, slots=True)
class Tile:
    """Where one camera's picture lies in the mosaic, in pixels, and its size."""

    left: int
    top: int
    width: int
    height: int


def lay_out(sizes: Mapping[str, tuple[int, int]]) -> tuple[tuple[int, int], dict[str, Tile]]:
    """Place cameras in the grid that shows them largest.

    Args:
        sizes: (width, height) of every camera's pictures, in the order in which they are placed.

    Returns:
        ((width, height) of the mosaic, both even; a tile per camera, of the shape of its pictures).
    """
    count = len(sizes)
    room_w, room_h = SMALL_WH if count <= SMALL_CAMERAS else LARGE_WH
    aspect = float(np.median([width / height for width, height in sizes.values()]))
    cell_w, columns = max(
        (min(room_w / columns, room_h / -(-count // columns) * aspect), columns) for columns in range(1, count + 1))
    cell = int(cell_w) // 2 * 2, int(cell_w / aspect) // 2 * 2  # (width, height)
    tiles = {}
    for place, (camera, (width, height)) in enumerate(sizes.items()):
        scale = min((cell[0] - GAP_PX) / width, (cell[1] - GAP_PX) / height)
        tile_w, tile_h = max(1, round(width * scale)), max(1, round(height * scale))
        row, column = divmod(place, columns)
        tiles[camera] = Tile(
            column * cell[0] + (cell[0] - tile_w) // 2, row * cell[1] + (cell[1] - tile_h) // 2, tile_w, tile_h)
    return (columns * cell[0], -(-count // columns) * cell[1]), tiles


class Mosaic:
    """The picture of all cameras as time goes on: every camera's latest, or a dark tile.

    Moments come at the rate of the fastest camera, counted from the first picture of all. Where no camera shows
    anything for a while, the mosaic leaves that time out: a day between two recordings is not a day of darkness.

    Args:
        sizes: (width, height) of every camera's pictures, in the order in which they are placed.
        rates: pictures per second of every camera.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], rates: Mapping[str, float]) -> None:
        self.fps = min(Fraction(max(rates.values())).limit_denominator(1001), Fraction(HIGHEST_FPS))
        self.size_wh, self.tiles = lay_out(sizes)
        self._canvas = np.full((self.size_wh[1], self.size_wh[0], 3), BACKGROUND, np.uint8)
        self._stale_seconds = {camera: max(STALE_SECONDS, STALE_FRAMES / rate) for camera, rate in rates.items()}
        self._pause_seconds = max(self._stale_seconds.values())
        self._latest: dict[str, float] = {}  # cameras that are shown -> seconds of their picture
        self._newest_seconds = 0.0  # of any camera's picture
        self._begin_seconds: float | None = None
        self._ticks = 0  # since the beginning, or since time was left out
        for camera in sizes:
            self._darken(camera, NOT_YET)

    def until(self, seconds: float) -> Iterator[Image]:
        """The moments that are over before something new is shown.

        Args:
            seconds: UTC epoch seconds of the next picture of any camera.

        Yields:
            uint8 (H, W, 3) BGR of the mosaic's size, the same memory again and again.
        """
        if self._begin_seconds is None:
            self._begin_seconds = seconds
        while (moment := self._begin_seconds + float(self._ticks / self.fps)) + TOLERANCE / self.fps < seconds:
            self._darken_stale(moment)
            if moment - self._newest_seconds > self._pause_seconds:
                self._begin_seconds, self._ticks = seconds, 0
                return
            yield self._canvas
            self._ticks += 1

    def last(self) -> Iterator[Image]:
        """The moments up to the last picture that was shown."""
        if self._begin_seconds is not None:
            yield from self.until(self._newest_seconds + 1 / float(self.fps))

    def show(self, camera: str, image: Image, seconds: float) -> None:
        """Take a camera's new picture, uint8 (h, w, 3) BGR of its tile's size."""
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
    """A picture in the size of its tile, uint8 (h, w, 3) BGR, in memory of its own."""
    while image.shape[1] >= 2 * tile.width and image.shape[0] >= 2 * tile.height:
        # Exact halves, then less than half: as good as averaging over the area in one go, and ten times as fast.
        half_wh = image.shape[1] // 2, image.shape[0] // 2
        even = image[: 2 * half_wh[1], : 2 * half_wh[0]]
        image = np.asarray(cv2.resize(even, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
    resized = cv2.resize(image, (tile.width, tile.height), interpolation=cv2.INTER_LINEAR)
    return np.array(resized, np.uint8)  # even where nothing was left to do
