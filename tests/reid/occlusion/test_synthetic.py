import numpy as np
import pytest

from reidpipe.reid.data.augmentation import augment_covered
from reidpipe.reid.occlusion import synthetic


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 256, 128, 3), np.uint8)


PEOPLE = tuple(kind for kind in synthetic.KINDS if "person" in kind.__name__ or "people" in kind.__name__)


def plain_colours(n):
    """Crop k is 10 * (k + 1) throughout, so that a pixel tells whose it is."""
    return np.broadcast_to((10 * np.arange(1, n + 1, dtype=np.uint8))[:, None, None, None], (n, 256, 128, 3)).copy()


@pytest.mark.parametrize("size", [(256, 128), (64, 32)], ids=["as trained", "small"])
@pytest.mark.parametrize("kind", synthetic.KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_every_kind_gives_paint_and_a_soft_cover(kind, size):
    others = np.ascontiguousarray(noise(2)[:, : size[0], : size[1]])
    covers = []
    for seed in range(20):
        paint, cover, _ = kind(others, *size, np.random.default_rng(seed))
        assert (paint.shape, paint.dtype) == ((*size, 3), np.uint8)
        assert (cover.shape, cover.dtype) == (size, np.float32)
        assert cover.min() >= 0
        assert cover.max() <= 1
        covers.append(cover)
    assert 0.05 < np.mean(covers) < 0.6
    edges = ((np.array(covers) > 0.1) & (np.array(covers) < 0.9)).mean()
    assert 0.001 < edges < 0.3
    assert len({cover.tobytes() for cover in covers}) > 15


def test_occlusion_changes_what_is_covered_and_nothing_else():
    image = noise(1, seed=1)[0]
    before = image.copy()
    for seed in range(40):
        hidden, cover, _ = synthetic.occlude(image, noise(3), np.random.default_rng(seed))
        np.testing.assert_array_equal(hidden[cover == 0], image[cover == 0])
        assert (hidden[cover > 0.99] != image[cover > 0.99]).mean() > 0.9
    np.testing.assert_array_equal(image, before)


def test_the_blend_is_the_weighted_mean_of_both_pictures():
    below, above = noise(2)
    cover = np.random.default_rng(0).random((256, 128), np.float32)
    expected = below * (1.0 - cover[:, :, None]) + above * cover[:, :, None].astype(np.float64)
    assert abs(synthetic._blend(below, above, cover) - expected).max() < 0.51


def test_occlusion_repeats_with_the_seed():
    image, others = noise(1)[0], noise(4)
    for seed in range(10):
        one, two = (synthetic.occlude(image, others, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.cover, two.cover)
        assert one.donor == two.donor


@pytest.mark.parametrize("kind", PEOPLE, ids=lambda kind: kind.__name__.strip("_"))
def test_of_people_it_is_told_whose_crop_they_were_cut_from(kind):
    others, seen = plain_colours(8), set()
    for seed in range(40):
        paint, cover, donor = kind(others, 256, 128, np.random.default_rng(seed))
        assert 10 * (donor + 1) in paint[cover > 0.99] or cover.max() < 0.99
        seen.add(donor)
    assert seen == set(range(8))


@pytest.mark.parametrize("kind", [synthetic._flat, synthetic._textured_shape, synthetic._blurred_scene])
def test_objects_have_no_donor(kind):
    assert kind(noise(3), 256, 128, np.random.default_rng(0)).donor == synthetic.NOBODY


def test_occlude_hands_the_donor_on_and_draws_every_kind():
    others, donors = plain_colours(4), []
    for seed in range(200):
        hidden, cover, donor = synthetic.occlude(np.zeros((256, 128, 3), np.uint8), others, np.random.default_rng(seed))
        donors.append(donor)
        if donor != synthetic.NOBODY and cover.max() > 0.99:
            assert 10 * (donor + 1) in hidden
    things = np.mean(np.array(donors) == synthetic.NOBODY)
    assert 0.25 < things < 0.55


def test_people_in_front_cover_little_or_most_and_stand_on_both_sides():
    covers = np.array([synthetic._person(noise(1), 64, 32, np.random.default_rng(seed)).cover for seed in range(100)])
    shares = covers.mean((1, 2))
    assert shares.min() < 0.12
    assert shares.max() > 0.35
    right = covers[:, :, 16:].mean((1, 2)) > covers[:, :, :16].mean((1, 2))
    assert 0.3 < right.mean() < 0.7


def test_parts_of_people_enter_from_below_or_above():
    kind = synthetic._part_of_person
    covers = np.array([kind(noise(1), 64, 32, np.random.default_rng(seed)).cover for seed in range(60)])
    below, above = covers[:, -8:].mean((1, 2)) > 0.05, covers[:, :8].mean((1, 2)) > 0.05
    assert (below & ~above).any()
    assert (above & ~below).any()


def test_the_odds_are_a_distribution_over_the_kinds():
    assert len(synthetic.KIND_ODDS) == len(synthetic.KINDS)
    assert sum(synthetic.KIND_ODDS) == pytest.approx(1)


def test_erasing_replaces_one_rectangle():
    image = np.zeros((256, 128, 3), np.uint8)
    for seed in range(20):
        changed = (synthetic.erase(image, np.random.default_rng(seed)) != 0).any(2)
        assert 0.005 < changed.mean() < 0.4
        assert not image.any()


def test_augmentation_keeps_shape_and_mean_roughly():
    image = np.full((256, 128, 3), 128, np.uint8)
    cover = np.zeros(image.shape[:2], np.float32)
    views = [augment_covered(image, cover, np.random.default_rng(seed))[0] for seed in range(30)]
    assert all(view.shape == image.shape and view.dtype == np.uint8 for view in views)
    assert 100 < np.mean(views) < 156
