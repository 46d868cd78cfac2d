import numpy as np
import pytest

from reidpipe.reid.evaluation.evidence_map import (
    GAP_PX,
    HEADER_PX,
    MARGIN_PX,
    PICTURE_HEIGHT_PX,
    PICTURE_WIDTH_PX,
    draw_evidence_sheet,
)

GREY = np.full((90, 30, 3), 128, np.uint8)


def upper_half_visible():
    evidence = np.zeros((16, 8), np.float32)
    evidence[:8] = 1
    return evidence


def drawn(evidence):
    """The grey crop and its overlay as drawn, int (320, 160, 3) each."""
    sheet = draw_evidence_sheet([GREY], evidence[None], ["grey"]).astype(int)
    rows = sheet[HEADER_PX : HEADER_PX + PICTURE_HEIGHT_PX]
    overlay_left = MARGIN_PX + PICTURE_WIDTH_PX + GAP_PX
    return rows[:, MARGIN_PX:][:, :PICTURE_WIDTH_PX], rows[:, overlay_left:][:, :PICTURE_WIDTH_PX]


def test_the_overlay_is_yellow_where_the_person_is_visible_and_violet_where_occluded():
    _, overlay = drawn(upper_half_visible())
    middle = PICTURE_WIDTH_PX // 2
    visible, occluded = overlay[PICTURE_HEIGHT_PX // 8, middle], overlay[PICTURE_HEIGHT_PX * 7 // 8, middle]
    assert visible[1] > visible[0] + 60
    assert visible[2] > visible[0] + 60
    assert occluded[0] > occluded[1] + 20
    assert occluded[2] > occluded[1]


def test_the_crop_stands_beside_it_unchanged():
    crop, _ = drawn(upper_half_visible())
    assert (crop == 128).all()


def test_the_overlay_is_smooth():
    _, overlay = drawn(upper_half_visible())
    steps = np.abs(np.diff(overlay[:, PICTURE_WIDTH_PX // 2], axis=0)).max()
    assert steps < 30  # sixteen flat blocks would jump from yellow to violet at once


def test_values_out_of_range_are_drawn_as_the_nearest_end():
    _, outside = drawn(np.full((16, 8), 7, np.float32))
    _, largest = drawn(np.ones((16, 8), np.float32))
    np.testing.assert_array_equal(outside, largest)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_sheet_holds_every_crop(count):
    crops = [np.full((40, 20, 3), 40 + 10 * index, np.uint8) for index in range(count)]
    names = [f"a very long file name that does not fit below its picture {index}" for index in range(count)]
    sheet = draw_evidence_sheet(crops, np.zeros((count, 16, 8), np.float32), names)
    for crop in crops:
        assert (sheet == crop[0, 0]).all(2).sum() >= PICTURE_WIDTH_PX * PICTURE_HEIGHT_PX


def test_evidence_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"evidence: expected \(rows, columns\), got \(16, 8, 1\)"):
        draw_evidence_sheet([GREY], upper_half_visible()[None, ..., None], ["grey"])
