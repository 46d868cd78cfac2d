"""Who is the same person: similarity, one place at a time, walking speed."""

import numpy as np
import pytest

from reidpipe.pipeline.config.schema import LinkingConfig
from reidpipe.pipeline.linking.assignment import link_tracklets
from reidpipe.pipeline.types import Tracklet
from reidpipe.reid import Appearance

DIMENSIONS = 64
CONFIG = LinkingConfig(similarity=0.5)


def looks_of(person, seed=0, noise=0.05, hidden=()):
    """A noisy unit embedding of a person; hidden dims are garbage, and the mask says so."""
    base = np.random.default_rng(1000 + person).normal(size=DIMENSIONS)
    rng = np.random.default_rng(seed)
    embedding = base / np.linalg.norm(base) + noise * rng.normal(size=DIMENSIONS)
    mask = np.full(DIMENSIONS, 0.9)
    embedding[list(hidden)] = rng.normal(size=len(hidden))
    mask[list(hidden)] = 0.01
    embedding /= np.linalg.norm(embedding)
    return Appearance(embedding[None].astype(np.float32), mask[None].astype(np.float32))


def tracklet(camera, track_id, first, last, person, seed=0, path=(), **looks):
    return Tracklet(
        camera, track_id, first, last, 50, looks_of(person, seed, **looks),
        path=np.array(path, np.float32).reshape(-1, 3),
    )


def identities(tracklets, config=CONFIG, on_floor=()):
    links = link_tracklets(tracklets, config, on_floor)
    return {(link.camera, link.track_id): link.identity for link in links}


def test_two_people_in_two_cameras_are_two_identities():
    found = identities([
        tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 0, 10, person=2),
        tracklet("b", 1, 20, 30, person=2, seed=1), tracklet("b", 2, 20, 30, person=1, seed=1),
    ])
    assert found == {("a", 1): 1, ("a", 2): 2, ("b", 1): 2, ("b", 2): 1}


def test_nobody_is_nobody():
    assert link_tracklets([], CONFIG) == []


def test_identical_looks_at_one_time_in_one_camera_are_two_people():
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 5, 15, person=1)])
    assert len(set(found.values())) == 2


def test_the_same_person_may_be_in_two_cameras_at_once():
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 5, 15, person=1, seed=1)])
    assert len(set(found.values())) == 1


def test_people_who_stand_together_are_assigned_together():
    """Greedy matching would give both newcomers the first identity's place; the assignment weighs them jointly."""
    first, second = looks_of(1), looks_of(2)
    between = first.embedding + 0.9 * second.embedding
    between = Appearance((between / np.linalg.norm(between)).astype(np.float32), first.mask)
    one = Tracklet("b", 1, 20, 30, 50, between)
    other = tracklet("b", 2, 20, 30, person=1, seed=1)
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 0, 10, person=2), one, other])
    assert found["b", 2] == found["a", 1]
    assert found["b", 1] == found["a", 2]


def test_hidden_dims_do_not_part_a_person():
    hidden = range(DIMENSIONS // 2)
    half = [tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 20, 30, person=1, seed=2, hidden=hidden)]
    assert len(set(identities(half, LinkingConfig(similarity=0.6)).values())) == 1
    assert len(set(identities(half, LinkingConfig(similarity=0.6, mode="plain")).values())) == 2


def test_who_was_away_too_long_is_somebody_new():
    pair = [tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 200, 210, person=1, seed=1)]
    assert len(set(identities(pair).values())) == 1
    assert len(set(identities(pair, LinkingConfig(similarity=0.5, max_gap_seconds=60)).values())) == 2


@pytest.mark.parametrize(
    ("later_path", "people"),
    [
        pytest.param([(0, 12, 0), (5, 14, 0)], 1, id="near enough to walk"),
        pytest.param([(0, 90, 0), (5, 92, 0)], 2, id="too far to walk"),
    ],
)
def test_nobody_walks_faster_than_people_do(later_path, people):
    pair = [
        tracklet("a", 1, 0, 10, person=1, path=[(0, 0, 0), (10, 5, 0)]),
        tracklet("b", 1, 12, 17, person=1, seed=1, path=later_path),
    ]
    assert len(set(identities(pair, on_floor={"a", "b"}).values())) == people
    assert len(set(identities(pair).values())) == 1, "without homographies, place says nothing"


@pytest.mark.parametrize(("apart_metres", "people"), [(0.5, 1), (8.0, 2)])
def test_two_cameras_that_see_one_floor_agree_on_the_place(apart_metres, people):
    pair = [
        tracklet("a", 1, 0, 10, person=1, path=[(0, 0, 0), (10, 10, 0)]),
        tracklet("b", 1, 4, 9, person=1, seed=1, path=[(0, 4, apart_metres), (5, 9, apart_metres)]),
    ]
    assert len(set(identities(pair, on_floor={"a", "b"}).values())) == people


def test_tracklets_without_looks_or_too_short_get_no_identity():
    nothing = Tracklet("a", 1, 0, 10, 50, Appearance.empty(DIMENSIONS))
    short = tracklet("a", 2, 0, 1, person=1)
    short.observations = 2
    assert link_tracklets([nothing, short, tracklet("a", 3, 20, 30, person=2)], CONFIG)[0].track_id == 3


def test_links_state_their_evidence():
    links = link_tracklets([tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 25, 30, person=1, seed=1)], CONFIG)
    first, second = links
    assert (first.similarity, first.shared_mask, first.gap_seconds) == (None, None, None)
    assert second.similarity > 0.5
    assert second.shared_mask == pytest.approx(0.81, abs=0.01)
    assert second.gap_seconds == pytest.approx(15)
    assert second.by == "model"


def test_the_order_of_tracklets_does_not_matter():
    crowd = [
        tracklet(camera, person + 1, start, start + 8, person=person, seed=17 * person + start, noise=0.08)
        for start, camera in enumerate("abc", start=1) for person in range(6)
    ]
    forwards = identities(crowd)
    assert forwards == identities(crowd[::-1])
    assert len(set(forwards.values())) == 6
