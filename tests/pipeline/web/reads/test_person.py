"""One identity's page."""

from __future__ import annotations

import math
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.storage.packing import encode_crop
from tests.pipeline.web.served import Served, decoded, tracklets
from tests.pipeline.web.small_store import START


def test_the_page_of_an_identity_shows_what_decided_its_links(browser):
    found = browser.get("/api/identities/1").json()
    first, second = found["tracklets"]
    assert (first["camera"], first["similarity"], len(first["crops"])) == ("door", None, 2)
    assert (second["camera"], second["similarity"], second["probability"], second["by"]) == ("hall", 0.6, 0.7, "model")
    assert second["pair"]["own"]["tracklet"] == second["id"]
    assert second["pair"]["other"]["tracklet"] == first["id"]
    assert -1 <= second["pair"]["similarity"] <= 1
    crop = second["pair"]["own"]
    picture = browser.get(f"/media/crops/{crop['tracklet']}/{crop['frame']}")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")
    portrait = browser.get("/media/portraits/1")
    assert portrait.content[8:12] == b"WEBP"


def test_the_crops_that_decided_are_the_most_similar_ones(browser, path):
    with sqlite3.connect(path) as connection:  # the second crop of the hall has the embedding of the door's first
        connection.execute(
            "UPDATE appearances SET embedding = (SELECT embedding FROM appearances WHERE kind = 'crop' "
            "AND tracklet_id = (SELECT id FROM tracklets WHERE track_id = 1 AND camera_id = 1) ORDER BY seconds) "
            "WHERE kind = 'crop' AND seconds = 31")
    pair = tracklets(browser, 1)["hall", 1]["pair"]
    assert (pair["own"]["seconds"], pair["other"]["seconds"]) == (31, 0)
    assert pair["similarity"] == pytest.approx(1, abs=1e-3)


def test_a_link_is_compared_with_whom_was_seen_before(browser, path):
    """Of three tracklets, hall 2 resembles door 1; a single crop of hall 1 is the very image of one of hall 2."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE tracklets SET identity_id = (SELECT identity_id FROM tracklets WHERE first_seconds = 30) "
            "WHERE first_seconds = 60")
        connection.execute(
            "UPDATE appearances SET embedding = (SELECT embedding FROM appearances WHERE kind = 'crop' "
            "AND seconds = 60) WHERE kind = 'crop' AND seconds = 31")
    own = tracklets(browser, 1)
    door, hall_1, hall_2 = own["door", 1], own["hall", 1], own["hall", 2]
    assert hall_1["pair"]["other"]["tracklet"] == door["id"], "not with somebody who came later"
    assert hall_2["pair"]["other"]["tracklet"] == door["id"], "with the most similar tracklet, whose similarity decided"
    link = browser.get(f"/api/links/{hall_2['id']}").json()
    assert (link["other"]["id"], link["pair"]) == (door["id"], hall_2["pair"])


def test_the_evidence_of_a_link_has_parts_that_add_up(browser):
    own = tracklets(browser, 1)
    found = browser.get(f"/api/evidence/{own['door', 1]['id']}/{own['hall', 1]['id']}").json()
    assert [found[side]["camera"] for side in ("one", "other")] == ["door", "hall"]
    assert [part["weight"] for part in found["parts"]] == ["similarity", "motion", "bias"]
    odds = sum(part["log_odds"] for part in found["parts"])
    assert found["probability"] == pytest.approx(1 / (1 + math.exp(-odds)))
    assert found["shared_mask"] is None, "the model has no mask"


def test_the_map_of_a_picture_shows_where_the_model_sees_the_person(footage_path, tmp_path):
    path = Path(shutil.copy(footage_path, tmp_path / "store.db"))
    noise = np.random.default_rng(0).integers(0, 255, (128, 64, 3), np.uint8)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE crops SET image = ?", (encode_crop(noise),))
    maps = []
    for blur in (False, True):
        page = Served(path, tmp_path, blur=blur)
        crop = page.get("/api/identities/2").json()["tracklets"][1]["pair"]["own"]
        found = page.get(f"/media/evidence/{crop['tracklet']}/{crop['frame']}")
        assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
        maps.append(decoded(found.content))
        assert page.get(f"/media/evidence/{crop['tracklet']}/999").status_code == 404
        page.close()
    plain, blurred = maps
    assert plain.shape == (320, 160, 3)
    assert (plain[:78] != blurred[:78]).any()
    assert (plain[84:] == blurred[84:]).all()


def test_an_identity_of_one_tracklet_has_no_pair(browser):
    assert tracklets(browser, 3)["hall", 2]["pair"] is None


def test_a_stored_picture_that_is_none_is_not_sent(browser, path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE crops SET image = ?", (b"<svg onload='alert(1)'>",))
    crop = browser.get("/api/identities/1").json()["tracklets"][0]["crops"][0]
    assert browser.get(f"/media/crops/{crop['tracklet']}/{crop['frame']}").status_code == 404
    assert browser.get("/media/portraits/1").status_code == 404


def test_the_path_on_the_floor_is_in_metres(served):
    (path,) = served.get("/api/identities/1/path").json()["paths"]
    assert path["points"][0] == [START, pytest.approx(0.8), pytest.approx(2.0)]
