"""Persons' answers about links: which stated probabilities they judge, and the calibration that follows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reidpipe.pipeline.config.linking import CalibrationConfig
from reidpipe.pipeline.corrections.decisions import confirm, merge, not_the_same, split, undo
from reidpipe.pipeline.errors import ConfigError
from reidpipe.pipeline.evaluation.linking.answers import LEAST_ANSWERS, Answers, adjusted, read_answers
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.types import Crop, Link, Tracklet
from reidpipe.reid import Appearance
from tests.pipeline.commands import reidpipe
from tests.pipeline.stored_runs import camera

PEOPLE = 2 * LEAST_ANSWERS
PICTURE = np.zeros((40, 20, 3), np.uint8)
LOOK = Appearance(np.eye(8, dtype=np.float32)[:1], np.ones((1, 8), np.float32))


@pytest.fixture
def path(tmp_path):
    """Person N is track N of the door and, by a link of probability N / 100, track N of the hall; all are apart."""
    rows = [camera("door"), camera("hall")]
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", rows) as run:
        for name, begin in (("door", 0.0), ("hall", 10_000.0)):
            for person in range(1, PEOPLE + 1):
                first = begin + 60.0 * person
                run.add_tracklet(Tracklet(name, person, first, first + 5.0, 10, LOOK, [Crop(0, first, 0.5, PICTURE)],
                                          LOOK))
        run.add_links([Link("door", person, person, None, None, None) for person in range(1, PEOPLE + 1)])
        run.add_links([
            Link("hall", person, person, 0.5, 1.0, 50.0, probability=0.5 + person / 100)
            for person in range(1, PEOPLE + 1)])
    return tmp_path / "a.db"


def say_same(store, person):
    return confirm(store, 1, person, [("door", person), ("hall", person)], "Ada")


def stated(answers):
    return {round(float(1 / (1 + np.exp(-odds))), 3): bool(right)
            for odds, right in zip(answers.odds, answers.right, strict=True)}


def test_an_answer_judges_the_link_that_it_is_about(path):
    with Store.open(path) as store:
        assert len(read_answers(store, None).right) == 0
        say_same(store, 1)
        split(store, 1, 2, "Ada", tracklets=[("hall", 2)])
        split(store, 1, 3, "Ada", tracklets=[("door", 3)])  # the first one leaves: the other one's link was wrong
        assert stated(read_answers(store, None)) == {0.51: True, 0.52: False, 0.53: False}


def test_what_was_undone_and_what_states_no_probability_is_no_answer(path):
    with Store.open(path) as store:
        split(store, 1, 2, "Ada", tracklets=[("hall", 2)])
        undo(store, 1, "Ada")
        merge(store, 1, 4, 5, "Ada")
        not_the_same(store, 1, 6, 7, "Ada")
        assert len(read_answers(store, None).right) == 0


def test_the_newest_answer_counts(path):
    with Store.open(path) as store:
        say_same(store, 1)
        split(store, 1, 1, "Ada", tracklets=[("hall", 1)])
        assert stated(read_answers(store, None)) == {0.51: False}


def drawn(truly: CalibrationConfig, count: int, seed: int = 0) -> Answers:
    """Answers about links near the decision line that a calibration with log-odds 2 * similarity - 1 has stated."""
    random = np.random.default_rng(seed)
    similarity = random.uniform(0, 1, count)
    right = random.random(count) < 1 / (1 + np.exp(-(truly.similarity * similarity + truly.bias)))
    return Answers(2 * similarity - 1, right)


def test_many_answers_lead_to_the_probabilities_that_are_true():
    truly = CalibrationConfig(similarity=3.0, motion=0.9, bias=-2.5, level=0.3)
    answers = drawn(truly, 20_000)
    found, scale, shift = adjusted(answers, CalibrationConfig(similarity=2.0, motion=0.6, bias=-1.0, level=0.3))
    assert (found.similarity, found.motion, found.bias) == pytest.approx((3.0, 0.9, -2.5), abs=0.15)
    assert answers.brier(scale, shift) < answers.brier()


def test_few_answers_change_little():
    truly, own = CalibrationConfig(similarity=9.0, bias=-5.0), CalibrationConfig(similarity=2.0, bias=-1.0)
    few, many = (adjusted(drawn(truly, count, 3), own)[0].similarity for count in (60, 5000))
    assert own.similarity < few < many


def test_answers_that_contradict_the_probabilities_never_turn_them_around():
    odds = np.repeat([-1.0, 1.0], LEAST_ANSWERS)
    assert adjusted(Answers(odds, odds < 0), CalibrationConfig())[1] >= 0


def test_too_few_answers_say_how_many_are_missing():
    with pytest.raises(ConfigError, match=f"answer 0 and {LEAST_ANSWERS - 1} more on the review page"):
        adjusted(Answers(np.zeros(LEAST_ANSWERS + 1), np.arange(LEAST_ANSWERS + 1) > 0), CalibrationConfig())


def test_the_command_fits_to_answers_and_the_run_can_be_linked_with_them(path):
    with Store.open(path) as store:
        for person in range(1, PEOPLE + 1):
            if person > LEAST_ANSWERS:
                say_same(store, person)
            else:
                split(store, 1, person, "Ada", tracklets=[("hall", person)])
    done = reidpipe("calibrate", "--database", path, "--fit")
    assert done.exit_code == 0, done.output
    assert f"fitted to {PEOPLE} answers, {LEAST_ANSWERS} of them for the link" in done.stdout
    fitted = json.loads(reidpipe("calibrate", "--database", path, "--fit", "--json").stdout)["fitted"]
    settings = [f"--set=calibration.{name}={value}" for name, value in fitted.items()]
    linked = json.loads(reidpipe("link", "--database", path, "--dry-run", "--json", *settings).stdout)
    assert linked["config"]["calibration"] == pytest.approx(fitted)
    refused = reidpipe("link", "--database", path, "--set=calibration.looks=1")
    assert (refused.exit_code, "linking.calibration.looks" in refused.output) == (2, True), refused.output


def test_a_fit_without_answers_is_one_line(path):
    done = reidpipe("calibrate", "--database", path, "--fit")
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert f"answer {LEAST_ANSWERS} and {LEAST_ANSWERS} more" in done.stderr
