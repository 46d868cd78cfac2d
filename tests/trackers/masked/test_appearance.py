"""Views of tracks are compared as the linker compares crops."""

import numpy as np
import pytest

from reidpipe.reid import Appearance, masked_similarity
from reidpipe.trackers.masked.appearance import KEPT_VIEWS, Views, view_similarity


def random_views(seed, count):
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(count, 12)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    mask = random.uniform(0.05, 1, (count, 12)).astype(np.float32)
    return Views(list(range(count)), list(embedding), list(mask)), Appearance(embedding, mask)


@pytest.mark.parametrize(("masked", "mode"), [(True, "joint"), (False, "plain")])
def test_similarity_is_that_of_the_appearance_model(masked, mode):
    (one, first), (other, second) = random_views(1, 3), random_views(2, 5)
    expected = masked_similarity(first, second, mode).max(1).mean()
    assert view_similarity(one, other, masked) == pytest.approx(expected, abs=1e-5)


def test_old_views_are_forgotten():
    views = Views()
    for second in range(KEPT_VIEWS + 5):
        views.add(second, np.float32([1, 0]), np.float32([1, 1]))
    assert views.seconds == list(range(5, KEPT_VIEWS + 5))
    assert views.before(7).seconds == [5, 6]
    assert views.since(KEPT_VIEWS + 4).seconds == [KEPT_VIEWS + 4]
