"""Every published layout, on a tiny data set of that layout."""

import logging
import re

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from reidpipe.reid import DatasetError
from reidpipe.reid.data import dataset as dataset_module
from reidpipe.reid.data.dataset import join_crop_sets, read_people, read_split
from reidpipe.reid.data.layouts import (
    PUBLISHED,
    Counts,
    count_crops,
    find_layout,
    list_split,
    mismatches,
    published_counts,
)


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((20, 10, 3), shade, np.uint8))


def market(root, names=("0001_c1s1_000001_00.jpg", "0002_c2s1_000001_00.jpg")):
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        for name in names:
            picture(root / folder / name)
    return root


def occluded_reid(root):
    for kind in ("occluded", "whole"):
        for pid in (1, 2):
            for index in (1, 2):
                picture(root / f"{kind}_body_images" / f"{pid:03d}" / f"{pid:03d}_{index:02d}.tif")
    return root


def p_duke(root):
    for half, pids in (("train", (1, 2, 3)), ("test", (4, 5))):
        for kind in ("occluded", "whole"):
            for pid in pids:
                picture(root / half / f"{kind}_body_images" / f"{pid:04d}" / f"{pid:04d}_c2_f0046985.jpg")
    return root


def msmt17(root, folders=("train", "test")):
    lists = {"train": [(0, 3), (1, 5)], "val": [(0, 4)], "query": [(0, 1)], "gallery": [(0, 2), (7, 15)]}
    for name, crops in lists.items():
        lines = []
        for index, (pid, camid) in enumerate(crops):
            path = f"{pid:04d}/{pid:04d}_{index:03d}_{camid:02d}_0303morning_{name}_0.jpg"
            picture(root / folders[name in ("query", "gallery")] / path)
            lines.append(f"{path} {pid}\n")
        (root / f"list_{name}.txt").write_text("".join(lines))
    return root


def cuhk03(root, boxes="labeled"):
    names = ["1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png", "2_001_1_01.png", "2_001_2_06.png"]
    for name in names:
        picture(root / f"images_{boxes}" / name)
    filelist = np.array([[name] for name in names], object)
    table = {"filelist": filelist, "labels": np.array([[1], [1], [2], [844], [844]])}
    rows = {"train_idx": np.array([[1], [2], [3]]), "query_idx": np.array([[4]]), "gallery_idx": np.array([[5]])}
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", {**table, **rows})
    return root


def labels(root, split, layout=None):
    return [(crop.pid, crop.camid) for crop in list_split(root, split, layout)]


@pytest.mark.parametrize(
    ("name", "write", "train", "query", "gallery"),
    [
        pytest.param("market-1501", market, *[[(1, 1), (2, 2)]] * 3, id="Market-1501"),
        pytest.param("occluded-reid", occluded_reid, None, [(1, 1)] * 2 + [(2, 1)] * 2, [(1, 2)] * 2 + [(2, 2)] * 2),
        pytest.param(
            "p-dukemtmc", p_duke, [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)], [(4, 1), (5, 1)], [(4, 2), (5, 2)]
        ),
        pytest.param("msmt17", msmt17, [(1, 3), (2, 5), (1, 4)], [(1, 1)], [(1, 2), (8, 15)]),
        pytest.param("cuhk03-labeled", cuhk03, [(1, 1), (1, 2), (2, 1)], [(844, 1)], [(844, 2)]),
    ],
)
def test_each_layout_is_recognised_and_read(tmp_path, name, write, train, query, gallery):
    root = write(tmp_path)
    assert find_layout(root).name == name
    for split, expected in (("train", train), ("query", query), ("gallery", gallery)):
        if expected is None:
            with pytest.raises(DatasetError, match=f"layout {name} has no {split} split"):
                list_split(root, split)
        else:
            assert labels(root, split) == expected
            assert len(read_split(root, split)) == len(expected)


def test_duke_names_are_market_names(tmp_path):
    root = market(tmp_path / "Occluded_Duke", ("0005_c2_f0046985.jpg", "0013_c8_f0000001.jpg"))
    assert labels(root, "query") == [(5, 2), (13, 8)]
    assert published_counts(root, find_layout(root), "query") == Counts(519, 2210, 8)


def test_junk_is_left_out_and_distractors_are_no_identities(tmp_path):
    root = market(tmp_path, ("-1_c1s1_000001_00.jpg", "0000_c1s1_000001_00.jpg", "0003_c1s1_000001_00.jpg"))
    assert labels(root, "gallery") == [(0, 1), (3, 1)]
    assert count_crops(list_split(root, "gallery")) == Counts(identities=1, images=2, cameras=1)


def test_version_two_of_msmt17_has_other_folder_names(tmp_path):
    root = msmt17(tmp_path, ("mask_train_v2", "mask_test_v2"))
    assert list_split(root, "query")[0].path.parts[-3] == "mask_test_v2"
    assert len(read_split(root, "train")) == 3


