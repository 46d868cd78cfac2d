"""A person is found by pictures or by an identity, in a place and at a time; a link shows its evidence."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from reidpipe.pipeline.corrections.decisions import merge, rename
from reidpipe.pipeline.errors import ConfigError, CorrectionError, SourceError, StoreError
from reidpipe.pipeline.search.evidence import deciding_crops, explain_link
from reidpipe.pipeline.search.evidence_picture import verdict_of
from reidpipe.pipeline.search.query import take_person
from reidpipe.pipeline.search.ranking import Wanted, identity_query, rank_identities
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.types import Crop, Observations, Tracklet
from reidpipe.reid import Appearance, Embedder
from reidpipe.trackers import Detections
from tests.pipeline.commands import reidpipe
from tests.pipeline.networks import write_embedder
from tests.pipeline.stored_runs import COLOURS, DOOR_1, DOOR_2, HALL_1, HALL_2, camera, coloured_run


@pytest.fixture
def weights(tmp_path):
    return write_embedder(tmp_path / "colour.onnx", by_colour=True)


@pytest.fixture
def database(tmp_path, weights):
    """Identities 1 (door 1, red), 2 (door 2 and hall 1, blue) and 3 (hall 2, red)."""
    coloured_run(tmp_path / "a.db", weights)
    return tmp_path / "a.db"


@pytest.fixture
def store(database):
    with Store.open(database) as opened:
        yield opened


def picture(path, colour, size_wh=(32, 64)):
    cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0], 3), colour, np.uint8))
    return path


def query(weights, *colours):
    return Embedder(weights).embed([np.full((64, 32, 3), colour, np.uint8) for colour in colours])


class Finds:
    """A detector that finds the same boxes in every image."""

    def __init__(self, *xyxy):
        self._xyxy = np.array(xyxy, np.float32).reshape(-1, 4)

    def detect(self, images):
        return [Detections(self._xyxy, confidence=np.ones(len(self._xyxy), np.float32)) for _ in images]


def test_identities_are_ranked_by_similarity_with_their_visits(store, weights):
    found = rank_identities(store, None, query(weights, COLOURS[HALL_2]))
    assert [one.identity for one in found] == [3, 1, 2]
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert found[0].probability > 0.9 > found[2].probability
    assert [key for key, _ in found[2].tracklets] in ([DOOR_2, HALL_1], [HALL_1, DOOR_2])
    assert [(visit.camera, visit.enter_seconds) for visit in found[2].visits] == [("door", 0.0), ("hall", 30.0)]
    assert 0 < found[0].shared_mask <= 1


@pytest.mark.parametrize(("wanted", "expected"), [
    pytest.param(Wanted(cameras=("hall",)), [3, 2], id="by a camera"),
    pytest.param(Wanted(first_seconds=35, last_seconds=60), [3, 2], id="at a time"),
    pytest.param(Wanted(first_seconds=40, last_seconds=50), [], id="when nobody was there"),
    pytest.param(Wanted(("door",), last_seconds=5), [1, 2], id="by a camera at a time"),
])
def test_only_who_was_there_and_then_is_found(store, weights, wanted, expected):
    found = rank_identities(store, None, query(weights, COLOURS[HALL_2]), wanted)
    assert [one.identity for one in found] == expected
    assert all(wanted.holds(*key_and_time) for one in found for visit in one.visits
               for key_and_time in [(visit.camera, visit.enter_seconds, visit.leave_seconds)])


def test_an_identity_finds_those_who_resemble_it(store):
    found = rank_identities(store, None, identity_query(store, None, 1), without=1)
    assert [one.identity for one in found] == [3, 2]


def test_a_search_follows_corrections_and_names(store, weights):
    merge(store, None, 1, 3, "Ada")
    rename(store, None, 1, "Bob", "Ada")
    found = rank_identities(store, None, query(weights, COLOURS[DOOR_1]))
    assert [(one.identity, one.name, len(one.tracklets)) for one in found] == [(1, "Bob", 2), (2, None, 2)]


def test_several_pictures_combine(store, weights):
    """What is masked in one picture is seen in the other."""
    red, blue = query(weights, (0, 0, 255)), query(weights, (255, 0, 0))
    mixed = Appearance(np.vstack([red.embedding, blue.embedding]), np.vstack([red.mask, 0 * blue.mask + 0.001]))
    assert [one.identity for one in rank_identities(store, None, mixed)][-1] == 2


def test_a_query_of_another_model_or_camera_is_refused(store):
    other = Appearance(np.eye(1, 5, dtype=np.float32), np.ones((1, 5), np.float32))
    with pytest.raises(StoreError, match="8 dimensions, the query has 5"):
        rank_identities(store, None, other)
    with pytest.raises(ConfigError, match="no camera roof: it has door, hall"):
        rank_identities(store, None, identity_query(store, None, 1), Wanted(cameras=("roof",)))
    with pytest.raises(CorrectionError, match="no identity 9"):
        identity_query(store, None, 9)


SCENE = (400, 300)
TWO = ([300, 10, 340, 110], [20, 10, 60, 120])


@pytest.mark.parametrize(("size", "boxes", "person", "expected"), [
    pytest.param(SCENE, [[10, 20, 60, 120]], None, (100, 50), id="the only person of a scene"),
    pytest.param(SCENE, TWO, 1, (110, 40), id="the first from the left"),
    pytest.param(SCENE, TWO, 2, (100, 40), id="the second from the left"),
    pytest.param((100, 200), [[5, 5, 95, 195], [0, 0, 20, 40]], None, (190, 90), id="a crop with somebody behind"),
    pytest.param((100, 200), [], None, (200, 100), id="a crop in which nobody is found"),
])
def test_the_person_is_taken_out_of_the_picture(tmp_path, size, boxes, person, expected):
    found = take_person(picture(tmp_path / "p.png", (9, 9, 9), size), Finds(*boxes), person)
    assert found.crop.shape[:2] == expected


@pytest.mark.parametrize(("boxes", "person", "message"), [
    pytest.param([], None, "nobody is found in it", id="nobody"),
    pytest.param(TWO, None, "2 people are in it: say which one with --person", id="several"),
    pytest.param(TWO, 3, "only 2 people are found", id="too few"),
])
def test_a_picture_that_shows_no_one_person_is_refused(tmp_path, boxes, person, message):
    with pytest.raises(SourceError, match=message):
        take_person(picture(tmp_path / "p.png", (9, 9, 9), SCENE), Finds(*boxes), person)


def test_the_evidence_of_two_tracklets_has_parts_that_add_up(store):
    found = explain_link(store, None, HALL_2, DOOR_1)
    assert [found.one[:2], found.other[:2]] == [DOOR_1, HALL_2]  # the earlier one first
    odds = sum(part.log_odds for part in found.parts)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-odds)))
    assert found.gap_seconds == pytest.approx(51.0, abs=10)
    assert found.possible
    assert found.similarity > 0.9
    assert verdict_of(found) == "identity 1 and identity 3"


def test_identities_stand_for_their_most_similar_tracklets(store):
    found = explain_link(store, None, 2, 2)
    assert {found.one[:2], found.other[:2]} == {DOOR_2, HALL_1}
    assert verdict_of(found) == "both are identity 2"
    merge(store, None, 1, 3, "Ada")
    assert verdict_of(explain_link(store, None, 1, 1)) == "both are identity 1 by a person's decision"


def test_people_whom_one_camera_sees_at_once_cannot_be_one(store):
    found = explain_link(store, None, DOOR_1, DOOR_2)
    assert (found.possible, found.probability) == (False, 0.0)


@pytest.mark.parametrize(("one", "other", "message"), [
    pytest.param(("door", 9), 1, "no track 9 of door", id="unknown tracklet"),
    pytest.param(9, 1, "no identity 9", id="unknown identity"),
    pytest.param(1, 1, "are one tracklet", id="an identity with one tracklet"),
])
def test_what_cannot_be_compared_is_refused(store, one, other, message):
    with pytest.raises(CorrectionError, match=message):
        explain_link(store, None, one, other)


def test_the_crops_that_decided_are_one_of_each_with_their_maps(store, weights):
    found = explain_link(store, None, DOOR_1, HALL_2)
    crops = deciding_crops(store, 1, found, Embedder(weights))
    assert [(one.stored.camera, one.stored.track) for one in crops] == [DOOR_1, HALL_2]
    assert all(one.evidence.shape == (16, 8) for one in crops)


@pytest.mark.parametrize(("forgotten", "expected"), [
    pytest.param("", 1, id="stored"), pytest.param("DELETE FROM appearances WHERE kind = 'crop'", 0, id="pruned")])
def test_the_crops_that_decided_are_chosen_by_their_stored_appearance(tmp_path, weights, forgotten, expected):
    """The second crop of the door was stored as blue, but what the model saw in full size was as red as the hall's."""
    embedder = Embedder(weights)
    red, blue = (np.full((64, 32, 3), one, np.uint8) for one in ((0, 0, 255), (255, 0, 0)))
    with Store.open(tmp_path / "b.db", create=True) as store:
        with store.start_run("{}", [camera("door"), camera("hall")]) as run:
            for name, first, pictures, seen in (("door", 0, [red, blue], [blue, red]), ("hall", 30, [red], [red])):
                crops = [Crop(first + n, float(first + n), 0.5, one) for n, one in enumerate(pictures)]
                run.add_observations(Observations(
                    name, first, float(first), np.array([1]), np.array([[10, 20, 50, 120]], np.float32),
                    np.full(1, 0.5, np.float32), np.ones(1, np.float32)))
                run.add_tracklet(Tracklet(
                    name, 1, float(first), first + 9.0, 10, embedder.embed(seen[-1:]), crops, embedder.embed(seen)))
        if forgotten:
            with store.writing() as connection:
                connection.exec_driver_sql(forgotten)
        found = deciding_crops(store, 1, explain_link(store, 1, DOOR_1, HALL_1), embedder)
    assert [one.stored.frame for one in found] == [expected, 30]


