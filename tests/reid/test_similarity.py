import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidpipe.reid import Appearance, masked_similarity, shared_mask_share
from reidpipe.reid.similarity import informative_share

MODES = ["plain", "query", "joint"]


def random_appearance(n, seed, dimensions=16, sparse=False):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(n, dimensions))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    mask = rng.random((n, dimensions), np.float32)
    return Appearance(embedding.astype(np.float32), np.where(mask < 0.5 * sparse, np.float32(0), mask))


def with_mask(appearance, mask):
    return Appearance(appearance.embedding, np.broadcast_to(np.float32(mask), appearance.mask.shape).copy())


def naive(q, qm, g, gm, mode):
    if mode == "plain":
        return sum(a * b for a, b in zip(q, g, strict=True))
    if mode == "query":
        kept = math.sqrt(sum((m * b) ** 2 for m, b in zip(qm, g, strict=True)))
        return sum(m * a * b for m, a, b in zip(qm, q, g, strict=True)) / kept
    w = [a * b for a, b in zip(qm, gm, strict=True)]
    dot = sum(w_d * a * b for w_d, a, b in zip(w, q, g, strict=True))
    of_query = sum(w_d * a * a for w_d, a in zip(w, q, strict=True))
    of_gallery = sum(w_d * b * b for w_d, b in zip(w, g, strict=True))
    return dot / math.sqrt(of_query * of_gallery)


@pytest.mark.parametrize("mode", MODES)
def test_matrix_form_equals_the_naive_loop(mode):
    query, gallery = random_appearance(5, 1), random_appearance(7, 2)
    expected = [
        [
            naive(*map(np.ndarray.tolist, (q, qm, g, gm)), mode)
            for g, gm in zip(gallery.embedding, gallery.mask, strict=True)
        ]
        for q, qm in zip(query.embedding, query.mask, strict=True)
    ]
    similarity = masked_similarity(query, gallery, mode)
    assert similarity.dtype == np.float32
    np.testing.assert_allclose(similarity, expected, atol=1e-5)


@pytest.mark.parametrize("constant", [1.0, 0.5, 0.01, 1e-8])
@pytest.mark.parametrize("mode", MODES)
def test_constant_masks_give_the_plain_cosine(mode, constant):
    query, gallery = with_mask(random_appearance(4, 1), constant), with_mask(random_appearance(6, 2), 0.7)
    np.testing.assert_allclose(
        masked_similarity(query, gallery, mode), query.embedding @ gallery.embedding.T, atol=1e-5
    )


@pytest.mark.parametrize("scale", [0.5, 1e-3, 1e-12])
@pytest.mark.parametrize("mode", MODES)
def test_scaling_a_mask_changes_nothing(mode, scale):
    query, gallery = random_appearance(4, 1), random_appearance(6, 2)
    scaled = Appearance(query.embedding, query.mask * np.float32(scale))
    np.testing.assert_allclose(
        masked_similarity(scaled, gallery, mode), masked_similarity(query, gallery, mode), atol=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("nq", "ng"), [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4)])
def test_any_number_of_rows_works(mode, nq, ng):
    query, gallery = random_appearance(nq, 1), random_appearance(ng, 2)
    assert masked_similarity(query, gallery, mode).shape == (nq, ng)
    assert shared_mask_share(query, gallery).shape == (nq, ng)


def test_masks_without_a_common_dim_give_no_similarity_and_no_share():
    embedding = np.full((1, 4), 0.5, np.float32)
    query = Appearance(embedding, np.array([[1, 1, 0, 0]], np.float32))
    gallery = Appearance(embedding, np.array([[0, 0, 1, 1]], np.float32))
    assert masked_similarity(query, gallery)[0, 0] == 0
    assert shared_mask_share(query, gallery)[0, 0] == pytest.approx(0, abs=1e-9)


def test_joint_mode_ignores_dims_masked_in_either():
    query = Appearance(np.array([[0.6, 0.8]], np.float32), np.array([[1, 0]], np.float32))
    gallery = Appearance(np.array([[0.6, -0.8]], np.float32), np.array([[1, 1]], np.float32))
    assert masked_similarity(query, gallery, "plain")[0, 0] == pytest.approx(-0.28)
    assert masked_similarity(query, gallery, "joint")[0, 0] == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), nq=st.integers(1, 6), ng=st.integers(1, 6), sparse=st.booleans())
def test_joint_mode_is_symmetric_and_every_mode_bounded(seed, nq, ng, sparse):
    query, gallery = random_appearance(nq, seed, sparse=sparse), random_appearance(ng, seed + 1, sparse=sparse)
    joint = masked_similarity(query, gallery, "joint")
    np.testing.assert_allclose(joint, masked_similarity(gallery, query, "joint").T, atol=1e-5)
    for mode in MODES:
        similarity = masked_similarity(query, gallery, mode)
        assert np.all(np.abs(similarity) <= 1)
        assert np.all(np.isfinite(similarity))
    np.testing.assert_allclose(np.diag(masked_similarity(query, query, "joint")), 1, atol=1e-4)


def test_shared_mask_share_of_constant_masks_is_their_product():
    query, gallery = random_appearance(3, 1), random_appearance(4, 2)
    for a, b in ((1.0, 1.0), (0.5, 0.5), (1.0, 0.25), (0.0, 1.0)):
        share = shared_mask_share(with_mask(query, a), with_mask(gallery, b))
        np.testing.assert_allclose(share, a * b, atol=1e-5)


def test_a_share_is_not_shown_where_models_have_no_mask():
    assert informative_share(None) is None
    shares = (0.25, 0.249999970197678, 0.5 * 128 / 255, (128 / 255) ** 2)
    assert [informative_share(share) for share in shares] == [None] * 4
    assert [informative_share(share) for share in (0.2501, 0.81, 0.0)] == [0.2501, 0.81, 0.0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shared_mask_share_is_symmetric_and_shrinks_with_the_mask(seed):
    query, gallery = random_appearance(3, seed), random_appearance(4, seed + 1)
    share = shared_mask_share(query, gallery)
    assert np.all((share >= 0) & (share <= 1))
    np.testing.assert_allclose(share, shared_mask_share(gallery, query).T, atol=1e-5)
    less = Appearance(query.embedding, query.mask * np.float32(0.5))
    assert np.all(shared_mask_share(less, gallery) <= share + 1e-6)


def test_different_dimensions_and_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="expected 16 dimensions like query, got 8"):
        masked_similarity(random_appearance(1, 1), Appearance.empty(8))
    with pytest.raises(ValueError, match="expected plain, query or joint, got 'both'"):
        masked_similarity(random_appearance(1, 1), random_appearance(1, 2), "both")
