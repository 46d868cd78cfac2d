import numpy as np
import pytest

from reidpipe.reid import DatasetError
from reidpipe.reid.dataset import identity_batches, join_crop_sets, read_crop_set


def test_reads_crops_with_their_labels(tmp_path, write_crops):
    crops = read_crop_set(write_crops(tmp_path / "train", identities=3, cameras=2, each=2))
    assert crops.images.shape == (12, 256, 128, 3)
    assert crops.images.dtype == np.uint8
    np.testing.assert_array_equal(crops.pids, np.repeat([1, 2, 3], 4))
    np.testing.assert_array_equal(crops.camids, np.tile([1, 1, 2, 2], 3))


def test_leaves_out_junk_and_other_files_and_keeps_distractors(tmp_path, write_crops):
    folder = write_crops(tmp_path / "train", identities=1, cameras=1, each=1)
    crop = next(folder.iterdir()).read_bytes()
    (folder / "-1_c2s1_000000_00.png").write_bytes(crop)
    (folder / "0000_c2s1_000000_00.png").write_bytes(crop)
    (folder / "Thumbs.db").write_bytes(b"")
    np.testing.assert_array_equal(read_crop_set(folder).pids, [0, 1])


def test_every_failure_names_its_file(tmp_path, write_crops):
    with pytest.raises(DatasetError, match="nowhere: no such folder of crops"):
        read_crop_set(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="found none"):
        read_crop_set(tmp_path / "empty")
    folder = write_crops(tmp_path / "train")
    (folder / "0009_c1s1_000000_00.jpg").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"0009_c1s1_000000_00\.jpg: not a readable image"):
        read_crop_set(folder)
    (folder / "0009_c1s1_000000_00.jpg").rename(folder / "somebody.jpg")
    with pytest.raises(DatasetError, match=r"somebody.jpg: expected a name like"):
        read_crop_set(folder)


def test_joined_sets_share_no_identity(tmp_path, write_crops):
    one = read_crop_set(write_crops(tmp_path / "one", identities=3, cameras=1, each=1))
    two = read_crop_set(write_crops(tmp_path / "two", identities=2, cameras=1, each=2))
    joined = join_crop_sets([one, two])
    np.testing.assert_array_equal(joined.pids, [0, 1, 2, 3, 3, 4, 4])
    assert len(joined) == 7


def test_batches_hold_people_in_groups_and_everybody_in_turn():
    pids = np.repeat(np.arange(8), [1, 5, 2, 4, 4, 9, 3, 4])
    batches = list(identity_batches(pids, 4, 3, 4, np.random.default_rng(0)))
    assert [len(rows) for rows in batches] == [12] * 4
    people = [pids[rows].reshape(4, 3) for rows in batches]
    assert all((group == group[:, :1]).all() for group in people)
    for first, second in ((0, 1), (2, 3)):
        assert sorted([*people[first][:, 0], *people[second][:, 0]]) == list(range(8))
    rows = batches[0][np.flatnonzero(pids[batches[0]] == 5)]
    assert len(set(rows)) == len(rows)  # nobody is repeated who has crops enough


def test_batches_repeat_with_the_seed():
    pids = np.repeat(np.arange(6), 4)
    runs = [list(identity_batches(pids, 3, 4, 5, np.random.default_rng(7))) for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])


def test_batches_refuse_too_few_identities():
    with pytest.raises(DatasetError, match="expected at least 4 identities for one batch, got 2"):
        next(identity_batches(np.array([1, 1, 2]), 4, 2, 1, np.random.default_rng(0)))