def test_the_command_prints_and_draws_what_it_finds(database, tmp_path):
    sheet = tmp_path / "sheet.png"
    result = reidpipe("search", "--identity", 1, "--database", database, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    assert "hall 00:01:00" in result.output
    assert cv2.imread(str(sheet)).shape[0] > 2 * 150
    later = ("--time", "00:00:50/", "--json")
    found = json.loads(reidpipe("search", "--identity", 1, "--database", database, *later).output)
    assert [(one["identity"], one["tracklets"][0]["camera"]) for one in found] == [(3, "hall")]


def test_the_command_takes_a_crop(database, tmp_path):
    crop = picture(tmp_path / "red.png", COLOURS[HALL_2])
    result = reidpipe("search", "--image", crop, "--database", database, "--sheet", tmp_path / "s.png", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["identity"] == 3


@pytest.mark.parametrize(("arguments", "code", "message"), [
    pytest.param([], 2, "who is looked for?", id="nobody"),
    pytest.param(["--identity", "1", "--person", "2"], 2, "--person says which person of a picture", id="no picture"),
    pytest.param(["--image", "{folder}/none.png"], 2, "none.png: no such image", id="no such image"),
    pytest.param(["--identity", "1", "--time", "09:00"], 2, "expected START/END", id="no interval"),
    pytest.param(["--identity", "1", "--time", "09:10/09:00"], 2, "ends before it begins", id="backwards"),
    pytest.param(["--identity", "1", "--time", "9h/"], 2, "expected a time such as", id="no time"),
    pytest.param(["--identity", "1", "--sheet", "{folder}/s.jpg"], 6, "ends in .png", id="no PNG"),
    pytest.param(["--identity", "1", "--sheet", "{folder}/a.db"], 6, "ends in .png", id="the database"),
])
def test_mistakes_are_one_line(database, arguments, code, message):
    filled = [one.format(folder=database.parent) for one in arguments]
    result = reidpipe("search", *filled, "--database", database)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_the_sheet_does_not_replace_a_query_or_a_foreign_picture(database, tmp_path):
    crop = picture(tmp_path / "red.png", COLOURS[HALL_2])
    before = crop.read_bytes()
    result = reidpipe("search", "--image", crop, "--sheet", crop, "--database", database, "--force")
    assert (result.exit_code, crop.read_bytes()) == (6, before)
    assert reidpipe("search", "--identity", 1, "--sheet", crop, "--database", database).exit_code == 6


def test_explain_link_prints_and_draws(database, tmp_path):
    out = tmp_path / "why.png"
    result = reidpipe("explain", "link", "door:1", 3, "--out", out, "--database", database)
    assert result.exit_code == 0, result.output
    assert "door:1 and hall:2: identity 1 and identity 3" in result.output
    assert "probability that they are one person" in result.output
    assert cv2.imread(str(out)).shape[0] > 320
    parts = json.loads(reidpipe("explain", "link", 1, 3, "--json", "--database", database).output)["parts"]
    assert [set(part) for part in parts] == [{"weight", "what", "log_odds"}] * 3
    result = reidpipe("explain", "link", "door", 3, "--database", database)
    assert (result.exit_code, "expected a tracklet as CAMERA:TRACK" in result.output) == (2, True)
