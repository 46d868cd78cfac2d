"""Linking while tracklets come: constraints always hold, the state is bounded, and can be stored."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.linking import candidates, linker
from reidpipe.pipeline.linking.evidence.constraints import OVERLAP_SECONDS, compatible
from reidpipe.pipeline.linking.evidence.spans import spans_of
from reidpipe.pipeline.linking.linker import KEPT_SECONDS, Linker, link_tracklets
from reidpipe.pipeline.linking.revision import with_earlier_numbers
from reidpipe.pipeline.types import Tracklet
from reidpipe.reid import Appearance

DIMENSIONS = 8
CAMERAS = ("a", "b", "c")
SEPARATE = np.eye(len(CAMERAS), dtype=np.bool_)  # any two cameras may overlap


def seen(camera, track_id, first, seconds, person, seed=0, xy=None, noise=0.2):
    """A tracklet of a person, who walks at 1 m/s from a place if there is a floor."""
    rng = np.random.default_rng(seed)
    embedding = np.random.default_rng(1000 + person).normal(size=DIMENSIONS) + noise * rng.normal(size=DIMENSIONS)
    embedding = (embedding / np.linalg.norm(embedding)).astype(np.float32)[None]
    mask = rng.uniform(0.2, 1, (1, DIMENSIONS)).astype(np.float32)
    path = None
    if xy is not None:
        times = np.linspace(0, seconds, 5)
        path = np.column_stack([times, xy[0] + times, np.full(5, xy[1])]).astype(np.float32)
    return Tracklet(camera, track_id, first, first + seconds, 50, Appearance(embedding, mask), floor_path=path)


@st.composite
def crowds(draw):
    """Random tracklets of few people: any overlap, any order, floors in some cameras, times that jump."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 60))
    first = np.cumsum(rng.exponential(draw(st.sampled_from([0.5, 5.0, 60.0, 500.0])), count))
    return [
        seen(CAMERAS[rng.integers(3)], number + 1, float(first[number]), float(rng.exponential(20.0)),
             int(rng.integers(5)), number, rng.uniform(0, 30, 2) if rng.random() < 0.5 else None)
        for number in range(count)]


@contextmanager
def summarised_at_once():
    """Tracklets that ended some minutes ago are not kept until there are many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linker, "REMOVED_AT_ONCE", 1)
        yield


def feed(worker, tracklets, batch=4):
    """Identities after all batches, by track."""
    found = {}
    for start in range(0, len(tracklets), batch):
        some = tracklets[start : start + batch]
        found |= {link.track_id: link.identity for link in worker.add(some, max(one.last_seconds for one in some))}
    return found | {link.track_id: link.identity for link in worker.finish()}


def violations(tracklets, found, config):
    """Pairs of an identity's tracklets that cannot be one person, and absences that are too long."""
    people = {}
    for one in tracklets:
        if one.track_id in found:
            people.setdefault(found[one.track_id], []).append(one)
    bad = []
    for own in people.values():
        spans = spans_of(own, {name: number for number, name in enumerate(CAMERAS)})
        bad += [
            (own[one].key, own[other].key) for one, other in combinations(range(len(own)), 2)
            if own[one].camera == own[other].camera
            and min(spans.last[[one, other]]) - max(spans.first[[one, other]]) > OVERLAP_SECONDS]
        order = np.argsort(spans.first, kind="stable")
        allowed = compatible(spans, spans, config.max_speed, SEPARATE)[order][:, order]
        bad += [own[order[place]].key for place in range(1, len(own)) if not allowed[place - 1, place]]
        until = np.maximum.accumulate(spans.last[order])[:-1]
        bad += [own[row].key for row in order[1:][spans.first[order][1:] - until > config.max_gap_seconds]]
    return bad