def test_two_kinds_of_boxes_need_a_layout_name(tmp_path):
    root = cuhk03(cuhk03(tmp_path, "labeled"), "detected")
    with pytest.raises(DatasetError, match="holds cuhk03-labeled and cuhk03-detected; name the layout"):
        list_split(root, "query")
    assert list_split(root, "query", "cuhk03-detected")[0].path.parent.name == "images_detected"


@pytest.mark.parametrize(
    ("spoil", "write", "split", "message"),
    [
        pytest.param("query", market, "query", r"query: no such folder of crops", id="missing split"),
        pytest.param("list_val.txt", msmt17, "train", r"list_val\.txt: no such list of crops", id="missing list"),
        pytest.param(
            "train/whole_body_images", p_duke, "train", r"whole_body_images: no such folder of crops", id="missing half"
        ),
        pytest.param(
            "cuhk03_new_protocol_config_labeled.mat", cuhk03, "query", r"labeled\.mat: no such protocol file", id="mat"
        ),
        pytest.param("images_labeled/2_001_1_01.png", cuhk03, "query", r"2_001_1_01\.png: no such image", id="image"),
    ],
)
def test_missing_files_are_reported(tmp_path, spoil, write, split, message):
    root = write(tmp_path)
    (root / spoil).rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=message):
        read_split(root, split)


@pytest.mark.parametrize(
    ("write", "name", "content", "split", "message"),
    [
        pytest.param(market, "query/somebody.jpg", b"", "query", r"somebody\.jpg: expected a name like", id="market"),
        pytest.param(occluded_reid, "occluded_body_images/001/x.tif", b"", "query", r"x\.tif: expected a name", id="o"),
        pytest.param(
            msmt17, "list_query.txt", b"0000/0.jpg 3", "query", r"0\.jpg: expected a name like 0000_000_01", id="msmt"
        ),
        pytest.param(
            msmt17, "list_query.txt", b"0000/0.jpg", "query", r"list_query\.txt: line 1: expected a path", id="no pid"
        ),
        pytest.param(
            market, "query/0009_c1s1_0_00.jpg", b"no", "query", r"0009_c1s1_0_00\.jpg: is not an image", id="unreadable"
        ),
        pytest.param(
            cuhk03, "cuhk03_new_protocol_config_labeled.mat", b"no", "query", r"not a CUHK03 protocol file", id="mat"
        ),
        pytest.param(msmt17, "list_gallery.txt", b"", "gallery", r"gallery split of layout msmt17, found none", id="0"),
    ],
)
def test_invalid_files_are_reported(tmp_path, write, name, content, split, message):
    root = write(tmp_path)
    (root / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_split(root, split)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="not a known data set; expected query and bounding_box_test"):
        list_split(tmp_path, "query")
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        list_split(tmp_path / "nowhere", "query")
    with pytest.raises(DatasetError, match=r"layout: expected one of market-1501, .*, got viper"):
        list_split(tmp_path, "query", "viper")


def test_counts_that_differ_from_the_published_ones_are_a_warning_with_both(tmp_path, caplog):
    caplog.set_level(logging.INFO, "reidpipe")
    read_split(market(tmp_path / "Market-1501-v15.09.15"), "train")
    assert "train: identities 2, images 2, cameras 2" in caplog.messages[0]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [re.sub(".*warning: ", "", line) for line in warned] == [
        "2 identities where 751 were published",
        "2 images where 12936 were published",
        "2 cameras where 6 were published",
    ]


def test_a_folder_of_an_unknown_name_is_not_compared(tmp_path, caplog):
    read_split(market(tmp_path / "cuhk03-dev"), "train")
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_equal_counts_have_no_mismatches():
    published = PUBLISHED["market-1501"]["gallery"]
    assert mismatches(published, published) == []


def test_a_recipe_may_name_a_data_set_or_a_folder_of_crops(tmp_path):
    root = msmt17(tmp_path / "msmt17")
    assert read_people(root).pids.tolist() == [1, 2, 1]
    assert read_people(market(tmp_path / "market") / "bounding_box_train").pids.tolist() == [1, 2]
    with pytest.raises(DatasetError, match="nothing: not a known data set"):
        (tmp_path / "nothing").mkdir()
        read_people(tmp_path / "nothing")


def test_sets_too_large_for_memory_are_the_same_on_disk(tmp_path, monkeypatch, write_crops):
    write_crops(tmp_path / "query", identities=3, cameras=2, each=1)
    in_memory = read_split(tmp_path, "query")
    monkeypatch.setattr(dataset_module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(dataset_module, "COPIED_CROPS", 2)
    mapped = read_split(tmp_path, "query")
    assert isinstance(mapped.images, np.memmap)
    np.testing.assert_array_equal(mapped.images, in_memory.images)
    chosen = mapped[mapped.camids == 2]
    assert isinstance(chosen.images, np.memmap)
    np.testing.assert_array_equal(chosen.images, in_memory.images[in_memory.camids == 2])
    np.testing.assert_array_equal(join_crop_sets([mapped, chosen]).images[:6], in_memory.images)
