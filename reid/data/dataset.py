"""Read data sets of person crops, published ones and plain folders, into a `CropSet`."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..crops import HEIGHT_PX, WIDTH_PX, resize_crop
from ..disk.files import failing_as, read_image
from ..errors import DatasetError
from .layouts import (
    IMAGE_SUFFIXES,
    LabelledCrop,
    Split,
    count_crops,
    find_layout,
    list_folder,
    list_split,
    mismatches,
    published_counts,
)

VISIBLE_FOLDER = "visible"  # beside crops: masks of the person in each
IMAGES_FOLDER, MASKS_FOLDER = "images", "masks"  # of unlabelled images
VISIBLE_HW = (64, 32)  # finer than the maps of a network need, and small enough to keep in memory
IN_MEMORY_BYTES = 2 * 2**30  # about 21,000 crops; larger sets are stored in a memory-mapped temporary file
COPIED_CROPS = 1024  # rows copied at a time, so that copying a mapped set takes little memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class CropSet:
    """Labelled crops at the input size of the networks, in memory or, if large, in a memory-mapped temporary file.

    Attributes:
        images: uint8 (N, 256, 128, 3) BGR.
        pids: int64 (N,), identities; 0 is a distractor.
        camids: int64 (N,), cameras.
        visible: uint8 (N, 64, 32), 255 where the person is visible, 0 elsewhere; all 0 for a crop without a mask; None
            if no crop has one.
        sources: int64 (N,), the index of the joined set that a crop came from; None for a single set.
    """

    images: NDArray[np.uint8]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]
    visible: NDArray[np.uint8] | None = None
    sources: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "CropSet":
        index = np.arange(len(self))[rows]
        visible = None if self.visible is None else self.visible[index]
        sources = None if self.sources is None else self.sources[index]
        return CropSet(_gather(self.images, index), self.pids[index], self.camids[index], visible, sources)


def read_crop_set(folder: Path) -> CropSet:
    """Read every crop of one folder in Market-1501 naming, without junk (pid -1).

    A sub-folder `visible` may hold a mask of the person for each crop, as a PNG of the same name.

    Raises:
        DatasetError: the folder is missing or holds no crops, or a file cannot be read or is misnamed.
    """
    with failing_as(DatasetError, folder):
        crops = list_folder(folder)
    return read_listed(crops)


def read_split(root: Path, split: Split, layout: str | None = None) -> CropSet:
    """Read one split of a published data set; logs its counts, and a warning where they differ from the published ones.

    Args:
        root: the data set's folder.
        split: train, query or gallery.
        layout: a name of `layouts.LAYOUTS`; None recognises it from the folder.

    Raises:
        DatasetError: as `list_split`; or an image cannot be read.
    """
    with failing_as(DatasetError, root):
        crops = list_split(root, split, layout)
    found, published = count_crops(crops), published_counts(root, find_layout(root, layout), split)
    logger.info("%s: %s: %s", root, split, found)
    if published is not None:
        for line in mismatches(found, published):
            logger.warning("%s: %s: warning: %s", root, split, line)
    return read_listed(crops)


def read_people(path: Path) -> CropSet:
    """Read the training split of a published data set, or every crop that lies directly in a plain folder.

    Raises:
        DatasetError: as `read_crop_set` and `read_split`.
    """
    with failing_as(DatasetError, path):
        is_plain = path.is_dir() and any(one.suffix.lower() in IMAGE_SUFFIXES for one in path.iterdir())
    return read_crop_set(path) if is_plain else read_split(path, "train")


def read_unlabelled(folder: Path) -> CropSet:
    """Read unlabelled images of one person each; every image gets an identity of its own, and all the same camera.

    The images lie in `folder` itself, with masks of the person in its sub-folder `visible`; or in its sub-folder
    `images`, with masks in its sub-folder `masks`.  Masks are optional PNGs of the same name.

    Raises:
        DatasetError: the folder is missing or holds no images, or one cannot be read.
    """
    with failing_as(DatasetError, folder):
        pictures = folder / IMAGES_FOLDER if (folder / IMAGES_FOLDER).is_dir() else folder
        if not pictures.is_dir():
            raise DatasetError(f"{folder}: no such folder of pictures")
        paths = sorted(path for path in pictures.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError(f"{pictures}: expected pictures of people, found none")
    images = _space_for((len(paths), HEIGHT_PX, WIDTH_PX, 3))
    for row, path in enumerate(paths):
        images[row] = resize_crop(read_image(path))
    visible = _read_visible(paths, pictures.parent / MASKS_FOLDER if pictures != folder else pictures / VISIBLE_FOLDER)
    return CropSet(images, np.arange(len(paths), dtype=np.int64), np.zeros(len(paths), np.int64), visible)


def read_listed(crops: Sequence[LabelledCrop]) -> CropSet:
    """Read a list of labelled images, in that order.

    Raises:
        DatasetError: an image cannot be read.
    """
    images = _space_for((len(crops), HEIGHT_PX, WIDTH_PX, 3))
    for row, crop in enumerate(crops):
        images[row] = resize_crop(read_image(crop.path))
    pids = np.array([crop.pid for crop in crops], np.int64)
    camids = np.array([crop.camid for crop in crops], np.int64)
    return CropSet(images, pids, camids, _read_visible([crop.path for crop in crops]))


def join_crop_sets(sets: Sequence[CropSet]) -> CropSet:
    """Join sets, with identities renumbered from 0 so that no two sets share one."""
    pids: list[NDArray[np.int64]] = []
    sources = np.repeat(np.arange(len(sets)), [len(one) for one in sets])  # (N,)
    visible = None
    if any(one.visible is not None for one in sets):
        visible = np.zeros((len(sources), *VISIBLE_HW), np.uint8)
    images = _space_for((sum(len(one) for one in sets), *sets[0].images.shape[1:]))
    offset = start = 0
    for one in sets:
        own, renumbered = np.unique(one.pids, return_inverse=True)
        pids.append(renumbered.astype(np.int64) + offset)
        images[start : start + len(one)] = one.images
        if visible is not None and one.visible is not None:
            visible[start : start + len(one)] = one.visible
        offset, start = offset + len(own), start + len(one)
    return CropSet(images, np.concatenate(pids), np.concatenate([one.camids for one in sets]), visible, sources)


def _space_for(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An uninitialised uint8 array in memory, or above `IN_MEMORY_BYTES` in a file that is deleted with the array.

    The file lies in TMPDIR; for MSMT17 it takes 3 GB for training and 12 GB in all.
    """
    if int(np.prod(shape)) <= IN_MEMORY_BYTES:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:  # the mapping outlives the closed file
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _gather(images: NDArray[np.uint8], rows: NDArray[np.integer]) -> NDArray[np.uint8]:
    gathered = _space_for((len(rows), *images.shape[1:]))
    for start in range(0, len(rows), COPIED_CROPS):
        gathered[start : start + COPIED_CROPS] = images[rows[start : start + COPIED_CROPS]]
    return gathered


def _read_visible(paths: Sequence[Path], folder: Path | None = None) -> NDArray[np.uint8] | None:
    """Read the masks of crops from `folder`, by default `visible` beside each crop: `CropSet.visible`."""
    pictures = [(folder or path.parent / VISIBLE_FOLDER) / f"{path.stem}.png" for path in paths]
    with failing_as(DatasetError, Path(VISIBLE_FOLDER)):
        if not any(picture.is_file() for picture in pictures):
            return None
    visible = np.zeros((len(paths), *VISIBLE_HW), np.uint8)
    for row, picture in enumerate(pictures):
        if picture.is_file():
            grey = cv2.cvtColor(read_image(picture), cv2.COLOR_BGR2GRAY)
            visible[row] = cv2.resize(grey, VISIBLE_HW[::-1], interpolation=cv2.INTER_AREA)
    return visible
