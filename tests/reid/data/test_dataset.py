import cv2
import numpy as np
import pytest

from reidpipe.reid import DatasetError
from reidpipe.reid.data.dataset import VISIBLE_FOLDER, VISIBLE_HW, join_crop_sets, read_crop_set


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
    with pytest.raises(DatasetError, match=r"0009_c1s1_000000_00\.jpg: is not an image"):
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


def test_masks_of_people_are_read_beside_their_crops(tmp_path, write_crops):
    folder = write_crops(tmp_path / "train", identities=2, cameras=1, each=2)
    assert read_crop_set(folder).visible is None
    (folder / VISIBLE_FOLDER).mkdir()
    left = np.zeros((256, 128), np.uint8)
    left[:, :64] = 255
    second = sorted(folder.glob("*.png"))[1]
    cv2.imwrite(str(folder / VISIBLE_FOLDER / f"{second.stem}.png"), left)
    visible = read_crop_set(folder).visible
    assert visible.shape == (4, *VISIBLE_HW)
    assert (visible[1, :, :16] == 255).all()
    assert not visible[1, :, 16:].any()
    assert not visible[[0, 2, 3]].any()  # no mask


def test_joined_sets_keep_the_source_of_every_crop(tmp_path, write_crops):
    one = read_crop_set(write_crops(tmp_path / "a", identities=2, cameras=1, each=1))
    folder = write_crops(tmp_path / "b", identities=1, cameras=1, each=2)
    (folder / VISIBLE_FOLDER).mkdir()
    for path in folder.glob("*.png"):
        cv2.imwrite(str(folder / VISIBLE_FOLDER / path.name), np.full((256, 128), 255, np.uint8))
    joined = join_crop_sets([one, read_crop_set(folder)])
    assert joined.sources.tolist() == [0, 0, 1, 1]
    assert joined.visible.any((1, 2)).tolist() == [False, False, True, True]
    assert joined[np.array([3, 0])].visible.any((1, 2)).tolist() == [True, False]
