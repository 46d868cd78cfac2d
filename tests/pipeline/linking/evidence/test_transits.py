"""Where people go next, and how long they take, is learnt from sure links and is evidence for others."""

import numpy as np
import pytest

from reidpipe.pipeline.config.linking import LinkingConfig, TransitConfig
from reidpipe.pipeline.linking.evidence.spans import spans_of
from reidpipe.pipeline.linking.evidence.transits import MOST_EVIDENCE, Transits
from reidpipe.pipeline.linking.linker import Linker
from reidpipe.pipeline.types import Tracklet
from reidpipe.reid import Appearance

NUMBERS = {"door": 0, "aisle": 1, "till": 2}


def spans(*rows):
    """Spans of (camera, first, last)."""
    nothing = Appearance.empty(4)
    return spans_of([Tracklet(camera, 1, first, last, 9, nothing) for camera, first, last in rows], NUMBERS)


def walks(people):
    """Everybody leaves the door, is in the aisle ten seconds later, and at the till three seconds after that."""
    rows, identity = [], []
    for person in range(people):
        begin = 37.0 * person
        rows += [("door", begin, begin + 5), ("aisle", begin + 15, begin + 20), ("till", begin + 23, begin + 30)]
        identity += [person] * 3
    return spans(*rows), np.array(identity)


def learnt(people=300, sure=True):
    transits = Transits(list(NUMBERS), [])
    seen, identity = walks(people)
    transits.learn(seen, identity, np.full(len(identity), sure), np.arange(len(identity)))
    return transits


def evidence(transits, leaves, enters, seconds):
    return transits.evidence(spans((leaves, 0, 5)), spans((enters, 5 + seconds, 40 + seconds)))[0, 0]


def test_nothing_learnt_is_no_evidence():
    transits = Transits(list(NUMBERS), [])
    assert (transits.evidence(spans(("door", 0, 5), ("till", 90, 95)), spans(("aisle", 20, 30))) == 0).all()


def test_usual_transits_speak_for_one_person_and_others_against():
    transits = learnt()
    assert evidence(transits, "door", "aisle", 10) > 1
    assert evidence(transits, "aisle", "till", 3) > 1
    assert evidence(transits, "door", "aisle", 100) < -1, "nobody takes so long"
    assert evidence(transits, "door", "till", 10) < -1, "nobody goes there directly"


def test_evidence_is_the_same_in_whichever_order_two_tracklets_are_given():
    door, aisle = spans(("door", 0, 5)), spans(("aisle", 15, 20))
    assert learnt().evidence(door, aisle)[0, 0] == learnt().evidence(aisle, door)[0, 0]


def test_evidence_is_bounded_and_none_for_people_seen_at_once():
    transits = learnt(people=2000)
    assert evidence(transits, "door", "aisle", 10) == MOST_EVIDENCE
    assert evidence(transits, "door", "aisle", -2) == 0


def test_little_is_concluded_from_few_transits_and_nothing_from_unsure_links():
    assert 0 < evidence(learnt(people=3), "door", "aisle", 10) < 1
    assert evidence(learnt(sure=False), "door", "aisle", 10) <= 0


def test_transits_of_the_config_are_known_from_the_beginning():
    transits = Transits(list(NUMBERS), [TransitConfig(leaves="door", enters="aisle", seconds=(5, 20))])
    assert evidence(transits, "door", "aisle", 10) > 1
    assert evidence(transits, "door", "till", 10) < -1
    assert evidence(transits, "door", "door", 1) == pytest.approx(0, abs=0.3), "a track may break"
    assert evidence(transits, "aisle", "till", 10) == 0


def looks(angle):
    embedding = np.array([[np.cos(angle), np.sin(angle), 0, 0]], np.float32)
    return Appearance(embedding, np.ones_like(embedding))


@pytest.mark.parametrize(("seconds", "people"), [pytest.param(10, 1, id="usual"), pytest.param(100, 2, id="too long")])
def test_a_doubtful_link_is_made_if_the_time_between_is_usual(seconds, people):
    transit = TransitConfig(leaves="door", enters="aisle", seconds=(5, 20))
    linker = Linker(LinkingConfig(transits=[transit], self_calibration=False), list(NUMBERS), 4)
    doubtful = np.arccos(5.2 / 10.2)  # log-odds of 0
    pair = [
        Tracklet("door", 1, 0, 5, 50, looks(0)),
        Tracklet("aisle", 1, 5 + seconds, 15 + seconds, 50, looks(doubtful)),
    ]
    links = linker.add(pair, 200) + linker.finish()
    assert len({link.identity for link in links}) == people
