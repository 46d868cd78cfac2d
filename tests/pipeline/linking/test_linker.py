"""Linking by similarity under space-time constraints."""

from dataclasses import replace

import numpy as np
import pytest

from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.linking.linker import can_be_linked_early, link_tracklets
from reidpipe.pipeline.types import Tracklet
from reidpipe.reid import Appearance

DIMENSIONS = 64
CONFIG = LinkingConfig()


def appearance_of(person, seed=0, noise=0.05, occluded=()):
    """A noisy unit embedding of a person; occluded dims are random and masked."""
    base = np.random.default_rng(1000 + person).normal(size=DIMENSIONS)
    rng = np.random.default_rng(seed)
    embedding = base / np.linalg.norm(base) + noise * rng.normal(size=DIMENSIONS)
    mask = np.full(DIMENSIONS, 0.9)
    embedding[list(occluded)] = rng.normal(size=len(occluded))
    mask[list(occluded)] = 0.01
    embedding /= np.linalg.norm(embedding)
    return Appearance(embedding[None].astype(np.float32), mask[None].astype(np.float32))


def tracklet(camera, track_id, first, last, person, seed=0, floor_path=None, **appearance):
    return Tracklet(
        camera, track_id, first, last, 50, appearance_of(person, seed, **appearance),
        floor_path=None if floor_path is None else np.array(floor_path, np.float32),
    )


def identities(tracklets, config=CONFIG):
    links = link_tracklets(tracklets, config)
    return {(link.camera, link.track_id): link.identity for link in links}


def test_two_people_in_two_cameras_are_two_identities():
    found = identities([
        tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 0, 10, person=2),
        tracklet("b", 1, 20, 30, person=2, seed=1), tracklet("b", 2, 20, 30, person=1, seed=1),
    ])
    assert found == {("a", 1): 1, ("a", 2): 2, ("b", 1): 2, ("b", 2): 1}


def test_no_tracklets_give_no_links():
    assert link_tracklets([], CONFIG) == []


def test_identical_appearances_at_one_time_in_one_camera_are_two_people():
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 5, 15, person=1)])
    assert len(set(found.values())) == 2


@pytest.mark.parametrize(("first", "last", "people"), [
    pytest.param(8.5, 30, 1, id="one track takes over from the other"),
    pytest.param(7.5, 30, 2, id="too long together"),
    pytest.param(8.5, 9.5, 2, id="wholly within the other's time"),
])
def test_tracks_of_one_camera_may_overlap_where_one_takes_over(first, last, people):
    pair = [tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, first, last, person=1, seed=1)]
    found = identities(pair, LinkingConfig(min_seconds=0))
    assert len(set(found.values())) == people


def test_the_same_person_may_be_in_two_cameras_at_once():
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 5, 15, person=1, seed=1)])
    assert len(set(found.values())) == 1


@pytest.mark.parametrize(("overlaps", "people"), [([("b", "a")], 1), ([("a", "c")], 2), ([], 2)])
def test_nobody_is_at_once_in_two_cameras_that_have_no_overlap(overlaps, people):
    pair = [tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 5, 15, person=1, seed=1)]
    assert len(set(identities(pair, LinkingConfig(overlaps=overlaps)).values())) == people
    pair[1] = tracklet("b", 1, 12, 20, person=1, seed=1)
    assert len(set(identities(pair, LinkingConfig(overlaps=overlaps)).values())) == 1, "one after the other"


def test_people_who_stand_together_are_assigned_together():
    """Greedy matching would prefer the first identity for both; the assignment decides jointly."""
    first, second = appearance_of(1), appearance_of(2)
    between = first.embedding + 0.9 * second.embedding
    between = Appearance((between / np.linalg.norm(between)).astype(np.float32), first.mask)
    one = Tracklet("b", 1, 20, 30, 50, between)
    other = tracklet("b", 2, 20, 30, person=1, seed=1)
    found = identities([tracklet("a", 1, 0, 10, person=1), tracklet("a", 2, 0, 10, person=2), one, other])
    assert found["b", 2] == found["a", 1]
    assert found["b", 1] == found["a", 2]


def test_occluded_dims_do_not_split_a_person():
    occluded = range(DIMENSIONS // 2)
    half = [tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 20, 30, person=1, seed=2, occluded=occluded)]
    assert len(set(identities(half, LinkingConfig(false_link_rate=0.3)).values())) == 1
    assert len(set(identities(half, LinkingConfig(false_link_rate=0.3, mode="plain")).values())) == 2


def test_a_person_away_too_long_becomes_a_new_identity():
    pair = [tracklet("a", 1, 0, 10, person=1), tracklet("b", 1, 200, 210, person=1, seed=1)]
    assert len(set(identities(pair).values())) == 1
    assert len(set(identities(pair, LinkingConfig(max_gap_seconds=60)).values())) == 2


