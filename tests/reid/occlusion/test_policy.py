import numpy as np
import pytest
import torch

from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.occlusion import policy
from reidpipe.reid.occlusion.cutouts import draw_cutouts
from reidpipe.reid.occlusion.policy import SOURCES, Occluders, occlude_crop, plan_batch
from reidpipe.reid.occlusion.synthetic import Occlusion
from reidpipe.reid.recipe.crops import AugmentationSection, OcclusionSection
from reidpipe.reid.training.step.batches import training_batch

OFF = dict.fromkeys(SOURCES, 0.0)
MIRRORED = AugmentationSection(degraded=0.0)  # box, side and colour vary, sharpness does not


@pytest.fixture
def people():
    """Three people, four crops each; the person is a bright block in the middle, each of another brightness."""
    images = np.full((12, 256, 128, 3), 10, np.uint8)
    regions = np.zeros((12, 16, 8), np.bool_)
    for row in range(12):
        images[row, 64:208, 32:96] = 100 + 10 * row
        regions[row, 4:13, 2:6] = True
    return CropSet(images, np.repeat(np.arange(3), 4), np.zeros(12, np.int64)), regions


def occluders(regions=None, things=(), **section):
    return Occluders(OcclusionSection(**{**OFF, "probability": 1.0, **section}), things, regions)


def test_the_first_crop_of_every_identity_stays_clean_and_the_last_never_does(people):
    crops, regions = people
    for seed in range(10):
        some = occluders(regions, pasted=1, transferred=1, erased=1, probability=0.3, erasing_probability=0)
        plan = plan_batch(np.arange(12), crops.pids, 4, some, np.random.default_rng(seed))
        assert [plan.sources[row] for row in (0, 4, 8)] == ["", "", ""]
        assert "" not in [plan.sources[row] for row in (3, 7, 11)]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_changes_covered_pixels_only(people, source):
    crops, regions = people
    some = occluders(regions, draw_cutouts(5, 0), **{source: 1.0})
    rng = np.random.default_rng(0)
    plan = plan_batch(np.arange(12), crops.pids, 4, some, rng)
    assert set(plan.sources) == {"", source}
    for position in range(12):
        hidden = occlude_crop(position, np.arange(12), plan, crops, some, rng)
        if plan.sources[position] == source and source != "transferred":
            assert hidden.cover.max() > 0.9
        shift = plan.pairing.shifts[position] * 16
        untouched = np.roll(crops.images[position], shift, 1)
        np.testing.assert_array_equal(hidden.image[hidden.cover == 0], untouched[hidden.cover == 0])


def test_a_transferred_crop_shows_the_anchor_in_the_donors_scene_and_names_the_donor(people):
    crops, regions = people
    crops.images[:4, :32], crops.images[4:8, :32], crops.images[8:, :32] = 50, 60, 70  # scenes of three places
    batch = [3, 7, 11]
    some = occluders(regions, transferred=1.0)
    plan = plan_batch(np.arange(12), crops.pids, 4, some, np.random.default_rng(0))
    for position in batch:
        hidden = occlude_crop(position, np.arange(12), plan, crops, some, np.random.default_rng(0))
        assert crops.pids[hidden.donor] != crops.pids[position]
        assert hidden.image[0, 0, 0] == crops.images[hidden.donor, 0, 0, 0]
        middle = hidden.image[120, 50:78, 0]
        assert (middle == 100 + 10 * position).any()


def test_a_crop_that_fits_no_donor_is_pasted_over_instead(people):
    crops, regions = people
    lonely = np.zeros_like(regions)
    lonely[:4, :8], lonely[4:8, 8:12], lonely[8:, 12:] = True, True, True  # no two people overlap
    plan = plan_batch(np.arange(12), crops.pids, 4, occluders(lonely, transferred=1.0), np.random.default_rng(0))
    assert set(plan.sources) == {"", "pasted"}
    assert (plan.pairing.donors == -1).all()


@pytest.fixture
def at_the_side():
    """Six people, four crops each, every one at the left or the right edge of its crop: mirroring moves them far."""
    images, regions = np.full((24, 256, 128, 3), 10, np.uint8), np.zeros((24, 16, 8), np.bool_)
    for row in range(24):
        left = 0 if row % 3 else 5
        images[row, 32:224, 16 * left : 16 * left + 48] = 200
        regions[row, 2:14, left : left + 3] = True
    return CropSet(images, np.repeat(np.arange(6), 4), np.zeros(24, np.int64)), regions


