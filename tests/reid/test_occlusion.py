import numpy as np
import pytest

from reidpipe.reid import occlusion
from reidpipe.reid.augmentation import augment
from reidpipe.reid.batches import training_images
from reidpipe.reid.dataset import CropSet


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 256, 128, 3), np.uint8)


@pytest.mark.parametrize("kind", occlusion.KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_every_kind_gives_paint_and_a_soft_cover(kind):
    shares = []
    for seed in range(20):
        paint, cover = kind(noise(1)[0], 256, 128, np.random.default_rng(seed))
        assert paint.shape == (256, 128, 3)
        assert paint.dtype == np.uint8
        assert cover.shape == (256, 128)
        assert cover.dtype == np.float32
        assert cover.min() >= 0
        assert cover.max() <= 1 + 1e-6
        shares.append(cover.mean())
    assert 0.05 < np.mean(shares) < 0.6


def test_occlusion_changes_what_is_covered_and_nothing_else():
    image = noise(1, seed=1)[0]
    before = image.copy()
    for seed in range(20):
        hidden, cover = occlusion.occlude(image, noise(3), np.random.default_rng(seed))
        np.testing.assert_array_equal(hidden[cover == 0], image[cover == 0])
        assert (hidden[cover > 0.99] != image[cover > 0.99]).mean() > 0.9
    np.testing.assert_array_equal(image, before)


def test_occlusion_repeats_with_the_seed():
    image, others = noise(1)[0], noise(4)
    one, two = (occlusion.occlude(image, others, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_erasing_replaces_one_rectangle():
    image = np.zeros((256, 128, 3), np.uint8)
    for seed in range(20):
        changed = (occlusion.erase(image, np.random.default_rng(seed)) != 0).any(2)
        assert 0.005 < changed.mean() < 0.4
        assert not image.any()


def test_augmentation_keeps_shape_and_mean_roughly():
    image = np.full((256, 128, 3), 128, np.uint8)
    views = [augment(image, np.random.default_rng(seed)) for seed in range(30)]
    assert all(view.shape == image.shape and view.dtype == np.uint8 for view in views)
    assert 100 < np.mean(views) < 156


def test_of_every_person_one_crop_is_whole_and_one_is_occluded(monkeypatch):
    monkeypatch.setattr("reidpipe.reid.batches.augment", lambda image, rng: image)
    monkeypatch.setattr("reidpipe.reid.batches.erase", lambda image, rng: image)
    crops = CropSet(noise(12), np.repeat(np.arange(3), 4), np.ones(12, np.int64))
    images = training_images(crops, np.arange(12), 4, 0.0, np.random.default_rng(0))
    changed = (images != crops.images).any((1, 2, 3))
    np.testing.assert_array_equal(changed.reshape(3, 4), [[False, False, False, True]] * 3)
