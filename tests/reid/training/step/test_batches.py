import numpy as np
import pytest
import torch

from reidpipe.reid.data.augmentation import augment_covered
from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.occlusion.policy import Occluders
from reidpipe.reid.recipe.crops import OcclusionSection
from reidpipe.reid.recipe.schema import Recipe
from reidpipe.reid.training.step import batches
from reidpipe.reid.training.step.batches import epoch_batches, training_batch

OURS = Occluders(OcclusionSection())


def people(n=3, each=4, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n * each, 256, 128, 3), np.uint8)
    return CropSet(images, np.repeat(np.arange(n), each), np.arange(n * each, dtype=np.int64) % 2)


@pytest.fixture
def no_augmentation(monkeypatch):
    monkeypatch.setattr(batches, "augment_covered", lambda image, cover, rng, _: (image, cover))


def test_of_every_identity_one_crop_is_clean_and_one_is_occluded(no_augmentation):
    crops = people()
    section = OcclusionSection(probability=0.0, erasing_probability=0.0)
    batch = training_batch(crops, np.arange(12), 4, section and Occluders(section), np.random.default_rng(0))
    changed = (batch.images.numpy() != crops.images).any((1, 2, 3))
    np.testing.assert_array_equal(changed.reshape(3, 4), [[False, False, False, True]] * 3)
    np.testing.assert_array_equal(batch.covers.numpy().any((1, 2)), changed)
    assert batch.labels.tolist() == crops.pids.tolist()
    assert batch.camids.tolist() == crops.camids.tolist()


def test_covers_are_where_and_donors_are_who_was_pasted(no_augmentation):
    crops, seen = people(), set()
    section = OcclusionSection(probability=1.0)
    for seed in range(10):
        batch = training_batch(crops, np.arange(12), 4, section and Occluders(section), np.random.default_rng(seed))
        assert batch.covers.shape == (12, 16, 8)
        changed = (batch.images.numpy() != crops.images).any(3).reshape(12, 16, 16, 8, 16).mean((2, 4))  # (N, 16, 8)
        assert (changed[batch.covers.numpy() == 0] == 0).all()
        assert (changed[batch.covers.numpy() > 0.99] > 0.9).all()
        seen |= set(batch.donors.tolist())
    assert seen == {-1, 0, 1, 2}


@pytest.mark.parametrize(
    ("section", "hidden"),
    [
        pytest.param(None, 0.0, id="no occlusion"),
        pytest.param(OcclusionSection(probability=0, erasing_probability=1), 0.75, id="random erasing on top"),
        pytest.param(OcclusionSection(probability=1, pasted=0, erased=1), 0.75, id="the baseline alone"),
    ],
)
def test_how_many_crops_are_occluded(no_augmentation, section, hidden):
    batch = training_batch(people(), np.arange(12), 4, section and Occluders(section), np.random.default_rng(0))
    assert (batch.covers.amax((1, 2)) > 0).float().mean() == hidden


def test_a_cover_moves_with_its_picture():
    for seed in range(20):
        image = np.zeros((256, 128, 3), np.uint8)
        image[100:180, 20:70] = 255
        seen, cover = augment_covered(image, image[:, :, 0].astype(np.float32) / 255, np.random.default_rng(seed))
        bright = seen.mean(2)
        assert bright[cover > 0.99].mean() > bright[cover < 0.01].mean() + 60
        assert cover.shape == (256, 128)


def recipe(**changes):
    schedule = {"accumulate_batches": changes.pop("accumulate_batches", 1)}
    return Recipe.model_validate(
        {"train": ("x",), "sampling": {"identities": 2, "crops": 2}, "schedule": schedule, **changes}
    )


def test_workers_change_no_batch():
    made = [list(epoch_batches(people(), recipe(workers=workers), 1, 3, OURS)) for workers in (0, 3)]
    assert [len(groups) for groups in made] == [3, 3]
    for (one,), (two,) in zip(*made, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.covers, two.covers)
    again, other = (next(epoch_batches(people(), recipe(), epoch, 3, OURS))[0] for epoch in (1, 2))
    assert torch.equal(again.images, made[0][0][0].images)
    assert not torch.equal(other.images, again.images)


def test_accumulated_batches_come_together():
    groups = list(epoch_batches(people(), recipe(accumulate_batches=2), 0, 3, OURS))
    assert [len(group) for group in groups] == [2, 2, 2]


def test_occlusion_waits_for_its_epoch():
    late, hidden = Occluders(OcclusionSection(begin_epoch=2)), []
    for epoch in (1, 2):
        made = epoch_batches(people(), recipe(), epoch, 2, late)
        hidden.append(any(bool(batch.covers.any()) for (batch,) in made))
    assert hidden == [False, True]


def test_an_error_in_a_worker_is_raised(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such crop")

    monkeypatch.setattr(batches, "augment_covered", broken)
    with pytest.raises(RuntimeError, match="no such crop"):
        list(epoch_batches(people(), recipe(workers=2), 0, 3, OURS))