def bright_cells(images):
    """Where an augmented crop shows its bright person: bool (N, 16, 8)."""
    cells = images.float().mean(3).reshape(len(images), 16, 16, 8, 16).mean((2, 4))  # (N, 16, 8)
    low, high = cells.amin((1, 2), keepdim=True), cells.amax((1, 2), keepdim=True)
    return cells > (low + high) / 2


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_a_mirrored_crop_is_transferred_to_where_its_donors_person_was(at_the_side, space):
    crops, regions = at_the_side
    some = occluders(regions, transferred=1.0, transfer_space=space)
    shares = []
    for seed in range(5):
        batch = training_batch(crops, np.arange(24), 4, some, np.random.default_rng(seed), MIRRORED)
        person = bright_cells(batch.images)
        if space == "tokens":
            person = batch.exchange(person.reshape(24, 128, 1)).reshape(24, 16, 8)
        shares += [person[row][batch.covers[row] < 0.01].float().mean() for row in np.flatnonzero(batch.donors >= 0)]
    assert len(shares) > 40
    assert min(shares) > 0.5  # the anchor's person fills what is left of the anchor


def test_transfer_in_tokens_leaves_pixels_alone_and_exchanges_tokens(people):
    crops, regions = people
    some = occluders(regions, transferred=1.0, transfer_space="tokens")
    batch = training_batch(crops, np.arange(12), 4, some, np.random.default_rng(0), MIRRORED)
    clean = training_batch(crops, np.arange(12), 4, None, np.random.default_rng(0), MIRRORED)
    moved = batch.donors >= 0
    assert moved.sum() > 3
    assert not moved[::4].any()  # the first crop of each person stays clean
    assert (batch.donors[moved] != batch.labels[moved]).all()
    assert (batch.covers[moved].amax((1, 2)) > 0).all()
    bright = bright_cells(batch.images)
    assert (bright.float().mean((1, 2)) - bright_cells(clean.images).float().mean((1, 2))).abs()[moved].max() < 0.2
    tokens = torch.arange(12.0)[:, None, None].expand(12, 128, 2).contiguous()
    exchanged = batch.exchange(tokens)
    for row in np.flatnonzero(moved):
        source = exchanged[row, :, 0].reshape(16, 8)
        assert (source[batch.covers[row] == 0] == row).all()
        assert set(source[batch.covers[row] > 0].tolist()) == {float(batch.exchange.pairing.donors[row])}


def test_in_token_space_a_crop_that_fits_no_donor_is_pasted_over_and_seen_through_the_same_box(people):
    crops, regions = people
    apart = np.zeros_like(regions)
    apart[:4, :4], apart[4:8, 6:10], apart[8:, 12:] = True, True, True  # no two people overlap
    some = occluders(apart, transferred=1.0, transfer_space="tokens")
    batch = training_batch(crops, np.arange(12), 4, some, np.random.default_rng(0), MIRRORED)
    assert (batch.exchange.pairing.donors == -1).all()
    assert [bool(cover.any()) for cover in batch.covers] == [position % 4 > 0 for position in range(12)]


def test_regions_move_with_augmented_crops_in_token_space(people):
    crops, regions = people
    some = occluders(regions, transferred=1.0, transfer_space="tokens")
    batch = training_batch(crops, np.arange(12), 4, some, np.random.default_rng(1))
    bright = batch.images.float().mean(3).reshape(12, 16, 16, 8, 16).mean((2, 4))  # (12, 16, 8)
    for row in range(12):
        person = torch.from_numpy(batch.exchange.regions[row])
        assert bright[row][person].mean() > bright[row][~person].mean() + 20
    assert any((batch.exchange.regions[row] != regions[row]).any() for row in range(12))


@pytest.mark.parametrize("batch_donors", [True, False])
def test_who_is_pasted_in_front_comes_from_the_batch_and_the_same_folder(people, batch_donors, monkeypatch):
    crops, _ = people
    crops = CropSet(
        np.repeat(crops.images, 2, 0), np.arange(24) // 4, crops.camids.repeat(2), None, np.arange(24) // 12
    )
    offered = []
    monkeypatch.setattr(policy, "occlude", lambda image, others, rng: offered.append(others) or Occlusion(image, 0, 1))
    rows = np.arange(4, 24)  # two people of the first folder, three of the second
    some = occluders(pasted=1.0, batch_donors=batch_donors)
    plan = plan_batch(rows, crops.pids[rows], 4, some, np.random.default_rng(0))
    for position in np.flatnonzero(plan.sources):
        donor = occlude_crop(position, rows, plan, crops, some, np.random.default_rng(position)).donor
        row = rows[position]
        if batch_donors:
            assert donor in rows
            assert crops.pids[donor] != crops.pids[row]
            assert crops.sources[donor] == crops.sources[row]
            np.testing.assert_array_equal(offered[-1][1], crops.images[donor])
        else:
            assert offered[-1] is crops.images


def test_the_only_identity_of_a_batch_is_occluded_by_any_crop(people):
    crops, _ = people
    some = occluders(pasted=1.0)
    plan = plan_batch(np.arange(4), crops.pids[:4], 4, some, np.random.default_rng(0))
    assert occlude_crop(3, np.arange(4), plan, crops, some, np.random.default_rng(0)).cover.max() > 0.5
