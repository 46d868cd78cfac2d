"""The stranger's check counts each person and each box once."""

import numpy as np
import pytest

from sample_videos.stranger import found, overlaps


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
        pytest.param([person(0, 0, 10, 20, 0.4)], [[0, 0, 10, 20]], (0, 0), id="mostly hidden does not count"),
        pytest.param(
            [person(0, 0, 10, 20, 0.6, (0, 0, 10, 9))], [[0, 0, 10, 9]], (1, 1), id="only the seen part boxed"
        ),
        pytest.param([], [[0, 0, 10, 20]], (0, 0), id="nobody"),
    ],
)
def test_found(rows, boxes, expected):
    assert found(rows, np.array(boxes, float).reshape(-1, 4)) == expected


def test_overlap_of_touching_boxes_is_nothing():
    assert overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[10.0, 0, 20, 10], [0, 0, 10, 5]])) == pytest.approx(
        np.array([[0.0, 0.5]])
    )
