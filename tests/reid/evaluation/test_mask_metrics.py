import numpy as np
import pytest

from reidpipe.reid import Appearance, DatasetError, evaluate_folder
from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.evaluation.mask_metrics import compare_metrics, mask_statistics, occluded_queries, with_oracle_mask
from reidpipe.reid.training.held_out import split_held_out
from reidpipe.reid.training.stages import embed_clean_crops

DIMENSIONS = 32


def appearances_in(camid, people=40, seed=0):
    """One crop of each person: a random half of the dims is noise, and the mask marks it."""
    own = np.random.default_rng(seed).normal(size=(people, DIMENSIONS))
    rng = np.random.default_rng(seed + camid)
    noisy = rng.random((people, DIMENSIONS)) < 0.5
    embedding = np.where(noisy, rng.normal(size=own.shape) * 2, own)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    appearance = Appearance(embedding.astype(np.float32), np.where(noisy, 0.1, 0.9).astype(np.float32))
    images = np.zeros((people, 1, 1, 3), np.uint8)
    return appearance, CropSet(images, np.arange(1, people + 1), np.full(people, camid))


def test_a_correct_mask_scores_higher_than_none_and_than_a_permuted_one():
    scores = compare_metrics(*appearances_in(1), *appearances_in(2))
    masked, plain, permuted = (scores[name].mean_average_precision for name in ("masked", "plain", "permuted"))
    assert masked > plain + 0.2
    assert masked > permuted + 0.2


def test_with_constant_masks_all_similarities_score_the_same():
    parts = []
    for camid in (1, 2):
        appearance, crops = appearances_in(camid)
        parts += [Appearance(appearance.embedding, np.full_like(appearance.mask, 0.5)), crops]
    scores = compare_metrics(*parts)
    assert scores["plain"] == scores["masked"] == scores["permuted"]


def test_a_folder_without_queries_is_refused(tmp_path):
    (tmp_path / "bounding_box_test").mkdir()
    with pytest.raises(DatasetError, match="query: no such folder of crops"):
        evaluate_folder(None, tmp_path)


def test_the_query_s_mask_alone_scores_between_plain_and_masked():
    scores = compare_metrics(*appearances_in(1), *appearances_in(2))
    by_query, plain, masked = (scores[name].mean_average_precision for name in ("query", "plain", "masked"))
    assert plain < by_query < masked


def test_an_oracle_finds_the_dims_that_occlusion_has_changed():
    clean, crops = appearances_in(1)
    rng = np.random.default_rng(7)  # not that of the crops
    changed = rng.random(clean.embedding.shape) < 0.3
    embedding = np.where(changed, rng.normal(0, 1, clean.embedding.shape), clean.embedding).astype(np.float32)
    occluded = Appearance(embedding / np.linalg.norm(embedding, axis=1, keepdims=True), np.full_like(embedding, 0.5))
    oracle = with_oracle_mask(occluded, clean)
    assert oracle.mask[~changed].mean() > 1.5 * oracle.mask[changed].mean()
    gallery = appearances_in(2)
    found = compare_metrics(oracle, crops, *gallery)
    assert found["masked"].mean_average_precision > found["plain"].mean_average_precision + 0.05


def test_an_oracle_trusts_everything_where_nothing_is_occluded():
    clean, _ = appearances_in(1)
    assert (with_oracle_mask(clean, clean).mask == 1).all()


@pytest.mark.parametrize(
    ("mask", "ratio", "between"),
    [
        pytest.param(np.full((3, 8), 0.3), 1, 0, id="constant"),
        pytest.param(np.tile([1, 1, 0, 0, 0, 0, 0, 0], (3, 1)), 0.25, 0, id="two of eight, the same in all images"),
        pytest.param(np.repeat([[1.0], [0.5]], 8, axis=1), 1, 1, id="even, different in each image"),
        pytest.param(np.zeros((2, 8)), 0, 0, id="all zero"),
    ],
)
def test_mask_statistics(mask, ratio, between):
    statistics = mask_statistics(mask.astype(np.float32))
    assert statistics.participation_ratio == pytest.approx(ratio)
    assert statistics.between_images == pytest.approx(between, abs=1e-9)


def test_synthetic_occlusion_of_a_query_does_not_depend_on_the_other_queries():
    rng = np.random.default_rng(3)
    crops = CropSet(rng.integers(0, 256, (6, 64, 32, 3), np.uint8), np.repeat([1, 2, 3], 2), np.tile([1, 2], 3))
    occluded = occluded_queries(crops[np.arange(4)], crops)
    changed = (occluded.images != crops.images[:4]).any(3).mean((1, 2))  # (4,)
    assert ((changed > 0.02) & (changed < 1)).all()
    np.testing.assert_array_equal(occluded.images[:2], occluded_queries(crops[np.arange(2)], crops).images)
    np.testing.assert_array_equal(occluded.pids, crops.pids[:4])
    assert (occluded_queries(crops[np.arange(4)], crops, seed=1).images != occluded.images).any()


def test_held_out_identities_are_not_trained_on_and_have_one_query_per_camera(tmp_path):
    pids, camids = np.repeat(np.arange(6), 6), np.tile([1, 1, 1, 2, 2, 2], 6)
    images = np.random.default_rng(0).integers(0, 256, (36, 256, 128, 3), np.uint8)
    training, held = split_held_out(tmp_path / "train", CropSet(images, pids, camids), 2, seed=1)
    assert len(training) == 24
    assert set(training.pids).isdisjoint(held.query.pids)
    assert (len(held.query), len(held.gallery)) == (4, 8)
    assert len(set(zip(held.query.pids.tolist(), held.query.camids.tolist(), strict=True))) == 4
    changed = (held.query.images != held.occluded_query.images).any((1, 2, 3))
    assert changed.all()


def test_the_teacher_s_embeddings_have_unit_length(kit):
    pytest.importorskip("openvino")
    network = kit / "weights" / "person-reidentification-retail-0286.xml"
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), np.uint8)
    embeddings = embed_clean_crops(network, images)
    assert embeddings.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
