"""The release of CUHK03, a MATLAB 7.3 file, is read as published: cells of references, all axes in reverse."""

import logging
import sys

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat

from reidpipe.reid import DatasetError
from reidpipe.reid.data.dataset import read_split
from reidpipe.reid.data.layouts import list_split

# (pair, person) → numbers of its images, of 10; the second person of pair 1 was seen by one camera only
SEEN = {(1, 1): (1, 2, 6), (1, 2): (3,), (4, 1): (5, 10)}
NAMES = ["1_001_1_01.png", "1_001_1_02.png", "1_001_2_06.png", "1_002_1_03.png", "4_001_1_05.png", "4_001_2_10.png"]


def picture(pair, person, number):
    """An RGB image, taller than wide, different for every person and number."""
    rng = np.random.default_rng((pair, person, number))
    return rng.integers(0, 256, (30 + number, 12 + pair, 3), np.uint8)


class Release:
    """Writes what MATLAB's `save -v7.3` does: values in #refs#, cells as references to them, a header before HDF5."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = h5py.File(path, "w", userblock_size=512)
        self.references = self.file.create_group("#refs#")

    def keep(self, value, matlab_class):
        dataset = self.references.create_dataset(f"r{len(self.references)}", data=value)
        dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)
        return dataset

    def empty(self):
        dataset = self.keep(np.zeros(2, np.uint64), "double")  # its size, 0 × 0
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
        return dataset.ref

    def image(self, pair, person, number):
        if number not in SEEN[pair, person]:
            return self.empty()
        return self.keep(np.ascontiguousarray(picture(pair, person, number).T), "uint8").ref  # (3, w, h)

    def pair(self, pair):
        people = [person for of, person in SEEN if of == pair]
        cell = np.empty((10, len(people)), h5py.ref_dtype)
        for row, person in enumerate(people):
            for column in range(10):
                cell[column, row] = self.image(pair, person, column + 1)
        return self.keep(cell, "cell").ref

    def variable(self, name):
        cell = np.empty((1, 5), h5py.ref_dtype)
        cell[0] = [self.pair(pair) for pair in range(1, 6)]
        self.file.create_dataset(name, data=cell).attrs["MATLAB_class"] = np.bytes_("cell")


def protocol(root, boxes="labeled"):
    labels = [[1], [1], [1], [2], [1101], [1101]]
    rows = {"train_idx": [[1], [2], [3], [4]], "query_idx": [[5]], "gallery_idx": [[6]]}
    table = {"filelist": np.array([[name] for name in NAMES], object), "labels": np.array(labels)}
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", {**table, **rows})


def release(root, name="cuhk-03.mat", boxes=("labeled", "detected")):
    written = Release(root / name)
    for one in boxes:
        written.variable(one)
    written.file.close()
    header = b"MATLAB 7.3 MAT-file".ljust(512)
    with (root / name).open("r+b") as file:
        file.write(header)
    protocol(root)
    return root


@pytest.mark.parametrize("name", ["cuhk-03.mat", "cuhk03_release/cuhk-03.mat"])
def test_images_are_extracted_under_the_names_of_the_protocol(tmp_path, name):
    root = release(tmp_path, name)
    assert [(crop.path.name, crop.pid, crop.camid) for crop in list_split(root, "query")] == [(NAMES[4], 1101, 1)]
    assert sorted(path.name for path in (root / "images_labeled").iterdir()) == NAMES
    for one in NAMES:
        pair, person, camera, number = (int(part) for part in one.removesuffix(".png").split("_"))
        assert camera == (1 if number <= 5 else 2)
        rgb = cv2.imread(str(root / "images_labeled" / one))[:, :, ::-1]
        np.testing.assert_array_equal(rgb, picture(pair, person, number))
    assert not (root / "images_detected").exists()


def test_every_split_can_be_read(tmp_path, caplog):
    caplog.set_level(logging.INFO, "reidpipe")
    root = release(tmp_path)
    assert [read_split(root, split).pids.tolist() for split in ("train", "query", "gallery")] == [
        [1, 1, 1, 2],
        [1101],
        [1101],
    ]
    assert len([line for line in caplog.messages if "extracting the labeled images" in line]) == 1


def test_the_other_boxes_have_their_own_folder(tmp_path):
    root = release(tmp_path)
    protocol(root, "detected")
    (crop,) = list_split(root, "gallery", "cuhk03-detected")
    assert (crop.path.parent.name, crop.path.is_file()) == ("images_detected", True)


def test_null_references_are_missing_images(tmp_path):
    root = release(tmp_path)
    with h5py.File(root / "cuhk-03.mat", "r+") as file:
        cell = file[file["labeled"][0, 0]]
        cell[0, 0] = h5py.Reference()
    list_split(root, "query")
    assert sorted(path.name for path in (root / "images_labeled").iterdir()) == NAMES[1:]


def no_hdf5(path):
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(600))


def no_variable(path):
    with h5py.File(path, "r+") as file:
        del file["labeled"]


def no_cell(path):
    with h5py.File(path, "r+") as file:
        del file["labeled"]
        file["labeled"] = np.zeros((3, 3))


def too_few_images(path):
    with h5py.File(path, "r+") as file:
        cell = file["labeled"]
        cell[0, 2] = file.create_dataset("short", data=file[cell[0, 0]][:4]).ref


def grey(path):
    with h5py.File(path, "r+") as file:
        cell = file[file["labeled"][0, 3]]
        cell[4, 0] = file.create_dataset("grey", data=np.zeros((1, 8, 16), np.uint8)).ref


def cut_short(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_hdf5, r"cuhk-03\.mat: not a readable MATLAB 7\.3 \(HDF5\) file"),
        (cut_short, r"cuhk-03\.mat: not a readable MATLAB 7\.3 \(HDF5\) file"),
        (no_variable, r"cuhk-03\.mat: not CUHK03's release: it has no variable labeled"),
        (no_cell, r"cuhk-03\.mat: not CUHK03's release: /labeled is not a cell"),
        (too_few_images, r"labeled: expected pairs of \(people, 10\) images, got \(2, 4\)"),
        (grey, r"image 4_001_1_05\.png: expected uint8 \(3, width, height\), got uint8 \(1, 8, 16\)"),
    ],
)
def test_an_invalid_release_is_refused_and_leaves_no_files(tmp_path, spoil, message):
    root = release(tmp_path)
    spoil(root / "cuhk-03.mat")
    before = sorted(root.iterdir())
    with pytest.raises(DatasetError, match=message):
        list_split(root, "query")
    assert sorted(root.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    root = release(tmp_path)
    (root / "images_labeled").write_text("in the way")
    with pytest.raises(DatasetError, match=r"images_labeled: the images of cuhk-03\.mat cannot be extracted to it: "):
        list_split(root, "query")


def test_a_missing_h5py_is_reported_with_what_to_install(tmp_path, monkeypatch):
    root = release(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DatasetError, match=r"cuhk-03\.mat: needs h5py, .*: pip install 'reidpipe\[cuhk03\]'"):
        list_split(root, "query")
    assert not (root / "images_labeled").exists()
