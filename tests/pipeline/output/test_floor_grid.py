"""The floor grid lies where the homography says, below the horizon only."""

import numpy as np
import pytest

from reidpipe.pipeline.output import floor_grid
from reidpipe.pipeline.output.floor_grid import AXIS_BGR, draw_floor_grid

FROM_ABOVE = np.array([[0.02, 0, -3.0], [0, 0.02, -2.0], [0, 0, 1]])  # 50 pixels per metre; (150, 100) is (0, 0)


def test_the_axes_are_drawn_where_the_homography_puts_them():
    drawn = draw_floor_grid(np.zeros((400, 600, 3), np.uint8), FROM_ABOVE)
    assert (drawn[110:320, 150] == AXIS_BGR).all(1).mean() > 0.9, "x = 0"
    assert (drawn[100, 200:480] == AXIS_BGR).all(1).mean() > 0.9, "y = 0"
    assert not drawn[220:230, 420:430].any(), "between two lines"


def test_the_frame_itself_is_left_alone():
    image = np.zeros((100, 200, 3), np.uint8)
    draw_floor_grid(image, FROM_ABOVE)
    assert not image.any()


@pytest.mark.parametrize("sign", [1, -1])
def test_nothing_is_drawn_above_the_horizon(sign):
    """A homography may be scaled by any number; the horizon is where its third row is 0, here at row 100."""
    tilted = sign * np.array([[0.01, 0, -3.0], [0, 0.01, -5.0], [0, -0.01, 1.0]])
    drawn = draw_floor_grid(np.zeros((400, 600, 3), np.uint8), tilted)
    assert not drawn[:95].any()
    assert drawn[120:].any()


def test_numbers_do_not_cover_each_other_and_far_lines_no_floor(monkeypatch):
    """A camera that looks along the floor: metres become a pixel, and less, towards the horizon at row 100."""
    written = []
    monkeypatch.setattr(
        floor_grid, "draw_label", lambda text, *how, draw=floor_grid.draw_label: Recorded(draw(text, *how), written))
    tilted = np.array([[0.01, 0, -3.0], [0, 0.01, -5.0], [0, -0.01, 1.0]])
    drawn = draw_floor_grid(np.zeros((400, 600, 3), np.uint8), tilted)
    covered = np.zeros((400, 600), int)
    for x1, y1, x2, y2 in written:
        assert 0 <= x1 < x2 <= 600
        assert 0 <= y1 < y2 <= 400
        covered[y1:y2, x1:x2] += 1
    assert len(written) > 5
    assert covered.max() == 1
    lines = (drawn != 0).any(2)
    assert lines[120:160].mean() < 0.5 < lines[120:].any(1).mean()


class Recorded:
    """A label that notes where it is put."""

    def __init__(self, label, written):
        self._label, self._written, self.size_wh = label, written, label.size_wh

    def blend(self, image, left, top):
        self._written.append((left, top, left + self.size_wh[0], top + self.size_wh[1]))
        self._label.blend(image, left, top)
