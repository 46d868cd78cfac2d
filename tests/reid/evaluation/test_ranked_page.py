import numpy as np
import pytest

from reidpipe.reid import DatasetError
from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.evaluation.ranked_page import (
    GREEN,
    RED,
    RESULTS,
    choose_examples,
    draw_ranked_page,
)

UNCOUNTED = np.nan


def chosen(plain, masked):
    return [(one.row, one.reason) for one in choose_examples(np.array(plain), np.array(masked))]


def test_examples_are_best_median_worst_and_the_largest_changes():
    plain = [0.5, 0.2, 0.9, 0.4, 0.3, 0.6, 0.1, UNCOUNTED]
    masked = [0.5, 0.7, 0.5, 0.6, 0.35, 1.0, 0.05, UNCOUNTED]
    assert chosen(plain, masked) == [
        (1, "the mask gains most"),
        (5, "the mask gains most, best"),
        (2, "the mask loses most"),
        (6, "the mask loses most, worst"),
        (0, "median"),
    ]


def test_a_mask_that_changes_nothing_neither_gains_nor_loses():
    same = [0.5, 0.2, 0.9]
    assert chosen(same, same) == [(2, "best"), (0, "median"), (1, "worst")]


def test_a_query_is_shown_once_with_all_its_reasons():
    assert chosen([0.4], [0.4]) == [(0, "best, median, worst")]
    assert chosen([UNCOUNTED], [UNCOUNTED]) == []


def people(shades, pids, camid):
    images = np.empty((len(shades), 8, 4, 3), np.uint8)
    images[:] = np.array(shades, np.uint8)[:, None, None, None]
    return CropSet(images, np.array(pids), np.full(len(pids), camid))


def count(page, colour):
    return int((page == np.array(colour)).all(2).sum())


def test_matches_are_framed_green_in_the_order_of_each_similarity():
    query, gallery = people([0], [1], 1), people([60, 120, 180], [1, 2, 3], 2)
    plain = np.array([[0.1, 0.9, 0.8]], np.float32)
    page = draw_ranked_page("three people", query, gallery, plain, plain[:, ::-1].copy())
    assert page.dtype == np.uint8
    greens, reds = (count(page, colour) for colour in (GREEN, RED))
    assert reds == 2 * greens - 14 * 14  # one right and two wrong in each line; both colours once in the legend
    first, second = (line_of(page, shade) for shade in (120, 180))
    right = line_of(page, 60)
    assert first[0] < second[0] < right[0]
    assert first[1] < right[1] < second[1]


def line_of(page, shade):
    """Left edges of the crops of one shade in the upper and the lower row."""
    found = (page == shade).all(2)  # (H, W)
    rows = np.flatnonzero(found.sum(1) > 40)
    lines = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [int(np.flatnonzero(found[line[len(line) // 2]])[0]) for line in lines]


def test_at_most_ten_results_are_shown():
    query, gallery = people([0], [1], 1), people(range(20, 50), range(1, 31), 2)
    similarity = np.linspace(1, 0, 30, dtype=np.float32)[None]
    page = draw_ranked_page("many", query, gallery, similarity, similarity)
    shown = [shade for shade in range(20, 50) if (page == shade).all(2).sum() > 1000]
    assert shown == list(range(20, 20 + RESULTS))


def test_a_page_without_any_match_is_refused():
    query, gallery = people([0], [1], 1), people([60], [2], 2)
    similarity = np.ones((1, 1), np.float32)
    with pytest.raises(DatasetError, match="no matches: no query has a match in the gallery"):
        draw_ranked_page("no matches", query, gallery, similarity, similarity)