def test_a_person_who_was_forgotten_is_nobodys_candidate():
    """Found by the next test, with another seed: a candidate that is forgotten was joined after 993 seconds."""
    worker = Linker(LinkingConfig(false_link_rate=0.999, max_gap_seconds=100.0), CAMERAS, DIMENSIONS)
    with summarised_at_once():
        feed(worker, [seen("a", 1, 0.0, 5.0, 1), seen("c", 2, 1000.0, 9.0, 1)], batch=1)
    assert worker.held() == (1, 0)
    assert worker._recent.candidates.numbers.max() == -1


@settings(max_examples=60, deadline=None)
@given(crowds(), st.sampled_from([10.0, 100.0, 3600.0]), st.sampled_from([0.999, 0.5, 0.05]), st.integers(1, 9))
def test_no_identity_violates_a_constraint(tracklets, max_gap_seconds, false_link_rate, batch):
    config = LinkingConfig(false_link_rate=false_link_rate, max_gap_seconds=max_gap_seconds, min_seconds=0)
    with summarised_at_once():
        found = feed(Linker(config, CAMERAS, DIMENSIONS), tracklets, batch)
    assert set(found) == {one.track_id for one in tracklets}
    assert violations(tracklets, found, config) == []


@settings(max_examples=25, deadline=None)
@given(crowds(), st.integers(0, 15))
def test_a_stored_state_continues_as_if_nothing_had_happened(tracklets, before):
    whole, first, second = (Linker(LinkingConfig(), CAMERAS, DIMENSIONS) for _ in range(3))
    split = min(4 * before, len(tracklets))
    with summarised_at_once():
        expected = feed(whole, tracklets)
        found = {}
        for start in range(0, split, 4):
            some = tracklets[start : start + 4]
            found |= {link.track_id: link.identity for link in first.add(some, max(one.last_seconds for one in some))}
        file = io.BytesIO()
        np.savez(file, **first.state())
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            second.restore(dict(stored))
        assert found | feed(second, tracklets[split:]) == expected


def test_people_keep_their_numbers_when_they_are_linked_afresh():
    before = np.array([7, 7, 7, 4, 4, 9, 9])
    afresh = np.array([20, 20, 21, 21, 9, 22, 9])  # 9 has earlier tracklets, so that its number is not given away
    assert with_earlier_numbers(afresh, before, np.array([9])).tolist() == [7, 7, 4, 4, 9, 22, 9]


@pytest.mark.parametrize("seed", [167, 185, 231, 254])
def test_who_comes_one_by_one_becomes_the_same_people_as_who_comes_at_once(seed):
    """Early decisions, made with little at hand, were kept because no single step made them better."""
    rng = np.random.default_rng(seed)
    first = np.sort(rng.uniform(0, 60, 14)).tolist()
    tracklets = [
        seen(CAMERAS[rng.integers(3)], number + 1, first[number], float(rng.exponential(10.0) + 1),
             int(rng.integers(4)), number, None, 0.35)
        for number in range(14)]
    one_by_one, at_once = (
        feed(Linker(LinkingConfig(min_seconds=0), CAMERAS, DIMENSIONS), tracklets, batch) for batch in (1, 14))
    assert [one_by_one[a] == one_by_one[b] for a, b in combinations(range(1, 15), 2)] == [
        at_once[a] == at_once[b] for a, b in combinations(range(1, 15), 2)]


@settings(max_examples=25, deadline=None)
@given(crowds())
def test_the_same_tracklets_give_the_same_links(tracklets):
    assert link_tracklets(tracklets, LinkingConfig()) == link_tracklets(tracklets[::-1], LinkingConfig())


@settings(max_examples=50, deadline=None)
@given(crowds())
def test_whole_arrays_of_pairs_are_compared_as_single_pairs_are(tracklets):
    spans = spans_of(tracklets, {name: number for number, name in enumerate(CAMERAS)})
    together = compatible(spans, spans, 3.5, SEPARATE)
    rows = np.arange(len(spans))
    for one in rows[:5]:
        assert [bool(compatible(spans[rows[[one]]], spans[rows[[other]]], 3.5, SEPARATE)[0, 0]) for other in rows] == (
            together[one].tolist())
    assert (together == together.T).all()


