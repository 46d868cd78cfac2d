"""The floor grid lies where the homography says, below the horizon only."""

import numpy as np
import pytest

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
