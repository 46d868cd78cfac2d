import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidpipe.reid import Appearance, concatenate, merge_tracklet


def random_appearance(n, dimensions=8, seed=0):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(n, dimensions))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return Appearance(embedding.astype(np.float32), rng.random((n, dimensions), np.float32))


UNIT = np.eye(2, 4, dtype=np.float32)
HALF = np.full((2, 4), 0.5, np.float32)


@pytest.mark.parametrize(
    ("embedding", "mask", "message"),
    [
        pytest.param(UNIT.astype(np.float64), HALF, "embedding: expected float32, got float64", id="float64"),
        pytest.param(UNIT[0], HALF[0], r"embedding: expected shape \(N, D\), got \(4,\)", id="a bare row"),
        pytest.param(UNIT, HALF[:1], r"mask: expected \(2, 4\) like embedding, got \(1, 4\)", id="mask too short"),
        pytest.param(2 * UNIT, HALF, "expected rows of length 1, got a row of length 2", id="not of unit length"),
        pytest.param(UNIT * np.float32(np.nan), HALF, "expected rows of length 1", id="NaN in embedding"),
        pytest.param(UNIT, 3 * HALF, r"mask: expected values in \[0, 1\], got 1.5 to 1.5", id="mask above 1"),
        pytest.param(UNIT, HALF * np.float32(np.nan), r"mask: expected values in \[0, 1\]", id="NaN in mask"),
        pytest.param([[1.0]], HALF, "embedding: expected float32, got list", id="a list"),
    ],
)
def test_invalid_arrays_are_refused_with_what_was_expected(embedding, mask, message):
    with pytest.raises(ValueError, match=message):
        Appearance(embedding, mask)


def test_empty_has_no_rows_and_its_dimensions():
    empty = Appearance.empty(512)
    assert len(empty) == 0
    assert empty.dimensions == 512
    assert empty.embedding.dtype == empty.mask.dtype == np.float32


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(slice(1, 3), [1, 2], id="slice"),
        pytest.param(np.array([4, 0]), [4, 0], id="integer array"),
        pytest.param([3], [3], id="list"),
        pytest.param(np.array([True, False, False, False, True]), [0, 4], id="boolean array"),
        pytest.param([], [], id="empty list"),
        pytest.param(np.zeros(5, bool), [], id="all False"),
    ],
)
def test_indexing_keeps_rows_together(rows, expected):
    appearance = random_appearance(5)
    chosen = appearance[rows]
    np.testing.assert_array_equal(chosen.embedding, appearance.embedding[np.array(expected, int)])
    np.testing.assert_array_equal(chosen.mask, appearance.mask[np.array(expected, int)])


def test_indexing_by_an_integer_is_refused():
    with pytest.raises(TypeError, match=r"write \[2:3\]"):
        random_appearance(3)[2]


def test_concatenate_stacks_and_accepts_empty_appearances():
    one, two = random_appearance(2, seed=1), random_appearance(3, seed=2)
    both = concatenate([one, Appearance.empty(8), two])
    np.testing.assert_array_equal(both.embedding, np.concatenate([one.embedding, two.embedding]))
    assert len(both) == 5


def test_concatenate_refuses_nothing_and_mixed_dimensions():
    with pytest.raises(ValueError, match="expected at least one"):
        concatenate([])
    with pytest.raises(ValueError, match=r"expected one number of dimensions, got \[4, 8\]"):
        concatenate([Appearance.empty(8), Appearance.empty(4)])


def test_merging_one_crop_changes_nothing():
    crop = random_appearance(1)
    merged = merge_tracklet(crop)
    np.testing.assert_allclose(merged.embedding, crop.embedding, atol=1e-5)
    np.testing.assert_allclose(merged.mask, crop.mask, atol=1e-5)


def test_merging_a_constant_mask_is_the_normalised_mean():
    crops = random_appearance(6)
    crops = Appearance(crops.embedding, np.full_like(crops.mask, 0.3))
    mean = crops.embedding.mean(0)
    merged = merge_tracklet(crops)
    np.testing.assert_allclose(merged.embedding[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(merged.mask, 0.3, atol=1e-5)


def test_dims_masked_in_one_crop_are_filled_in_by_another():
    embedding = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)
    merged = merge_tracklet(Appearance(embedding, np.array([[1, 0], [0, 1]], np.float32)))
    np.testing.assert_allclose(
        merged.embedding, np.sqrt([[0.5, 0.5]]), atol=1e-4
    )  # 0.6 from the first, 0.6 from the second
    np.testing.assert_allclose(merged.mask, 1, atol=1e-4)


def test_merging_equals_the_naive_loop():
    crops = random_appearance(7, seed=3)
    sums = np.zeros(8)
    weights = np.zeros(8)
    squares = np.zeros(8)
    for embedding, mask in zip(crops.embedding, crops.mask, strict=True):
        for dim in range(8):
            sums[dim] += mask[dim] * embedding[dim]
            weights[dim] += mask[dim]
            squares[dim] += mask[dim] ** 2
    mean = sums / weights
    merged = merge_tracklet(crops)
    np.testing.assert_allclose(merged.embedding[0], mean / np.linalg.norm(mean), atol=1e-4)
    np.testing.assert_allclose(merged.mask[0], squares / weights, atol=1e-4)


def test_repeating_the_crops_changes_nothing():
    crops = random_appearance(4)
    once, thrice = merge_tracklet(crops), merge_tracklet(concatenate([crops] * 3))
    np.testing.assert_allclose(once.embedding, thrice.embedding, atol=1e-5)
    np.testing.assert_allclose(once.mask, thrice.mask, atol=1e-5)


def test_masks_of_zero_and_opposite_rows_still_merge():
    embedding = np.array([[1, 0], [-1, 0]], np.float32)
    merged = merge_tracklet(Appearance(embedding, np.zeros((2, 2), np.float32)))
    np.testing.assert_array_equal(merged.embedding, embedding[:1])
    np.testing.assert_array_equal(merged.mask, 0)


def test_merging_no_rows_is_refused():
    with pytest.raises(ValueError, match="expected at least one row"):
        merge_tracklet(Appearance.empty(8))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_a_merged_mask_lies_between_mean_and_maximum(n, seed):
    crops = random_appearance(n, seed=seed)
    mask = merge_tracklet(crops).mask[0]
    assert np.all(mask >= crops.mask.mean(0) - 1e-4)
    assert np.all(mask <= crops.mask.max(0) + 1e-4)
