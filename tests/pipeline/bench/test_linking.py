"""The synthetic day behind `reidpipe bench linking`, and how identities are scored on it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from reidpipe.pipeline.bench.linking import link_at_once, score
from reidpipe.pipeline.bench.synthetic_day import SyntheticDay
from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.linking.linker import link_tracklets


@pytest.fixture(scope="module")
def day(measured):
    """Half an hour of 20 people."""
    return SyntheticDay(measured, 400, 20, 0.5, 600.0, seed=3)


def test_the_day_is_in_order_and_always_the_same(day, measured):
    again = SyntheticDay(measured, 400, 20, 0.5, 600.0, seed=3)
    assert (np.diff(day.last) >= 0).all()
    assert 250 <= len(day) <= 550
    rows = np.arange(10)
    assert [one.key for one in day.tracklets(rows)] == [one.key for one in again.tracklets(rows)]
    assert sum(len(batch) for batch in day.batches(5.0)) == len(day)


def test_nobody_of_the_day_is_twice_in_one_camera(day):
    for person in np.unique(day.person):
        own = day.tracklets(np.flatnonzero(day.person == person))
        for camera in day.cameras:
            here = sorted((one.first_seconds, one.last_seconds) for one in own if one.camera == camera)
            assert all(later[0] > earlier[1] for earlier, later in pairwise(here))


@pytest.mark.parametrize("method", [link_tracklets, link_at_once])
def test_people_who_differ_clearly_are_found(day, method):
    identity = np.zeros(len(day), np.int64)
    for link in method(day.tracklets(np.arange(len(day))), LinkingConfig(max_gap_seconds=600.0)):
        identity[link.track_id - 1] = link.identity
    found = score("all", day.person, identity)
    assert found.precision > 0.97 and found.recall > 0.8


def test_scores_are_those_counted_by_hand():
    person = np.array([1, 1, 1, 2, 2, 3])
    identity = np.array([1, 1, 2, 2, 2, 0])
    found = score("some", person, identity)
    assert (found.people, found.identities) == (3, 2)
    assert found.precision == pytest.approx(2 / 4)  # pairs 1-1 of person 1 and of person 2, of 1 + 3 linked pairs
    assert found.recall == pytest.approx(2 / 4)  # of 3 + 1 pairs of one person
    assert found.idf1 == pytest.approx(2 * 4 / (6 + 5))
    assert score("perfect", person, person).idf1 == 1.0
