"""Draw people's boxes, identities and paths, the camera's name and the time into a frame."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from ...pictures.palette import NOBODY_COLOUR, PALETTE, colour_indexes, text_colour
from ...types import Image
from .label import Label, draw_label, shorten

TRACE_SECONDS = 3.0
ROUNDNESS = 0.3  # of a box's corners
SMALLEST_TEXT_PX = 13  # the smallest that is readable in a video
TEXT_SHARE = 1 / 34  # size of the type over the frame's height
LINE_SHARE = 1 / 300  # width of lines over the frame's height
TICK_SECONDS = 0.001  # times are sums of floats: 0.3 may be stored as slightly less
BADGE_OPACITY = 0.6
NAME_PARTS = 4  # the label of a person is at most this part of the frame's width
WHITE = "#ffffff"

XYXY = tuple[int, int, int, int]


class Painter:
    """Draws one camera's people, frame by frame in time order, and remembers their paths.

    Args:
        camera: the camera's name.
        size_wh: (width, height) of the frames in pixels.
        rate: frames per second.
        names: of identities that have one.
    """

    def __init__(
        self, camera: str, size_wh: tuple[int, int], rate: float, names: Mapping[int, str] | None = None
    ) -> None:
        self._size_wh, self._names = size_wh, names or {}
        self._text_px = _text_px(size_wh)
        self._name = draw_label(
            shorten(camera, self._text_px, size_wh[0] // 2), self._text_px, WHITE, opacity=BADGE_OPACITY,
            round_corners=False)
        self._clock = lru_cache(2)(self._draw_clock)
        self._label = lru_cache(256)(self._draw_identity)
        self._thickness = max(2, round(size_wh[1] * LINE_SHARE))
        palette = sv.ColorPalette.from_hex(list(PALETTE))
        self._trace = sv.TraceAnnotator(
            palette, sv.Position.BOTTOM_CENTER, max(2, round(TRACE_SECONDS * rate)), self._thickness)
        self._box = sv.RoundBoxAnnotator(palette, self._thickness, roundness=ROUNDNESS)
        self._thin_box = sv.RoundBoxAnnotator(palette, 1, roundness=ROUNDNESS)

    def paint(self, image: Image, people: sv.Detections, seconds: float) -> None:
        """Draw into a frame, in place.

        Args:
            image: uint8 (H, W, 3) BGR of the painter's size.
            people: xyxy in pixels of this frame, tracker_id, as class_id the identity, 0 for none, and confidence; with
                confidence 0, a box is interpolated and gets a thin line.
            seconds: UTC epoch seconds of the frame.
        """
        order = np.argsort(people.xyxy[:, 3], kind="stable")  # nearer people are drawn over people behind them
        people = people[order]  # a copy, so that the caller's boxes stay as they are
        identities = np.asarray(people.class_id, np.int64)  # (N,)
        colours = colour_indexes(identities)  # (N,)
        self._trace.annotate(image, people, custom_color_lookup=colours)  # annotators draw in place
        people.xyxy = self._inside(people.xyxy)
        detected = np.asarray(people.confidence) > 0  # (N,)
        for annotator, rows in ((self._thin_box, ~detected), (self._box, detected)):
            annotator.annotate(image, people[rows], custom_color_lookup=colours[rows])
        badge = self._badge(seconds)
        badge_width = sum(label.size_wh[0] for label in badge)
        self._put_labels(image, people.xyxy, identities, (0, 0, badge_width, badge[0].size_wh[1]))
        left = 0
        for label in badge:
            label.blend(image, left, 0)
            left += label.size_wh[0]

    def _inside(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes float32 (N, 4), clipped such that their lines lie within the frame."""
        margin = self._thickness // 2
        largest = np.array([*self._size_wh] * 2, np.float32) - 1 - margin  # (4,)
        return np.asarray(xyxy.clip(margin, largest), np.float32)

    def _badge(self, seconds: float) -> tuple[Label, Label]:
        return self._name, self._clock(clock_time(seconds))

    def _put_labels(
        self, image: Image, xyxy: NDArray[np.float32], identities: NDArray[np.int64], badge: XYXY
    ) -> None:
        taken = [badge]
        # In the order of identities, so that labels do not jump whenever two people pass each other.
        for row in np.argsort(identities, kind="stable"):
            if identities[row] == 0:
                continue
            label = self._label(int(identities[row]))
            place = place_label(xyxy[row], label.size_wh, self._size_wh, taken)
            taken.append(place)
            label.blend(image, place[0], place[1])

    def _draw_identity(self, identity: int) -> Label:
        colour = PALETTE[colour_indexes(np.array([identity]))[0]]
        text = f"P{identity} {self._names.get(identity, '')}".rstrip()
        text = shorten(text, self._text_px, self._size_wh[0] // NAME_PARTS)
        return draw_label(text, self._text_px, text_colour(colour), colour)

    def _draw_clock(self, text: str) -> Label:
        return draw_label(text, self._text_px, WHITE, opacity=BADGE_OPACITY, bold=False, round_corners=False)


def empty_tile(camera: str, size_wh: tuple[int, int], note: str) -> Image:
    """A dark frame, uint8 (H, W, 3) BGR, with the camera's name in its corner and a note in its middle."""
    width, height = size_wh
    image = np.full((height, width, 3), 24, np.uint8)
    text_px = _text_px(size_wh)
    draw_label(shorten(camera, text_px, width // 2), text_px, WHITE, opacity=0).blend(image, 0, 0)
    label = draw_label(note, text_px, NOBODY_COLOUR, opacity=0, bold=False)
    label.blend(image, (width - label.size_wh[0]) // 2, (height - label.size_wh[1]) // 2)
    return image


def _text_px(size_wh: tuple[int, int]) -> int:
    """Size of the type in a frame of (width, height)."""
    return max(SMALLEST_TEXT_PX, round(size_wh[1] * TEXT_SHARE))


def place_label(
    xyxy: NDArray[np.float32], label_wh: tuple[int, int], size_wh: tuple[int, int], taken: list[XYXY]
) -> XYXY:
    """Place a label where it covers the least of other labels: above its box, or else inside or below it.

    Args:
        xyxy: float32 (4,), the box in pixels.
        label_wh, size_wh: (width, height) of the label and of the frame.
        taken: what the label should not cover, as pixels x1, y1, x2, y2.

    Returns:
        The label's place within the frame, as pixels x1, y1, x2, y2.
    """
    width, height = label_wh
    left, top, right, bottom = (round(float(edge)) for edge in xyxy)
    best, least = (0, 0, 0, 0), float("inf")
    places = [(left, top - height), (right - width, top - height), (left, top), (right - width, top),
              (left, bottom - height), (right - width, bottom - height), (left, bottom), (left, top - 2 * height)]
    for x, y in places:
        x1 = min(max(x, 0), size_wh[0] - width)
        y1 = min(max(y, 0), size_wh[1] - height)
        place = (x1, y1, x1 + width, y1 + height)
        covered = sum(_shared_px(place, other) for other in taken)
        if covered < least:
            best, least = place, covered
        if covered == 0:
            break
    return best


def clock_time(seconds: float) -> str:
    """UTC epoch seconds as `12:00:03.4`, the last digit truncated, as clocks show it."""
    tenths = int((seconds + TICK_SECONDS) * 10 // 1)
    moment = datetime.fromtimestamp(tenths // 10, UTC)
    return f"{moment:%H:%M:%S}.{tenths % 10}"


def _shared_px(one: XYXY, other: XYXY) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
