import numpy as np
import pytest

from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.data.sampling import identity_batches
from reidpipe.reid.errors import DatasetError


def crop_set(pids, camids=None, sources=None):
    pids = np.asarray(pids)
    camids = np.zeros_like(pids) if camids is None else np.asarray(camids)
    sources = None if sources is None else np.asarray(sources)
    return CropSet(np.zeros((len(pids), 256, 128, 3), np.uint8), pids, camids, None, sources)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_batches_are_grouped_by_identity_and_every_identity_comes_in_turn():
    crops = crop_set(np.repeat(np.arange(8), [1, 5, 2, 4, 4, 9, 3, 4]))
    batches = list(identity_batches(crops, 4, 3, 4, rng()))
    assert [len(rows) for rows in batches] == [12] * 4
    people = [crops.pids[rows].reshape(4, 3) for rows in batches]
    assert all((group == group[:, :1]).all() for group in people)
    for first, second in ((0, 1), (2, 3)):
        assert sorted([*people[first][:, 0], *people[second][:, 0]]) == list(range(8))
    rows = batches[0][np.flatnonzero(crops.pids[batches[0]] == 5)]
    assert len(set(rows)) == len(rows)  # no crop is repeated where there are enough


def test_batches_repeat_with_the_seed():
    crops = crop_set(np.repeat(np.arange(6), 4))
    runs = [list(identity_batches(crops, 3, 4, 5, rng(7))) for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])


def test_crops_come_from_all_cameras_of_an_identity():
    crops = crop_set([0] * 12 + [1] * 12, ([0] * 9 + [1, 1, 2]) * 2)
    for rows in identity_batches(crops, 2, 4, 20, rng()):
        for own in rows.reshape(2, 4):
            cameras = np.bincount(crops.camids[own], minlength=3)
            assert cameras.min() >= 1
            assert len(set(own)) == 4


def test_every_folder_contributes_its_number_of_identities():
    crops = crop_set(np.repeat(np.arange(12), 2), sources=np.repeat([0, 1], [6, 18]))
    for rows in identity_batches(crops, 4, 2, 10, rng(), per_source=(3, 1)):
        pids = crops.pids[rows][::2]
        assert (pids < 3).sum() == 3
        assert len(set(pids)) == 4


@pytest.mark.parametrize("per_source", [(1, 1), (4,), (2, 1, 1)], ids=["too few", "one number", "three numbers"])
def test_per_folder_numbers_must_match_folders_and_batch(per_source):
    crops = crop_set(np.repeat(np.arange(12), 2), sources=np.repeat([0, 1], [6, 18]))
    with pytest.raises(
        DatasetError, match=r"sampling\.per_folder: expected 2 numbers, one per folder, that add up to 4"
    ):
        next(identity_batches(crops, 4, 2, 1, rng(), per_source))


@pytest.mark.parametrize("per_source", [None, (4,)], ids=["all folders", "per folder"])
def test_batches_refuse_too_few_identities(per_source):
    with pytest.raises(DatasetError, match="expected at least 4 identities for one batch, got 2"):
        next(identity_batches(crop_set([1, 1, 2]), 4, 2, 1, rng(), per_source))
