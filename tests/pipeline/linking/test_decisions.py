"""Identities obey decisions: divided and united, newer before older, with numbers that stay where they can."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.pipeline.linking.decisions import Decision, Shown, obey


def shown(linked, current=None, camera=None, seconds=None):
    """T tracklets that last a second each, in different cameras if not given."""
    count = len(linked)
    first = np.array(range(count) if seconds is None else seconds, np.float64)
    return Shown(
        np.array(linked), np.array(linked if current is None else current),
        np.arange(count) if camera is None else np.array(camera), first, first + 1)


def rows(*numbers):
    return np.array(numbers, np.int64)


def one_person(*numbers):
    return Decision(rows(*numbers), rows())


def apart(one, other):
    return Decision(rows(*one), rows(*other))


def nothing(one, other):
    raise AssertionError("no similarity is needed")


def people(*person):
    """A similarity of 1 between tracklets of one person, else 0."""
    person = np.array(person)
    return lambda one, other: (person[one][:, None] == person[other]).astype(np.float64)


@pytest.mark.parametrize(("linked", "decisions", "expected"), [
    pytest.param([1, 2, 3], [], [1, 2, 3], id="without decisions nothing changes"),
    pytest.param([1, 2, 3], [one_person(0, 2)], [1, 2, 1], id="united identities keep the lower number"),
    pytest.param([1, 1, 2], [one_person(0, 2)], [1, 1, 1], id="whole identities are united"),
    pytest.param([1, 2, -1], [one_person(1, 2)], [1, 2, 2], id="a tracklet without identity joins"),
    pytest.param([-1, -1, 1], [one_person(0, 1)], [2, 2, 1], id="two without identity become a new one"),
    pytest.param([1, 2, 3], [one_person(0, 1), one_person(1, 2)], [1, 1, 1], id="unions are transitive"),
    pytest.param([1, 1, 1], [apart([0, 1], [2])], [1, 1, 2], id="the first side keeps the number"),
    pytest.param([1, 1, 1], [apart([1, 2], [0])], [2, 1, 1], id="the first side keeps the number, though later"),
    pytest.param([1, 2, 3], [apart([0], [1])], [1, 2, 3], id="what is apart already stays"),
    pytest.param([1, 1, 1], [apart([0, 1], [2]), one_person(0, 1, 2)], [1, 1, 2], id="a newer split beats a union"),
    pytest.param([1, 1, 1], [one_person(0, 1, 2), apart([0, 1], [2])], [1, 1, 1], id="a newer union beats a split"),
    pytest.param([1, 1, 1, 1], [apart([0], [1]), apart([0, 1], [2, 3])], [1, 2, 3, 3], id="split twice"),
    pytest.param([1, 1, 2, 2], [one_person(1, 2), apart([0], [1])], [1, 2, 2, 2],
                 id="a divided part is united with another identity, which has a number"),
    pytest.param([1, 2, 2], [one_person(0, 1), apart([0], [2])], [1, 1, 2], id="only those who may be are united"),
])
def test_decisions_are_obeyed(linked, decisions, expected):
    assert obey(shown(linked), decisions, nothing).tolist() == expected


def test_tracklets_that_no_decision_names_go_with_the_most_similar_people():
    found = obey(shown([1, 1, 1, 1]), [apart([0], [3])], people(0, 1, 0, 1))
    assert found.tolist() == [1, 2, 1, 2]


def test_tracklets_without_an_appearance_stay():
    found = obey(shown([1, 1, 1]), [apart([0], [2])], lambda one, other: np.full((len(one), len(other)), -np.inf))
    assert found.tolist() == [1, 1, 2]


def test_identities_that_one_camera_saw_at_once_are_not_united_whole():
    """Of the two identities, tracklets 1 and 3 were in one camera at once: only what was decided moves."""
    at_once = shown([1, 1, 2, 2], camera=[0, 1, 2, 1], seconds=[0, 10, 20, 10])
    assert obey(at_once, [one_person(0, 2)], nothing).tolist() == [1, 1, 1, 2]


def test_what_was_decided_is_united_even_if_one_camera_saw_it_at_once():
    at_once = shown([1, 2], camera=[0, 0], seconds=[10, 10])
    assert obey(at_once, [one_person(0, 1)], nothing).tolist() == [1, 1]


def test_a_new_identity_keeps_its_number_when_another_decision_is_undone():
    """Tracklet 3 became identity 4 when 3 existed; the decision that made 3 is gone now."""
    assert obey(shown([1, 1, 2, 2], [1, 3, 2, 4]), [apart([2], [3])], nothing).tolist() == [1, 1, 2, 4]


def test_numbers_of_identities_that_were_united_are_not_given_to_others():
    found = obey(shown([1, 2, 1], [1, 1, 1]), [apart([0, 1], [2]), one_person(0, 1)], nothing)
    assert found.tolist() == [1, 1, 3]


def test_no_decision_in_force_is_violated_for_random_decisions():
    """The newest decision always holds; older ones hold where no newer one contradicts."""
    random = np.random.default_rng(0)
    for _ in range(200):
        linked = random.integers(1, 4, 8)
        decisions = []
        for _ in range(random.integers(1, 5)):
            chosen = random.permutation(8)[: random.integers(2, 6)]
            cut = random.integers(1, len(chosen)) if random.random() < 0.5 else len(chosen)
            decisions.append(Decision(np.sort(chosen[:cut]), np.sort(chosen[cut:])))
        similarity = random.random((8, 8))
        found = obey(shown(linked), decisions, lambda one, other, all_=similarity: all_[np.ix_(one, other)])
        newest = decisions[0]
        if len(newest.other):
            assert not set(found[newest.one]) & set(found[newest.other])
        else:
            assert len(set(found[newest.one])) == 1
        assert (found > 0).all()
