"""Evidence that two tracklets are one person: positions on the floor, and similarity relative to surely others."""

import numpy as np
import pytest

from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.linking.evidence.calibration import cohort_levels, log_odds, probability
from reidpipe.pipeline.linking.evidence.motion import AREA_METRES, LEAST, motion_evidence
from reidpipe.pipeline.linking.evidence.spans import spans_of
from reidpipe.pipeline.linking.linker import link_tracklets
from reidpipe.pipeline.types import Tracklet
from reidpipe.reid import Appearance

ANGLE = float(np.arccos(0.5))  # two people who look similar as far as a similarity of 0.5


def seen(camera, track, first, last, angle=0.0, floor=None):
    """A tracklet of an embedding in the plane, standing at one place on the floor or walking between two."""
    embedding = np.array([[np.cos(angle), np.sin(angle)]], np.float32)
    path = None
    if floor is not None:
        places = np.array(floor, np.float32).reshape(-1, 2)
        path = np.column_stack([np.linspace(0, last - first, len(places)), places]).astype(np.float32)
    return Tracklet(camera, track, first, last, 50, Appearance(embedding, np.ones_like(embedding)), floor_path=path)


def evidence(one, other):
    cameras = {"a": 0, "b": 1}
    return motion_evidence(spans_of([one], cameras), spans_of([other], cameras))[0, 0]


def test_the_nearer_the_likelier_one_person():
    before = seen("a", 1, 0, 10, floor=[0, 0])
    found = [evidence(before, seen("b", 1, 11, 20, floor=[metres, 0])) for metres in (0, 1, 3, 6)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 1
    assert found[-1] < 0


def test_after_a_while_positions_say_nothing():
    before = seen("a", 1, 0, 10, floor=[0, 0])
    assert abs(evidence(before, seen("b", 1, 500, 510, floor=[2, 0]))) < 1e-9
    assert evidence(before, seen("b", 1, 11, 20)) == 0, "no floor position"


def test_two_cameras_that_see_one_place_at_once_say_whether_it_is_one_person():
    one = seen("a", 1, 0, 10, floor=[[0, 0], [5, 0]])
    with_it = seen("b", 1, 2, 8, floor=[[1.2, 0.3], [4, 0.2]])
    elsewhere = seen("b", 2, 2, 8, floor=[[1, 9 * AREA_METRES], [4, 9 * AREA_METRES]])
    assert evidence(one, with_it) > 2
    assert evidence(one, elsewhere) == LEAST


def test_evidence_is_the_same_in_both_orders():
    one, other = seen("a", 1, 0, 10, floor=[[0, 0], [3, 0]]), seen("b", 1, 12, 20, floor=[[4, 1], [0, 9]])
    assert evidence(one, other) == pytest.approx(evidence(other, one))


@pytest.mark.parametrize(("metres", "people"), [(1.0, 1), (7.0, 2)])
def test_a_similarity_that_is_not_enough_links_at_the_place_where_the_other_left(metres, people):
    pair = [seen("a", 1, 0, 10, floor=[0, 0]), seen("b", 1, 11, 20, ANGLE, floor=[metres, 0])]
    assert len({link.identity for link in link_tracklets(pair, LinkingConfig())}) == people


def test_the_probability_of_a_link_rises_with_similarity_and_is_stated():
    links = [
        link_tracklets([seen("a", 1, 0, 10), seen("b", 1, 20, 30, angle)], LinkingConfig(false_link_rate=0.99))[1]
        for angle in (0.9, 0.5, 0.0)
    ]
    probabilities = [link.probability for link in links]
    assert probabilities == sorted(probabilities)
    assert [link.similarity for link in links] == pytest.approx([np.cos(angle) for angle in (0.9, 0.5, 0.0)], abs=1e-3)
    assert all(0.01 < one < 1 for one in probabilities)


def test_whoever_looks_like_people_next_to_them_must_look_more_alike():
    """Everybody wears the same: what is usual between two people here proves nothing."""
    crowd = [seen("a", number, 0, 10, 0.15 * number) for number in range(1, 5)]
    later = seen("b", 9, 20, 30, 0.6 + ANGLE)
    for calibrated, same in ((True, False), (False, True)):
        config = LinkingConfig(self_calibration=calibrated, false_link_rate=0.8)
        links = {(link.camera, link.track_id): link.identity for link in link_tracklets([*crowd, later], config)}
        assert (links["b", 9] in {links[one.key] for one in crowd}) == same


def test_levels_count_surely_others_only():
    similarity = np.array([[-np.inf, 0.9, 0.2], [0.9, -np.inf, 0.4], [0.2, 0.4, -np.inf]], np.float32)
    alone = np.ones((3, 3), bool)
    np.testing.assert_allclose(cohort_levels(similarity, alone, 0.3), 0.3, rtol=1e-6)
    at_once = alone.copy()
    at_once[0, 2] = at_once[2, 0] = False
    levels = cohort_levels(similarity, at_once, 0.3)
    assert levels[0] == levels[2] == pytest.approx((0.2 + 3 * 0.3) / 4)
    assert levels[1] == pytest.approx(0.3)
    assert cohort_levels(np.zeros((0, 0), np.float32), np.zeros((0, 0), bool), 0.3).shape == (0,)


@pytest.mark.parametrize("value", [1e-9, 0.2, 0.5, 0.97])
def test_probabilities_and_log_odds_are_inverse(value):
    assert probability(log_odds(value)) == pytest.approx(value)
    assert (probability(-1e4), probability(1e4)) == (0, 1)
