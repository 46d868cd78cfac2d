import numpy as np
import pytest

from reidpipe.reid.evaluation.evidence_map import (
    PICTURE_HEIGHT_PX,
    PICTURE_WIDTH_PX,
    draw_evidence_sheet,
    draw_heat_map,
)

GREY = np.full((90, 30, 3), 128, np.uint8)


def half_seen():
    evidence = np.zeros((16, 8), np.float32)
    evidence[:8] = 1
    return evidence


def test_the_overlay_is_yellow_where_the_person_is_seen_and_violet_where_hidden():
    drawn = draw_heat_map(GREY, half_seen()).astype(int)
    middle = 8 + PICTURE_WIDTH_PX + 8 + PICTURE_WIDTH_PX // 2
    seen, hidden = drawn[8 + PICTURE_HEIGHT_PX // 8, middle], drawn[8 + PICTURE_HEIGHT_PX * 7 // 8, middle]
    assert seen[1] > seen[0] + 60
    assert seen[2] > seen[0] + 60
    assert hidden[0] > hidden[1] + 20
    assert hidden[2] > hidden[1]


def test_the_original_stands_beside_it_unchanged():
    drawn = draw_heat_map(GREY, half_seen())
    assert (drawn[8 : 8 + PICTURE_HEIGHT_PX, 8 : 8 + PICTURE_WIDTH_PX] == 128).all()


def test_the_map_is_smooth_and_stays_in_range():
    column = draw_heat_map(GREY, half_seen())[8 : 8 + PICTURE_HEIGHT_PX, 8 + PICTURE_WIDTH_PX + 8 + 80]
    steps = np.abs(np.diff(column.astype(int), axis=0)).max()
    assert steps < 30  # sixteen flat blocks would jump from yellow to violet at once
    outside = np.where(half_seen() > 0, 7.0, -7.0).astype(np.float32)
    assert draw_heat_map(GREY, outside).shape == draw_heat_map(GREY, half_seen()).shape


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_sheet_holds_every_crop(count):
    crops = [np.full((40, 20, 3), 40 + 10 * index, np.uint8) for index in range(count)]
    names = [f"a very long name of a file that would never fit below its own picture {index}" for index in range(count)]
    sheet = draw_evidence_sheet(crops, np.zeros((count, 16, 8), np.float32), names)
    for crop in crops:
        assert (sheet == crop[0, 0]).all(2).sum() >= PICTURE_WIDTH_PX * PICTURE_HEIGHT_PX


def test_an_evidence_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"evidence: expected \(rows, columns\), got \(16, 8, 1\)"):
        draw_heat_map(GREY, half_seen()[..., None])
