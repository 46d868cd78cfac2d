import numpy as np
import pytest

from reidpipe.reid import Appearance, DatasetError, evaluate_folder
from reidpipe.reid.dataset import CropSet
from reidpipe.reid.evaluation import compare_metrics
from reidpipe.reid.held_out import split_held_out
from reidpipe.reid.teacher import teacher_embeddings

DIMENSIONS = 32


def seen_by_camera(camid, people=40, seed=0):
    """Everybody's own direction; a random half of the dims is hidden under noise, and the mask says which."""
    own = np.random.default_rng(seed).normal(size=(people, DIMENSIONS))
    rng = np.random.default_rng(seed + camid)
    hidden = rng.random((people, DIMENSIONS)) < 0.5
    embedding = np.where(hidden, rng.normal(size=own.shape) * 2, own)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    appearance = Appearance(embedding.astype(np.float32), np.where(hidden, 0.1, 0.9).astype(np.float32))
    images = np.zeros((people, 1, 1, 3), np.uint8)
    return appearance, CropSet(images, np.arange(1, people + 1), np.full(people, camid))


def test_a_mask_that_knows_beats_none_and_one_dealt_out_at_random():
    scores = compare_metrics(*seen_by_camera(1), *seen_by_camera(2))
    masked, plain, permuted = (scores[name].mean_average_precision for name in ("masked", "plain", "permuted"))
    assert masked > plain + 0.2
    assert masked > permuted + 0.2


def test_constant_masks_make_all_three_equal():
    parts = []
    for camid in (1, 2):
        appearance, crops = seen_by_camera(camid)
        parts += [Appearance(appearance.embedding, np.full_like(appearance.mask, 0.5)), crops]
    scores = compare_metrics(*parts)
    assert scores["plain"] == scores["masked"] == scores["permuted"]


def test_evaluating_a_missing_folder_names_it(tmp_path):
    with pytest.raises(DatasetError, match="query: no such folder of crops"):
        evaluate_folder(None, tmp_path)


def test_held_out_people_are_whole_people_and_ask_once_per_camera(tmp_path):
    pids, camids = np.repeat(np.arange(6), 6), np.tile([1, 1, 1, 2, 2, 2], 6)
    images = np.random.default_rng(0).integers(0, 256, (36, 256, 128, 3), np.uint8)
    training, held = split_held_out(tmp_path / "train", CropSet(images, pids, camids), 2, seed=1)
    assert len(training) == 24
    assert set(training.pids).isdisjoint(held.query.pids)
    assert (len(held.query), len(held.gallery)) == (4, 8)
    assert len(set(zip(held.query.pids.tolist(), held.query.camids.tolist(), strict=True))) == 4
    changed = (held.query.images != held.occluded_query.images).any((1, 2, 3))
    assert changed.all()


def test_the_teacher_gives_unit_rows(kit):
    pytest.importorskip("openvino")
    network = kit / "weights" / "person-reidentification-retail-0286.xml"
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), np.uint8)
    embeddings = teacher_embeddings(network, images)
    assert embeddings.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