@pytest.mark.parametrize(
    ("later_path", "people"),
    [
        pytest.param([(0, 12, 0), (5, 14, 0)], 1, id="near enough to walk"),
        pytest.param([(0, 90, 0), (5, 92, 0)], 2, id="too far to walk"),
    ],
)
def test_links_that_need_faster_walking_are_refused(later_path, people):
    pair = [
        tracklet("a", 1, 0, 10, person=1, floor_path=[(0, 0, 0), (10, 5, 0)]),
        tracklet("b", 1, 12, 17, person=1, seed=1, floor_path=later_path),
    ]
    assert len(set(identities(pair).values())) == people
    pair[0] = replace(pair[0], floor_path=None)
    assert len(set(identities(pair).values())) == 1, "no homography, no constraint"


@pytest.mark.parametrize(("apart_metres", "people"), [(0.5, 1), (12.0, 2)])
def test_a_person_seen_by_two_cameras_at_once_is_in_one_place(apart_metres, people):
    pair = [
        tracklet("a", 1, 0, 10, person=1, floor_path=[(0, 0, 0), (10, 10, 0)]),
        tracklet("b", 1, 4, 9, person=1, seed=1, floor_path=[(0, 4, apart_metres), (5, 9, apart_metres)]),
    ]
    assert len(set(identities(pair).values())) == people


def test_tracklets_without_appearance_or_too_short_get_no_identity():
    nothing = Tracklet("a", 1, 0, 10, 50, Appearance.empty(DIMENSIONS))
    short = replace(tracklet("a", 2, 0, 1, person=1), observations=2)
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
    tracklets = [
        tracklet(camera, person + 1, start, start + 8, person=person, seed=17 * person + start, noise=0.08)
        for start, camera in enumerate("abc", start=1) for person in range(6)
    ]
    forwards = identities(tracklets)
    assert forwards == identities(tracklets[::-1])
    assert len(set(forwards.values())) == 6


def test_what_is_rarely_taken_for_a_person_gets_no_identity():
    post = replace(tracklet("a", 1, 0, 60, person=1), confidence=0.34)
    assert identities([post, tracklet("a", 2, 0, 60, person=2)]) == {("a", 2): 1}
    assert identities([post], LinkingConfig(min_confidence=0.3)) == {("a", 1): 1}


def test_what_looks_like_a_person_seen_surely_belongs_to_them_however_unsure_its_boxes_are():
    hidden = replace(tracklet("b", 1, 20, 80, person=1, seed=1), confidence=0.34)
    assert identities([tracklet("a", 1, 0, 10, person=1), hidden]) == {("a", 1): 1, ("b", 1): 1}
    assert identities([tracklet("a", 1, 0, 3, person=1), hidden]) == {}, "surely seen for three seconds only"


def test_a_short_track_does_not_keep_the_long_ones_of_a_person_apart():
    """Found on a rendered store: a swap of two tracks left a second one of somebody; both could not be the person."""
    long = [tracklet("a", 1, 0, 20, person=1), tracklet("b", 1, 15, 60, person=1, seed=1, noise=0.1)]
    short = tracklet("a", 2, 8, 9.4, person=1, seed=1, noise=0.1)
    for tracklets in ([*long, short], [short, *long]):
        found = identities(tracklets)
        assert found["a", 1] == found["b", 1]
        assert ("a", 2) not in found


def test_a_track_that_goes_on_is_linked_only_if_it_surely_shows_a_person():
    people = {value: replace(tracklet("a", 1, 0, 10, person=1), confidence=value) for value in (0.3, 0.45, 0.6)}
    assert [can_be_linked_early(one, CONFIG) for one in people.values()] == [False, False, True]


def test_who_was_seen_too_shortly_is_undecided_until_seen_again():
    short = tracklet("a", 1, 0, 3, person=1)
    assert identities([short]) == {}
    assert identities([short, tracklet("b", 1, 20, 23, person=1, seed=1)]) == {("a", 1): 1, ("b", 1): 1}
    assert identities([short, tracklet("b", 1, 20, 30, person=2)]) == {("b", 1): 1}
    assert identities([short], LinkingConfig(min_seconds=1)) == {("a", 1): 1}


@pytest.mark.parametrize("seed", [2, 3, 4, 6])
def test_no_identity_was_seen_too_shortly_even_after_revision(seed):
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0, 60, 40))
    people = [
        tracklet("abc"[rng.integers(3)], number + 1, start, start + rng.uniform(0.5, 8), person=rng.integers(6),
                 seed=number, noise=0.15)
        for number, start in enumerate(starts.tolist())]
    seconds = dict.fromkeys(range(1, 41), 0.0)
    for one in link_tracklets(people, CONFIG):
        span = people[one.track_id - 1]
        seconds[one.identity] += span.last_seconds - span.first_seconds
    assert min(value for value in seconds.values() if value) >= CONFIG.min_seconds
