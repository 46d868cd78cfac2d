"""Weights are rounded so that what they are multiplied with keeps its sum."""

import numpy as np
import pytest

from reidpipe.pipeline.detector.rounding import compensated


def inputs(count, width, independent, seed=3):
    """What weights are multiplied with (N, K); without `independent` neighbours resemble each other, as pixels do."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, width)).astype(np.float32)
    return mixed if independent else mixed.cumsum(1) / np.sqrt(width)


def error(weights, whole, read):
    return float(((weights - whole) @ read.T).var())


@pytest.mark.parametrize("width", [9, 200])
def test_rounding_with_the_covariance_of_pixels_changes_sums_less_than_rounding_to_the_nearest(width):
    weights = np.random.default_rng(1).uniform(-100, 100, (8, width)).astype(np.float32)
    read, unseen = inputs(4000, width, False), inputs(4000, width, False, seed=4)
    whole = compensated(weights, np.cov(read.T).astype(np.float32), 127)
    assert error(weights, whole, unseen) < error(weights, np.rint(weights), unseen) / 3


def test_weights_of_independent_inputs_are_rounded_to_the_nearest():
    weights = np.random.default_rng(1).uniform(-100, 100, (8, 20)).astype(np.float32)
    whole = compensated(weights, np.diag(np.arange(1, 21)).astype(np.float32), 127)
    assert np.array_equal(whole, np.rint(weights))


def test_integers_stay_within_their_limit_and_inputs_that_never_change_do_no_harm():
    weights = np.full((2, 4), 126.6, np.float32)
    whole = compensated(weights, np.zeros((4, 4), np.float32), 126)
    assert whole.min() == whole.max() == 126
    equal = compensated(weights * [[1], [-1]], np.ones((4, 4), np.float32), 126)
    assert np.abs(equal).max() <= 126
    assert np.isfinite(equal).all()
