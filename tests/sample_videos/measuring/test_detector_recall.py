"""Detector recall counts each person and each box once."""

import numpy as np
import pytest

from sample_videos.measuring.detector_recall import count_found


def person(x1, y1, x2, y2, visible=1.0, seen=None):
    seen = seen or (x1, y1, x2, y2)
    names = ("visible_x1", "visible_y1", "visible_x2", "visible_y2")
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "visible": visible, **dict(zip(names, seen, strict=True))}


@pytest.mark.parametrize(
    ("rows", "boxes", "expected"),
    [
        pytest.param([person(0, 0, 10, 20)], [[0, 0, 10, 20]], (1, 1), id="exact"),
        pytest.param([person(0, 0, 10, 20)], [], (0, 1), id="no boxes"),
        pytest.param([person(0, 0, 10, 20)], [[6, 0, 16, 20]], (0, 1), id="too far off"),
        pytest.param([person(0, 0, 10, 20), person(1, 0, 11, 20)], [[0, 0, 10, 20]], (1, 2), id="one box, two people"),
        pytest.param([person(0, 0, 10, 20, 0.4)], [[0, 0, 10, 20]], (0, 0), id="mostly occluded is not counted"),
        pytest.param(
            [person(0, 0, 10, 20, 0.6, (0, 0, 10, 9))], [[0, 0, 10, 9]], (1, 1), id="box of the visible part"
        ),
        pytest.param([], [[0, 0, 10, 20]], (0, 0), id="nobody"),
    ],
)
def test_recall_counts_people_with_a_box_of_their_own(rows, boxes, expected):
    assert count_found(rows, np.array(boxes, float).reshape(-1, 4)) == expected
