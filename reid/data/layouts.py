"""Layouts of published data sets: list the crops of a split with identity and camera, and compare their counts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ..errors import DatasetError
from .cuhk03_release import extract_release, find_release

Split = Literal["train", "query", "gallery"]
SPLITS: tuple[Split, ...] = ("train", "query", "gallery")

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
JUNK_PID = -1  # marks boxes that show no usable person in Market-1501; never listed
DISTRACTOR_PID = 0  # in the gallery, but none of the identities
OCCLUDED_CAMID, WHOLE_CAMID = 1, 2  # cameras are not published: the two kinds of crops count as two, as in all papers

MARKET_NAME = re.compile(r"(-?\d+)_c(\d+)")  # 0001_c1s1_000012_00.jpg, and Duke's 0005_c2_f0046985.jpg
PERSON_NAME = re.compile(r"(\d+)_")  # 001_01.tif: person, image
MSMT_NAME = re.compile(r"\d+_\d+_(\d+)_")  # 0000_000_01_0303morning_0015_0.jpg: person, image, camera
CUHK_NAME = re.compile(r"\d+_\d+_(\d+)_")  # 1_001_1_01.png: camera pair, person in it, camera of the pair, image
NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")


class LabelledCrop(NamedTuple):
    """One image file with its identity and camera; pid 0 is a distractor."""

    path: Path
    pid: int
    camid: int


class Counts(NamedTuple):
    """The size of one split; distractors count as images, not as identities."""

    identities: int
    images: int
    cameras: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in zip(self._fields, self, strict=True))


@dataclass(frozen=True)
class Layout:
    """The folder layout of a data set.

    Attributes:
        name: as users write it.
        marks: paths under the root by which the layout is recognised; one of them is enough, so that an incomplete
            data set is recognised too, and the error names what is missing.
        splits: for each split a function that lists its crops, given the root.
    """

    name: str
    marks: tuple[str, ...]
    splits: Mapping[Split, Callable[[Path], list[LabelledCrop]]]


PUBLISHED: Mapping[str, Mapping[Split, Counts]] = {
    # Zheng et al., ICCV 2015; the gallery without its 3,819 junk boxes
    "market-1501": {"train": Counts(751, 12936, 6), "query": Counts(750, 3368, 6), "gallery": Counts(750, 15913, 6)},
    # Miao et al., ICCV 2019
    "occluded-duke": {"train": Counts(702, 15618, 8), "query": Counts(519, 2210, 8), "gallery": Counts(1110, 17661, 8)},
    # Zhuo et al., ICME 2018; cameras are not published, see OCCLUDED_CAMID
    "occluded-reid": {"query": Counts(200, 1000, 1), "gallery": Counts(200, 1000, 1)},
    "p-dukemtmc": {"train": Counts(665, 12927, 2), "query": Counts(634, 2163, 1), "gallery": Counts(634, 9053, 1)},
    # Wei et al., CVPR 2018; the training split with its validation part
    "msmt17": {"train": Counts(1041, 32621, 15), "query": Counts(3060, 11659, 15), "gallery": Counts(3060, 82161, 15)},
    # Zhong et al., CVPR 2017, new protocol; the five pairs of cameras count as one
    "cuhk03-labeled": {"train": Counts(767, 7368, 2), "query": Counts(700, 1400, 2), "gallery": Counts(700, 5328, 2)},
    "cuhk03-detected": {"train": Counts(767, 7365, 2), "query": Counts(700, 1400, 2), "gallery": Counts(700, 5332, 2)},
}


def list_split(root: Path, split: Split, layout: str | None = None) -> list[LabelledCrop]:
    """List the crops of one split in a fixed order, without opening an image; CUHK03 is extracted first if necessary.

    Args:
        root: the data set's folder.
        split: train, query or gallery.
        layout: a name of `LAYOUTS`; None recognises it from the folder.

    Raises:
        DatasetError: no such layout or split, a folder or list is missing, a file is misnamed, or the split is empty.
    """
    found = find_layout(root, layout)
    if split not in found.splits:
        raise DatasetError(f"{root}: a data set of layout {found.name} has no {split} split")
    crops = found.splits[split](root)
    if not crops:
        raise DatasetError(f"{root}: expected crops in the {split} split of layout {found.name}, found none")
    return crops


def find_layout(root: Path, layout: str | None = None) -> Layout:
    """The layout of that name, or without a name the only one that has a mark in the folder.

    Raises:
        DatasetError: no such folder or name, or not exactly one layout fits.
    """
    try:
        is_folder = root.is_dir()
    except OSError as error:
        raise DatasetError(f"{root}: {error.strerror}") from error
    if not is_folder:
        raise DatasetError(f"{root}: no such folder")
    if layout is not None:
        if layout not in LAYOUTS:
            raise DatasetError(f"layout: expected one of {', '.join(LAYOUTS)}, got {layout}")
        return LAYOUTS[layout]
    fitting = [one for one in LAYOUTS.values() if any((root / mark).exists() for mark in one.marks)]
    if not fitting:
        raise DatasetError(
            f"{root}: not a known data set; expected query and bounding_box_test in it, or one of the layouts "
            f"{', '.join(LAYOUTS)}"
        )
    if len(fitting) > 1:
        names = " and ".join(one.name for one in fitting)
        raise DatasetError(f"{root}: holds {names}; name the layout")
    return fitting[0]


def list_folder(folder: Path) -> list[LabelledCrop]:
    """List the crops in Market-1501 naming that lie directly in one folder, sorted by name, without junk.

    Raises:
        DatasetError: the folder is missing, holds no crops, or a file is misnamed.
    """
    crops = _numbered_images(_images_in(folder), MARKET_NAME, "0001_c1s1_000012_00.jpg")
    if not crops:
        raise DatasetError(f"{folder}: expected crops named like 0001_c1s1_000012_00.jpg, found none")
    return crops


def count_crops(crops: Sequence[LabelledCrop]) -> Counts:
    """Count the identities, images and cameras of one split."""
    pids = np.unique([crop.pid for crop in crops])
    return Counts(int(np.sum(pids != DISTRACTOR_PID)), len(crops), len({crop.camid for crop in crops}))


def published_counts(root: Path, layout: Layout, split: Split) -> Counts | None:
    """The counts that the authors published; None for an unknown data set.

    Many data sets have Market-1501's layout, so these are recognised by the common names of their folders.
    """
    name = layout.name
    if name == "market-1501":
        own, parent = (
            NOT_ALPHANUMERIC.sub("", part.lower()) for part in (root.resolve().name, root.resolve().parent.name)
        )
        common = {"market1501": name, "market1501v150915": name, "occludedduke": "occluded-duke"}
        nested = {("cuhk03np", "labeled"): "cuhk03-labeled", ("cuhk03np", "detected"): "cuhk03-detected"}
        name = nested.get((parent, own), common.get(own, ""))
    return PUBLISHED.get(name, {}).get(split)


def mismatches(found: Counts, published: Counts) -> list[str]:
    """One line for each count that differs, with both numbers."""
    return [
        f"{one} {name} where {other} were published"
        for name, one, other in zip(Counts._fields, found, published, strict=True)
        if one != other
    ]


def _images_in(folder: Path, depth: str = "*") -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of crops")
    return sorted(path for path in folder.glob(depth) if path.suffix.lower() in IMAGE_SUFFIXES)


def _numbered_images(paths: Sequence[Path], pattern: re.Pattern[str], example: str) -> list[LabelledCrop]:
    """Crops with person and camera from the two groups of a pattern, without junk."""
    crops = []
    for path in paths:
        pid, camid = (int(number) for number in _groups(path, pattern, example))
        if pid != JUNK_PID:
            crops.append(LabelledCrop(path, pid, camid))
    return crops


def _groups(path: Path, pattern: re.Pattern[str], example: str) -> tuple[str, ...]:
    found = pattern.match(path.name)
    if found is None:
        raise DatasetError(f"{path}: expected a name like {example}")
    return found.groups()


def _market(folder: str) -> Callable[[Path], list[LabelledCrop]]:
    return lambda root: list_folder(root / folder)


def _people_folders(root: Path, folder: str, camid: int) -> list[LabelledCrop]:
    """Crops in one folder per person, such as occluded_body_images/001/001_01.tif."""
    paths = _images_in(root / folder, "*/*")
    return [LabelledCrop(path, int(_groups(path, PERSON_NAME, "001_01.tif")[0]), camid) for path in paths]


def _p_duke_train(root: Path) -> list[LabelledCrop]:
    occluded = _people_folders(root, "train/occluded_body_images", OCCLUDED_CAMID)
    return occluded + _people_folders(root, "train/whole_body_images", WHOLE_CAMID)


def _msmt17(*sources: tuple[str, str]) -> Callable[[Path], list[LabelledCrop]]:
    """Crops that text files list as `path pid`; sources are pairs of folder and list."""

    def listed(root: Path) -> list[LabelledCrop]:
        crops = []
        for folder, name in sources:
            blurred = root / f"mask_{folder}_v2"  # version 2 has blurred faces and other folder names
            crops += _msmt17_list(blurred if blurred.is_dir() else root / folder, root / name)
        return crops

    return listed


def _msmt17_list(folder: Path, list_path: Path) -> list[LabelledCrop]:
    crops = []
    for number, line in enumerate(_lines_of(list_path), 1):
        name, _, pid = line.rpartition(" ")
        if not name or not pid.isdigit():
            raise DatasetError(f"{list_path}: line {number}: expected a path and an identity, got {line!r}")
        path = folder / name
        (camid,) = _groups(path, MSMT_NAME, "0000_000_01_0303morning_0015_0.jpg")
        crops.append(LabelledCrop(path, int(pid) + 1, int(camid)))  # published from 0, which is the distractor here
    return crops


def _lines_of(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path}: no such list of crops") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _cuhk03(boxes: str, index: str) -> Callable[[Path], list[LabelledCrop]]:
    """Crops that the new protocol's .mat file lists (Zhong et al., CVPR 2017).

    Images lie in images_labeled or images_detected, as 1_001_1_01.png.  If that folder is missing, they are extracted
    from the release, cuhk-03.mat, first.
    """

    def listed(root: Path) -> list[LabelledCrop]:
        path, folder = root / f"cuhk03_new_protocol_config_{boxes}.mat", root / f"images_{boxes}"
        names, labels, rows = _protocol(path, index)
        release = find_release(root)
        if release is not None and not folder.is_dir():
            extract_release(release, boxes, folder)
        crops = []
        for row in rows:
            image = folder / names[row]
            crops.append(LabelledCrop(image, labels[row], int(_groups(image, CUHK_NAME, "1_001_1_01.png")[0])))
        return crops

    return listed


def _protocol(path: Path, index: str) -> tuple[list[str], list[int], list[int]]:
    """Read file names and identities of all images, and the rows (from 0) of one split."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise DatasetError(f"{path}: no such protocol file; it is published separately from CUHK03's release")
    try:
        table = loadmat(str(path))
        names = [str(name.item()) for name in table["filelist"].ravel()]
        labels, rows = table["labels"].ravel().tolist(), (table[index].ravel().astype(int) - 1).tolist()
    except (KeyError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise DatasetError(f"{path}: not a CUHK03 protocol file with filelist, labels and {index}") from error
    if len(labels) != len(names) or not all(0 <= row < len(names) for row in rows):
        raise DatasetError(f"{path}: {index} and labels do not fit the {len(names)} names of filelist")
    return names, labels, rows


def _cuhk03_layout(boxes: str) -> Layout:
    return Layout(
        f"cuhk03-{boxes}",
        (f"cuhk03_new_protocol_config_{boxes}.mat", f"images_{boxes}"),
        {split: _cuhk03(boxes, f"{split}_idx") for split in SPLITS},
    )


# Occluded-Duke, and CUHK03 as cuhk03-np/labeled and cuhk03-np/detected, come in Market-1501's layout.
_ALL = (
    Layout(
        "market-1501",
        ("query", "bounding_box_test", "bounding_box_train"),
        {
            "train": _market("bounding_box_train"),
            "query": _market("query"),
            "gallery": _market("bounding_box_test"),
        },
    ),
    Layout(
        "occluded-reid",
        ("occluded_body_images", "whole_body_images"),
        {
            "query": lambda root: _people_folders(root, "occluded_body_images", OCCLUDED_CAMID),
            "gallery": lambda root: _people_folders(root, "whole_body_images", WHOLE_CAMID),
        },
    ),
    Layout(
        "p-dukemtmc",
        tuple(f"{half}/{kind}_body_images" for half in ("train", "test") for kind in ("occluded", "whole")),
        {
            "train": _p_duke_train,
            "query": lambda root: _people_folders(root, "test/occluded_body_images", OCCLUDED_CAMID),
            "gallery": lambda root: _people_folders(root, "test/whole_body_images", WHOLE_CAMID),
        },
    ),
    Layout(
        "msmt17",
        ("list_train.txt", "list_query.txt", "list_gallery.txt"),
        {
            "train": _msmt17(("train", "list_train.txt"), ("train", "list_val.txt")),
            "query": _msmt17(("test", "list_query.txt")),
            "gallery": _msmt17(("test", "list_gallery.txt")),
        },
    ),
    _cuhk03_layout("labeled"),
    _cuhk03_layout("detected"),
)
LAYOUTS: Mapping[str, Layout] = {one.name: one for one in _ALL}
