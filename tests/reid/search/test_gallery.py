"""The gallery search returns what exhaustive comparison returns."""

import numpy as np
import pytest

from reidpipe.reid import Appearance, Gallery, masked_similarity
from reidpipe.reid.errors import GalleryError
from reidpipe.reid.search import gallery as gallery_module
from reidpipe.reid.search.bench import SyntheticGallery

D = 64


def synthetic(rows, seed=0, views=4):
    """Appearances of synthetic identities, `views` of each."""
    identities = max(rows // views, 1)
    return SyntheticGallery(identities, D, seed).views(np.arange(rows) % identities)


def filled(appearance, ids=None):
    gallery = Gallery(appearance.dimensions)
    gallery.add(appearance, ids)
    return gallery


def assert_same_as_exhaustive(query, appearance, matches, mode="joint"):
    """Rows differ only where their similarities agree within the documented precision."""
    similarity = masked_similarity(query, appearance, mode)
    k = matches.ids.shape[1]
    expected = np.sort(similarity, 1)[:, ::-1][:, :k]
    np.testing.assert_allclose(matches.similarity, expected, atol=1e-3)
    np.testing.assert_allclose(np.take_along_axis(similarity, matches.ids, 1), expected, atol=2e-3)
    assert all(len(set(row)) == k for row in matches.ids.tolist())


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("reidpipe.reid.search.blocks.BLOCK_ROWS", 100)
    monkeypatch.setattr(gallery_module, "QUERY_ROWS", 3)


@pytest.mark.parametrize("mode", ["plain", "query", "joint"])
@pytest.mark.parametrize("rows", [pytest.param(99, id="one block"), pytest.param(430, id="blocks, the last not full")])
def test_the_exact_search_equals_exhaustive_comparison(small_blocks, mode, rows):
    appearance, query = synthetic(rows), synthetic(8, seed=1)
    assert_same_as_exhaustive(query, appearance, filled(appearance).search(query, 10, mode), mode)


def test_constant_and_noisy_masks_are_searched_exactly(small_blocks):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((300, D)).astype(np.float32)
    embedding = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    for mask in (np.ones_like(embedding), (0.01 * rng.random((300, D))).astype(np.float32)):
        appearance = Appearance(embedding, mask)
        assert_same_as_exhaustive(appearance[:5], appearance, filled(appearance).search(appearance[:5], 7))


def test_filling_in_parts_changes_nothing(small_blocks):
    appearance, query = synthetic(250), synthetic(4, seed=1)
    parts = Gallery(D)
    for start, stop in ((0, 0), (0, 30), (30, 230), (230, 250)):
        parts.add(appearance[start:stop])
    assert len(parts) == 250
    np.testing.assert_array_equal(parts.search(query, 9).ids, filled(appearance).search(query, 9).ids)


@pytest.mark.parametrize("exact", [True, False])
def test_identical_rows_are_all_found(monkeypatch, small_blocks, exact):
    monkeypatch.setattr(gallery_module, "FAST_FROM_ROWS", 1)
    same = synthetic(1)
    appearance = Appearance(np.repeat(same.embedding, 250, 0), np.repeat(same.mask, 250, 0))
    matches = filled(appearance).search(same, 20, exact=exact)
    np.testing.assert_allclose(matches.similarity, 1, atol=1e-3)
    assert len(set(matches.ids[0].tolist())) == 20


def test_a_mask_of_zeros_has_no_similarity_to_anyone(small_blocks):
    query = synthetic(2)
    occluded = Appearance(query.embedding, np.zeros_like(query.mask))
    assert (filled(synthetic(150)).search(occluded, 3).similarity == 0).all()
    assert (filled(occluded).search(query, 2).similarity == 0).all()


def test_the_fast_search_has_high_recall_and_returns_the_same_similarities(monkeypatch, small_blocks):
    monkeypatch.setattr(gallery_module, "FAST_FROM_ROWS", 1)
    appearance, query = synthetic(3000), synthetic(40, seed=0)
    gallery = filled(appearance)
    exact, fast = gallery.search(query, 10), gallery.search(query, 10, exact=False)
    assert np.mean([np.isin(one, other).mean() for one, other in zip(exact.ids, fast.ids, strict=True)]) >= 0.98
    similarity = masked_similarity(query, appearance)
    np.testing.assert_allclose(np.take_along_axis(similarity, fast.ids, 1), fast.similarity, atol=1e-3)


@pytest.mark.parametrize("rows", [pytest.param(90, id="one block"), pytest.param(330, id="blocks")])
def test_the_fast_search_is_exact_where_every_row_is_a_candidate(monkeypatch, small_blocks, rows):
    monkeypatch.setattr(gallery_module, "FAST_FROM_ROWS", 1)
    monkeypatch.setattr("reidpipe.reid.search.blocks.GATHERED_NUMBERS", 2 * rows * D)  # two of three queries at once
    appearance, query = synthetic(rows), synthetic(7, seed=1)
    k = -(-rows // gallery_module.LEAST_CANDIDATES_PER_K)
    exact, fast = (filled(appearance).search(query, k, exact=exact) for exact in (True, False))
    np.testing.assert_array_equal(fast.ids, exact.ids)
    np.testing.assert_allclose(fast.similarity, exact.similarity, atol=1e-6)


def test_fully_masked_rows_are_ranked_last(monkeypatch, small_blocks):
    monkeypatch.setattr(gallery_module, "FAST_FROM_ROWS", 1)
    appearance = synthetic(240)
    mask = appearance.mask.copy()
    mask[::2], mask[:, -4:] = 0, 0  # every other row fully masked, and four dims of all rows
    matches = filled(Appearance(appearance.embedding, mask)).search(appearance[1::2], 5, exact=False)
    assert (matches.ids % 2 == 1).all()
    assert (matches.ids[:, 0] == np.arange(1, 240, 2)).mean() >= 0.98


def test_the_fast_search_finds_rows_added_after_its_first_use(monkeypatch, small_blocks):
    monkeypatch.setattr(gallery_module, "FAST_FROM_ROWS", 1)
    appearance = synthetic(700)
    gallery = filled(appearance[:250])
    gallery.search(appearance[:1], 1, exact=False)
    for start in (250, 300):
        gallery.add(appearance[start : start + 50])
        new = np.arange(start, start + 50)
        assert (gallery.search(appearance[new], 1, exact=False).ids[:, 0] == new).mean() >= 0.98
    gallery.add(appearance[350:])  # rows 350 to 700
    gallery.add(appearance)
    assert len(gallery) == 1400
    found = gallery.search(appearance[500:], 2, exact=False).ids  # each row was added twice
    assert (np.sort(found) == np.stack([np.arange(500, 700), np.arange(1200, 1400)], 1)).mean() >= 0.95


def test_the_search_returns_ids():
    appearance = synthetic(12)
    ids = np.arange(12)[::-1] * 1000
    assert filled(appearance, ids).search(appearance, 1).ids[:, 0].tolist() == ids.tolist()


@pytest.mark.parametrize("exact", [True, False])
def test_missing_rows_are_padded_with_no_match(exact):
    appearance = synthetic(3)
    similarity, ids = filled(appearance).search(appearance[:2], 5, exact=exact)
    assert similarity.shape == ids.shape == (2, 5)
    assert (similarity.dtype, ids.dtype) == (np.float32, np.int64)
    assert sorted(ids[0].tolist()) == [-1, -1, 0, 1, 2]
    assert (similarity[:, 3:] == -np.inf).all()
    assert np.isfinite(similarity[:, :3]).all()


@pytest.mark.parametrize("exact", [True, False])
def test_empty_queries_and_galleries_are_allowed(exact):
    empty, people = Gallery(D), synthetic(3)
    assert (empty.search(people, 4, exact=exact).ids == -1).all()
    assert filled(people).search(Appearance.empty(D), 4, exact=exact).ids.shape == (0, 4)
    empty.add(Appearance.empty(D))
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("work", "message"),
    [
        pytest.param(lambda g: g.add(Appearance.empty(5)), "appearance: expected 64 dimensions, got 5", id="add"),
        pytest.param(lambda g: g.search(Appearance.empty(5), 1), "query: expected 64 dimensions, got 5", id="search"),
        pytest.param(lambda g: g.search(synthetic(1), 0), "k: expected at least 1, got 0", id="k"),
        pytest.param(lambda g: g.search(synthetic(1), 1, "cosine"), "mode: expected plain", id="mode"),
        pytest.param(
            lambda g: g.search(synthetic(1), 1, "plain", exact=False), "exact: the fast search", id="fast plain"
        ),
        pytest.param(lambda g: g.add(synthetic(2), np.arange(3)), r"ids: expected integers of shape \(2,\)", id="ids"),
        pytest.param(lambda g: g.add(synthetic(2), np.ones(2)), "ids: expected integers", id="float ids"),
        pytest.param(lambda g: g.add(synthetic(2), np.array([1, -1])), "ids: expected none below 0", id="negative id"),
        pytest.param(lambda g: Gallery(0), "dimensions: expected at least 1", id="no dims"),
        pytest.param(
            lambda g: g.add(Appearance(np.full((1, D), np.nan, np.float32), np.ones((1, D), np.float32))),
            "embedding: expected rows of length 1, got a row of length nan",
            id="NaN",
        ),
    ],
)
def test_invalid_arguments_are_refused_and_leave_the_gallery_unchanged(work, message):
    gallery = filled(synthetic(3))
    with pytest.raises(ValueError, match=message):
        work(gallery)
    assert len(gallery) == 3


def test_ids_may_be_lists_and_paths_strings(tmp_path):
    appearance = synthetic(3)
    gallery = filled(appearance, [7, 8, 9])
    gallery.save(str(tmp_path / "a.npz"))
    assert Gallery.load(str(tmp_path / "a.npz")).search(appearance, 1).ids.ravel().tolist() == [7, 8, 9]


def test_a_saved_gallery_returns_the_same_matches(tmp_path, small_blocks):
    appearance, query = synthetic(230), synthetic(5, seed=1)
    gallery = filled(appearance, np.arange(230) + 7)
    gallery.save(tmp_path / "new" / "people.npz")
    again = Gallery.load(tmp_path / "new" / "people.npz")
    for one, other in zip(gallery.search(query, 6), again.search(query, 6), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["people.npz"]
    Gallery(D).save(tmp_path / "empty.npz")
    assert (len(Gallery.load(tmp_path / "empty.npz")), Gallery.load(tmp_path / "empty.npz").dimensions) == (0, D)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(lambda path: None, "no such gallery file", id="missing"),
        pytest.param(lambda path: path.write_bytes(b"garbage"), "not a gallery", id="garbage"),
        pytest.param(lambda path: np.savez(path, embedding=np.zeros((2, 3))), "not a gallery", id="other arrays"),
    ],
)
def test_files_that_are_not_galleries_are_refused(tmp_path, write, message):
    path = tmp_path / "people.npz"
    write(path)
    with pytest.raises(GalleryError, match=message):
        Gallery.load(path)
