"""What is in one training batch?  Augmented crops, at least one of each person whole and at least one occluded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .augmentation import augment_covered
from .dataset import CropSet, identity_batches
from .occlusion import NOBODY, Occlusion, erase, occlude
from .recipe import Recipe
from .recipe_sections import OcclusionSection

COVER_GRID = (16, 8)  # of a cover: the coarsest map of a 256×128 crop
WAITING_PER_WORKER = 2  # batches made ahead: enough that a slow one holds nobody up


@dataclass(frozen=True, eq=False)
class Batch:
    """N crops as they are trained on, grouped by person.

    Attributes:
        images: uint8 (N, 256, 128, 3) BGR, occluded and augmented.
        labels: int64 (N,) in [0, C), who.
        camids: int64 (N,), seen by which camera.
        rows: int64 (N,), which crops of the training set they were.
        partners: int64 (N,), positions in this batch of the same person's whole crop.
        covers: float32 (N, 16, 8) in [0, 1], the share of each cell that is hidden by something put there.
        donors: int64 (N,), the label of who was put in front, -1 for nobody.
    """

    images: Tensor
    labels: Tensor
    camids: Tensor
    rows: Tensor
    partners: Tensor
    covers: Tensor
    donors: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(getattr(self, one.name).to(device, non_blocking=True) for one in fields(self)))


def training_batch(
    crops: CropSet,
    rows: NDArray[np.intp],
    crops_per_identity: int,
    occlusion: OcclusionSection | None,
    rng: np.random.Generator,
) -> Batch:
    """Augment the crops of one PK batch and hide parts of some: occlusion-aware pairing [summary], form ours.

    Of every person's K crops the first stays unhidden, the last is always occluded, and each in between is with the
    section's probability.  The draw of the rows is random, so no crop has a fixed place.

    Args:
        crops: where the rows point, and where pieces to paste come from; pids are labels.
        rows: intp (P * K,), grouped by person.
        crops_per_identity: K.
        occlusion: how crops are hidden; None leaves all whole.
        rng: where all chance comes from.

    Returns:
        N = P * K.
    """
    height, width = crops.images.shape[1:3]
    images = np.empty((len(rows), height, width, 3), np.uint8)
    covers = np.zeros((len(rows), *COVER_GRID), np.float32)
    donors = np.full(len(rows), NOBODY, np.int64)
    for position, row in enumerate(rows):
        hidden = Occlusion(crops.images[row], np.zeros((height, width), np.float32), NOBODY)
        place = position % crops_per_identity
        if occlusion is not None and place > 0:
            always = place == crops_per_identity - 1
            hidden = _perhaps_hidden(hidden, crops, always, occlusion, rng)
        images[position], cover = augment_covered(hidden.image, hidden.cover, rng)
        covers[position] = cv2.resize(cover, COVER_GRID[::-1], interpolation=cv2.INTER_AREA)
        donors[position] = hidden.donor if hidden.donor == NOBODY else crops.pids[hidden.donor]
    first_of_person = np.arange(len(rows)) // crops_per_identity * crops_per_identity
    arrays = (images, crops.pids[rows], crops.camids[rows], rows, first_of_person, covers, donors)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(one)) for one in arrays))


def epoch_batches(crops: CropSet, recipe: Recipe, epoch: int, steps: int) -> Iterator[list[Batch]]:
    """The batches of one epoch, as many together as one optimisation step takes.

    Every batch draws from a seed of its own, so neither the number of workers nor an interruption changes any.

    Yields:
        `steps` times `schedule.accumulate_batches` batches.
    """
    sampling, together = recipe.sampling, recipe.schedule.accumulate_batches
    rng = np.random.default_rng([recipe.seed, epoch])
    draws = identity_batches(crops.pids, sampling.identities, sampling.crops, steps * together, rng)
    occlusion = recipe.occlusion
    if occlusion is not None and epoch < occlusion.begin_epoch:
        occlusion = None

    def make(number: int, rows: NDArray[np.intp]) -> Batch:
        own = np.random.default_rng([recipe.seed, epoch, number])
        return training_batch(crops, rows, sampling.crops, occlusion, own)

    batches = _made_ahead(make, draws, recipe.workers)
    while group := list(islice(batches, together)):
        yield group


def _made_ahead(
    make: Callable[[int, NDArray[np.intp]], Batch], draws: Iterable[NDArray[np.intp]], workers: int
) -> Iterator[Batch]:
    """`make` of every numbered draw, in order, some of them while the caller is busy with an earlier one."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        waiting: deque[Future[Batch]] = deque()
        for number, rows in enumerate(draws):
            waiting.append(pool.submit(make, number, rows))
            if len(waiting) > WAITING_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _perhaps_hidden(
    whole: Occlusion, crops: CropSet, always: bool, section: OcclusionSection, rng: np.random.Generator
) -> Occlusion:
    if always or rng.random() < section.probability:
        odds = np.array([section.pasted, section.erased])
        if rng.choice(len(odds), p=odds / odds.sum()) == 0:
            return occlude(whole.image, crops.images, rng)
        return _erased(whole.image, rng)
    return _erased(whole.image, rng) if rng.random() < section.erasing_probability else whole


def _erased(image: NDArray[np.uint8], rng: np.random.Generator) -> Occlusion:
    noisy = erase(image, rng)
    return Occlusion(noisy, (noisy != image).any(2).astype(np.float32), NOBODY)
