"""Where do training and test crops come from?  Published data sets and plain folders, read into one `CropSet`."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..crops import HEIGHT_PX, WIDTH_PX, resize_crop
from ..errors import DatasetError
from ..files import read_image
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

VISIBLE_FOLDER = "visible"  # beside crops: where their people are seen
IMAGES_FOLDER, MASKS_FOLDER = "images", "masks"  # of unlabelled pictures
VISIBLE_HW = (64, 32)  # finer than any map of a network, and small enough to keep
IN_MEMORY_BYTES = 2 * 2**30  # about 21,000 crops; larger sets lie in a temporary file that is mapped into memory
COPIED_CROPS = 1024  # rows copied at a time, so that copying a mapped set needs no memory either

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class CropSet:
    """Crops ready for the network, in memory or, where they are too many, mapped from a temporary file.

    Attributes:
        images: uint8 (N, 256, 128, 3) BGR.
        pids: int64 (N,), who; 0 is a distractor.
        camids: int64 (N,), seen by which camera.
        visible: uint8 (N, 64, 32), 255 where the person is seen, 0 where not; all 0 for a crop of which nobody knows;
            None where that is so for all.
        sources: int64 (N,), which of several joined sets a crop came from; None for a single one.
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
    """Read every crop of one folder in Market-1501 naming; junk (pid -1) is left out.

    Where the folder has a sub-folder `visible`, a PNG of each crop's name there says where the person is seen.

    Raises:
        DatasetError: the folder is missing or holds no crops, or a file cannot be read or is misnamed.
    """
    return read_listed(list_folder(folder))


def read_split(root: Path, split: Split, layout: str | None = None) -> CropSet:
    """Read one split of a published data set; its counts are logged, and a warning where others were published.

    Args:
        root: the data set's folder.
        split: train, query or gallery.
        layout: a name of `layouts.LAYOUTS`; told from the folder where None.

    Raises:
        DatasetError: as `list_split`; or an image cannot be read.
    """
    crops = list_split(root, split, layout)
    found, published = count_crops(crops), published_counts(root, find_layout(root, layout), split)
    logger.info("%s: %s: %s", root, split, found)
    if published is not None:
        for line in mismatches(found, published):
            logger.warning("%s: %s: warning: %s", root, split, line)
    return read_listed(crops)


def read_people(path: Path) -> CropSet:
    """The training split of a published data set, or every crop that lies directly in a plain folder.

    Raises:
        DatasetError: as `read_split`; or neither is there.
    """
    is_plain = path.is_dir() and any(one.suffix.lower() in IMAGE_SUFFIXES for one in path.iterdir())
    return read_crop_set(path) if is_plain else read_split(path, "train")


def read_unlabelled(folder: Path) -> CropSet:
    """Pictures of one person each, of whom nobody knows who they are: everybody is somebody else, seen by one camera.

    The pictures lie in `folder` itself or in its sub-folder `images`; in the latter case a PNG of the same name in its
    sub-folder `masks` says where the person is.

    Raises:
        DatasetError: the folder holds no pictures, or one cannot be read.
    """
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
    """Read images that are listed with their labels, in that order."""
    images = _space_for((len(crops), HEIGHT_PX, WIDTH_PX, 3))
    for row, crop in enumerate(crops):
        images[row] = resize_crop(read_image(crop.path))
    pids = np.array([crop.pid for crop in crops], np.int64)
    camids = np.array([crop.camid for crop in crops], np.int64)
    return CropSet(images, pids, camids, _read_visible([crop.path for crop in crops]))


def join_crop_sets(sets: Sequence[CropSet]) -> CropSet:
    """One set of all, with identities renumbered so that no two sets share one."""
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
    """An unset uint8 array: memory, or past `IN_MEMORY_BYTES` a file that vanishes with the array.

    The file lies where TMPDIR says; on a set like MSMT17 it takes 3 GB for training and 12 GB in all.
    """
    if int(np.prod(shape)) <= IN_MEMORY_BYTES:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:  # mapped, so it lives on after it is closed
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _gather(images: NDArray[np.uint8], rows: NDArray[np.integer]) -> NDArray[np.uint8]:
    gathered = _space_for((len(rows), *images.shape[1:]))
    for start in range(0, len(rows), COPIED_CROPS):
        gathered[start : start + COPIED_CROPS] = images[rows[start : start + COPIED_CROPS]]
    return gathered


def _read_visible(paths: Sequence[Path], folder: Path | None = None) -> NDArray[np.uint8] | None:
    """Where the people are seen, as `CropSet.visible`; None where no crop has such a picture in `folder`.

    Without a folder it is `visible`, beside each crop.
    """
    pictures = [(folder or path.parent / VISIBLE_FOLDER) / f"{path.stem}.png" for path in paths]
    if not any(picture.is_file() for picture in pictures):
        return None
    visible = np.zeros((len(paths), *VISIBLE_HW), np.uint8)
    for row, picture in enumerate(pictures):
        if picture.is_file():
            shades = cv2.cvtColor(read_image(picture), cv2.COLOR_BGR2GRAY)
            visible[row] = cv2.resize(shades, VISIBLE_HW[::-1], interpolation=cv2.INTER_AREA)
    return visible
