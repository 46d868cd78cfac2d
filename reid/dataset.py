"""Where do training and test crops come from?  Folders in Market-1501 naming, such as 0001_c1s1_000012_00.jpg."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .crops import HEIGHT_PX, WIDTH_PX, resize_crop
from .errors import DatasetError

NAME = re.compile(r"(-?\d+)_c(\d+)")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
JUNK_PID = -1  # Market-1501's mark for boxes that show no usable person


@dataclass(frozen=True, eq=False)
class CropSet:
    """Crops in memory, ready for the network.

    Attributes:
        images: uint8 (N, 256, 128, 3) BGR.
        pids: int64 (N,), who; 0 is a distractor.
        camids: int64 (N,), seen by which camera.
    """

    images: NDArray[np.uint8]
    pids: NDArray[np.int64]
    camids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "CropSet":
        return CropSet(self.images[rows], self.pids[rows], self.camids[rows])


def read_crop_set(folder: Path) -> CropSet:
    """Read every crop of one folder; junk (pid -1) is left out.

    Raises:
        DatasetError: the folder is missing or holds no crops, or a file cannot be read or is misnamed.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of crops")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    labels = [_labels(path) for path in paths]
    kept = [index for index, (pid, _) in enumerate(labels) if pid != JUNK_PID]
    if not kept:
        raise DatasetError(f"{folder}: expected crops named like 0001_c1s1_000012_00.jpg, found none")
    images = np.empty((len(kept), HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for row, index in enumerate(kept):
        images[row] = resize_crop(read_image(paths[index]))
    pids, camids = np.array([labels[index] for index in kept], np.int64).T  # (N,), (N,)
    return CropSet(images, pids, camids)


def join_crop_sets(sets: Sequence[CropSet]) -> CropSet:
    """One set of all, with identities renumbered so that no two sets share one."""
    pids: list[NDArray[np.int64]] = []
    offset = 0
    for one in sets:
        own, renumbered = np.unique(one.pids, return_inverse=True)
        pids.append(renumbered.astype(np.int64) + offset)
        offset += len(own)
    images = np.concatenate([one.images for one in sets])
    return CropSet(images, np.concatenate(pids), np.concatenate([one.camids for one in sets]))


def read_image(path: Path) -> NDArray[np.uint8]:
    """uint8 (h, w, 3) BGR, or a DatasetError that names the file."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"{path}: not a readable image")
    return np.asarray(image, np.uint8)


def identity_batches(
    pids: NDArray[np.int64], identities: int, crops: int, steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """PK sampling: `steps` times the rows of `identities` different people, `crops` of each, grouped by person.

    Everybody comes up once before anybody comes up again.  Who has fewer crops than asked for is repeated.

    Yields:
        intp (identities * crops,): rows of the set.
    """
    rows_of = [np.flatnonzero(pids == pid) for pid in np.unique(pids)]
    if len(rows_of) < identities:
        raise DatasetError(f"expected at least {identities} identities for one batch, got {len(rows_of)}")
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < identities:
            waiting = list(rng.permutation(len(rows_of)))
        drawn, waiting = waiting[:identities], waiting[identities:]
        yield np.concatenate([rng.permutation(np.resize(rng.permutation(rows_of[who]), crops)) for who in drawn])


def _labels(path: Path) -> tuple[int, int]:
    found = NAME.match(path.name)
    if found is None:
        raise DatasetError(f"{path}: expected a name like 0001_c1s1_000012_00.jpg")
    return int(found[1]), int(found[2])
