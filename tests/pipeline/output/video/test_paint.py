"""What is drawn into a frame is distinct and readable."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import supervision as sv

from reidpipe.pipeline.output.video.paint import Painter, clock_time, place_label
from reidpipe.pipeline.pictures.palette import PALETTE, colour_indexes, text_colour

SIZE = (320, 180)
START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_colours_are_distinct_and_their_text_is_readable():
    assert len(set(PALETTE)) == len(PALETTE) > 30
    assert colour_indexes(np.array([0, 1, 36, 37])).tolist() == [0, 1, 36, 1]  # grey stays nobody's

    def luminance(colour):
        share = np.array(sv.Color.from_hex(colour).as_rgb()) / 255
        return float(np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
                     @ [0.2126, 0.7152, 0.0722])

    for colour in PALETTE:
        low, high = sorted([luminance(colour), luminance(text_colour(colour))])
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, AA


def test_labels_do_not_cover_each_other():
    boxes = np.array([[100, 60, 180, 150], [102, 61, 180, 150], [104, 60, 180, 150], [0, 0, 319, 179]], np.float32)
    taken = [(0, 0, 120, 17)]
    for box in boxes:
        taken.append(place_label(box, (30, 17), SIZE, taken))
    covered = np.zeros((SIZE[1], SIZE[0]), int)
    for x1, y1, x2, y2 in taken:
        covered[y1:y2, x1:x2] += 1
    assert covered.max() == 1
    assert covered.sum() == 120 * 17 + 4 * 30 * 17  # all of them inside the frame


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(START.timestamp() + 3.46, "12:00:03.4", id="truncated"),
        pytest.param(START.timestamp() + 0.3 - 1e-7, "12:00:00.3", id="a sum of floats"),
        pytest.param(0.0, "00:00:00.0", id="footage without a start"),
    ],
)
def test_the_clock(seconds, text):
    assert clock_time(seconds) == text


def test_a_person_with_a_name_has_it_on_the_label():
    def painted(names):
        image = np.full((180, 320, 3), 200, np.uint8)
        people = sv.Detections(
            np.array([[100, 80, 140, 170]], np.float32), confidence=np.ones(1, np.float32), class_id=np.array([3]),
            tracker_id=np.array([1]))
        Painter("door", SIZE, 10.0, names).paint(image, people, 0.0)
        return np.flatnonzero((image != 200).any((0, 2)) & (np.arange(320) > 145))  # columns right of the box

    nameless = painted({})
    assert painted({4: "Bob"}).tolist() == nameless.tolist()
    named = painted({3: "Bob"})
    assert named.max() > max(nameless.max(initial=0), 150)
    assert painted({3: "Bob" * 60}).max() < 320 - 1
