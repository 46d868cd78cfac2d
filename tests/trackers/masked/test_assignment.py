import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from reidpipe.trackers.masked.assignment import best_columns


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 7), (7, 3), (40, 60)])
def test_the_sum_of_gains_is_the_largest(shape):
    gain = np.random.default_rng(shape).normal(size=shape)
    columns = best_columns(gain)
    rows = np.flatnonzero(columns >= 0)
    assert len(rows) == min(shape)
    assert len(set(columns[rows].tolist())) == len(rows)
    assert gain[rows, columns[rows]].sum() == pytest.approx(gain[linear_sum_assignment(gain, maximize=True)].sum())


def test_gains_of_nothing_do_not_displace_any_other():
    gain = np.zeros((5, 9))
    gain[1, 3], gain[4, 3], gain[2, 0] = 0.4, 0.6, 0.1
    columns = best_columns(gain)
    assert columns[[4, 2]].tolist() == [3, 0]
    assert columns[1] != 3


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_without_rows_or_columns_nothing_is_assigned(shape):
    assert best_columns(np.zeros(shape)).tolist() == [-1] * shape[0]
