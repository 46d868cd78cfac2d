"""Search by photo and by a stored picture."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.config.linking import LinkingConfig
from reidpipe.pipeline.web.search.gallery import Gallery
from reidpipe.reid import Appearance, masked_similarity
from tests.pipeline.web.served import encoded
from tests.pipeline.web.small_store import RED, START


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_person_is_found_by_a_photo(served, suffix):
    photo = served.post("/api/search/photo", encoded(np.full((120, 40, 3), RED, np.uint8), suffix)).json()
    assert len(photo["people"]) == 1
    assert served.get(f"/media/photos/{photo['photo']}/0").headers["content-type"] == "image/webp"
    found = served.get(f"/api/search?photo={photo['photo']}&person=0").json()["found"]
    assert found[0]["identity"] == 1
    assert found[0]["similarity"] > 0.95
    found = served.get(f"/api/search?photo={photo['photo']}&person=0&camera=2").json()["found"]
    assert [one["identity"] for one in found] == [2, 3]
    assert served.get(f"/api/search?photo={photo['photo']}&person=0&to={START - 1}").json()["found"] == []


def test_a_person_is_found_by_a_stored_crop(served):
    found = served.get("/api/search?tracklet=1&frame=2").json()["found"]
    assert found[0]["identity"] == 1


@pytest.mark.parametrize("query", [
    "", "photo=unknown&person=0", "tracklet=1", "tracklet=1&frame=99", "tracklet=1&frame=2&camera=9", "person=x"])
def test_a_search_for_nothing_is_one_line(served, query):
    answer = served.get(f"/api/search?{query}")
    assert (answer.status_code, "\n" in answer.json()["error"]) == (400, False)


@pytest.mark.parametrize("mode", ["plain", "query", "joint"])
@pytest.mark.parametrize("masks", ["constant", "of the gallery", "of the query", "of both"])
def test_the_gallery_gives_the_similarity_of_the_model(masks, mode):
    random = np.random.default_rng(3)
    embedding = random.integers(-127, 128, (40, 8)).astype(np.int8)
    mask = random.integers(1, 256, (40, 8 if "gallery" in masks or "both" in masks else 1)).astype(np.uint8)
    own = random.normal(size=(1, 8)).astype(np.float32)
    own /= np.linalg.norm(own)
    reliable = np.full((1, 8), 0.5, np.float32)
    if "query" in masks or "both" in masks:
        reliable = random.uniform(0.1, 1, (1, 8)).astype(np.float32)
    query, numbers = Appearance(own, reliable), np.arange(40)
    unit = embedding.astype(np.float32) / np.linalg.norm(embedding.astype(np.float32), axis=1, keepdims=True)
    whole = Appearance(unit, np.ascontiguousarray(np.broadcast_to(mask / np.float32(255), unit.shape), np.float32))
    gallery = Gallery(LinkingConfig(mode=mode), (), embedding, mask, numbers, numbers, numbers * 1.0, numbers * 1.0)
    expected = masked_similarity(query, whole, mode)[0]
    assert gallery.similarity(query, numbers) == pytest.approx(expected, abs=1e-5)