def test_who_is_seen_every_five_minutes_for_four_hours_is_one_person():
    visits = [seen("a", number + 1, 300.0 * number, 20.0, 1, number) for number in range(48)]
    assert len(set(feed(Linker(LinkingConfig(), CAMERAS, DIMENSIONS), visits, 1).values())) == 1
    assert {link.identity for link in link_tracklets(visits, LinkingConfig())} == {1}


def test_who_was_away_for_too_long_is_a_new_person():
    visits = [seen("a", 1, 0.0, 20.0, 1), seen("a", 2, 3700.0, 20.0, 1, 1), seen("a", 3, 3800.0, 20.0, 1, 2)]
    found = feed(Linker(LinkingConfig(), CAMERAS, DIMENSIONS), visits, 1)
    assert found[1] != found[2] == found[3]


def test_memory_is_bounded_by_the_people_who_can_come_back():
    worker = Linker(LinkingConfig(max_gap_seconds=600), CAMERAS, DIMENSIONS)
    sizes = []
    for number in range(1500):
        worker.add([seen("a", number + 1, 10.0 * number, 5.0, number // 4, number)], 10.0 * number + 5)
        sizes.append(sum(array.nbytes for array in worker.state().values()))
    assert max(sizes[1000:]) <= 1.02 * max(sizes[300:1000])


def test_in_a_crowd_the_oldest_tracklets_are_summarised_early(monkeypatch):
    monkeypatch.setattr(linker, "MOST_RECENT", 100)
    worker = Linker(LinkingConfig(), CAMERAS, DIMENSIONS)
    tracklets = [seen("a", number + 1, number / 10, 1.0, number % 50, number) for number in range(600)]
    found = feed(worker, tracklets)
    assert worker.held()[0] <= 100 + 4
    assert violations(tracklets, found, LinkingConfig()) == []


def test_long_tracklets_are_linked_before_they_end():
    worker = Linker(LinkingConfig(), CAMERAS, DIMENSIONS)
    whole = seen("a", 1, 0.0, 1000.0, 1)
    early = {}
    for moment in range(30, 1000, 60):
        early |= {link.track_id: link.identity for link in worker.add(
            [replace(whole, last_seconds=float(moment)), seen("b", moment, moment - 20.0, 10.0, 1, moment)], moment)}
    found = {link.track_id: link.identity for link in worker.add([whole], 1000.0)}
    assert set((early | found).values()) == {1}
    assert worker.held()[0] <= KEPT_SECONDS / 60 + 1 + linker.REMOVED_AT_ONCE


def test_the_index_finds_the_same_people_as_the_exact_search(monkeypatch):
    people = 400
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(people, 64)).astype(np.float32)
    found = {}
    for limit in (candidates.EXACT_ROWS, 100):
        monkeypatch.setattr(candidates, "EXACT_ROWS", limit)
        known = candidates.KnownIdentities(LinkingConfig(), 64)
        embedding = looks / np.linalg.norm(looks, axis=1, keepdims=True)
        appearance = Appearance(embedding, np.ones_like(embedding))
        known.add(np.arange(1, people + 1), appearance, np.zeros(people), np.full((people, 2), np.nan, np.float32))
        later = spans_of([seen("a", 1, 100.0, 5.0, 1)] * 20, {"a": 0})
        found[limit] = known.search(appearance[:20], later).numbers[:, 0]
    assert [one.tolist() for one in found.values()] == [list(range(1, 21))] * 2


@pytest.mark.parametrize("mode", ["query", "plain"])
def test_all_modes_can_be_linked(mode):
    tracklets = [seen(CAMERAS[number % 3], number + 1, 400.0 * number, 5.0, number % 2, number) for number in range(30)]
    links = link_tracklets(tracklets, LinkingConfig(mode=mode, false_link_rate=0.8))
    assert len({link.identity for link in links}) <= 4
