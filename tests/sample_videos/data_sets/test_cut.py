"""The tiny store's people, cut out as a re-identification test."""

import csv
import json
from pathlib import Path

import cv2
import pytest

from reidpipe.reid.data.dataset import read_crop_set
from sample_videos.data_sets.cut import LEAST_VISIBLE, MOST_PER_CAMERA, cut_people

TINY = Path(__file__).parents[3] / "sample_videos" / "tiny"
CAMERAS = TINY / "truth" / "cameras.json"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    out = tmp_path_factory.mktemp("cut")
    list(cut_people(TINY, out))
    return out


def test_it_is_a_test_set_that_evaluation_reads(people):
    query, gallery = (read_crop_set(people / split) for split in ("query", "bounding_box_test"))
    assert set(query.camids) == {1, 2}
    assert set(gallery.pids) <= set(query.pids)  # everybody's first crop is a query
    assert len(gallery) > len(query)


def test_crops_are_the_boxes_of_the_truth(people):
    cameras = {1: "left", 2: "right"}
    truth = {}
    for camid, name in cameras.items():
        with (TINY / "truth" / f"{name}.csv").open() as file:
            for row in csv.DictReader(file):
                truth[camid, int(row["identity"]), int(row["frame"])] = row
    paths = [*people.glob("*/*.png")]
    assert paths
    for path in paths:
        identity, camid, frame = int(path.name[:4]), int(path.name[6]), int(path.name.split("_")[2])
        row = truth[camid, identity, frame]
        height, width = cv2.imread(str(path)).shape[:2]
        assert (width, height) == (int(row["x2"]) - int(row["x1"]), int(row["y2"]) - int(row["y1"]))
        assert float(row["visible"]) >= LEAST_VISIBLE


def test_people_whom_the_border_cuts_off_can_be_left_out(people, tmp_path):
    size = {name: (one["width"], one["height"]) for name, one in json.loads(CAMERAS.read_text()).items()}
    whole = [path.relative_to(tmp_path) for path in cut_people(TINY, tmp_path, whole=True)]
    truth = {}
    for name in size:
        with (TINY / "truth" / f"{name}.csv").open() as file:
            truth[name] = {(int(row["identity"]), int(row["frame"])): row for row in csv.DictReader(file)}
    assert whole
    for path in whole:
        name = [*size][int(path.name[6]) - 1]
        row = truth[name][int(path.name[:4]), int(path.name.split("_")[2])]
        assert min(int(row["x1"]), int(row["y1"])) > 0
        assert int(row["x2"]) < size[name][0]
        assert int(row["y2"]) < size[name][1]
    assert len(whole) < len([*people.glob("*/*.png")])


def test_crops_per_person_and_camera_are_limited(people):
    crops = {}
    for path in people.glob("*/*.png"):
        crops[path.name[:7]] = crops.get(path.name[:7], 0) + 1
    assert max(crops.values()) <= MOST_PER_CAMERA
