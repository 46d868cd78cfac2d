"""Training batches: augmented crops, of each identity at least one clean and at least one occluded."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.augmentation import DEFAULTS, augment_covered
from ...data.dataset import CropSet
from ...data.sampling import identity_batches
from ...occlusion.pairing import Pairing, Regions
from ...occlusion.patch_transfer import donor_pids, transfer_cover, transfer_tokens, upsampled
from ...occlusion.policy import Occluders, occlude_crop, pair_transferred, plan_batch
from ...occlusion.synthetic import NOBODY
from ...recipe.crops import AugmentationSection
from ...recipe.schema import Recipe

SELECTED = 0.5  # share of a cell of an augmented region from which on it belongs to the person
COVER_GRID = (16, 8)  # cells of a cover: the coarsest map of a 256×128 crop
WAITING_PER_WORKER = 2  # batches prepared ahead: enough that a slow one delays no step


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Patch transfer between the tokens of a batch, to be applied by the network [SPT].

    Attributes:
        regions: bool (N, 16, 8), where each person is in the augmented crops.
        pids: int64 (N,), their identities.
        pairing: the donor of each crop.
    """

    regions: Regions
    pids: NDArray[np.int64]
    pairing: Pairing

    def __call__(self, tokens: Tensor) -> Tensor:
        """float (N, P, C) → the same shape."""
        return transfer_tokens(tokens, self.regions, self.pids, self.pairing).tokens

    @property
    def donors(self) -> NDArray[np.int64]:
        """int64 (N,), the donors' pids, -1 for none."""
        return donor_pids(self.pids, self.pairing)

    @property
    def cover(self) -> NDArray[np.bool_]:
        """bool (N, 16, 8), cells that show the donor's scene."""
        return transfer_cover(self.regions, self.pairing)


@dataclass(frozen=True, eq=False)
class Batch:
    """N occluded and augmented crops, grouped by identity.

    Attributes:
        images: uint8 (N, 256, 128, 3) BGR.
        labels: int64 (N,) in [0, C), identities.
        camids: int64 (N,), cameras.
        rows: int64 (N,), rows of the training set.
        covers: float32 (N, 16, 8) in [0, 1], the share of each cell that an occluder covers.
        donors: int64 (N,), the label of the identity pasted in, -1 for none.
        persons: float32 (N, 16, 8) in [0, 1], the share of each cell that shows the person in the clean crop; all 0
            without a silhouette.
        exchange: patch transfer in token space; None otherwise.
    """

    images: Tensor
    labels: Tensor
    camids: Tensor
    rows: Tensor
    covers: Tensor
    donors: Tensor
    persons: Tensor
    exchange: Exchanged | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Batch":
        """Move the tensors to a device."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            camids=self.camids.to(device, non_blocking=True),
            rows=self.rows.to(device, non_blocking=True),
            covers=self.covers.to(device, non_blocking=True),
            donors=self.donors.to(device, non_blocking=True),
            persons=self.persons.to(device, non_blocking=True),
        )


def training_batch(
    crops: CropSet,
    rows: NDArray[np.intp],
    crops_per_identity: int,
    occluders: Occluders | None,
    rng: np.random.Generator,
    augmentation: AugmentationSection = DEFAULTS,
) -> Batch:
    """Occlude some crops of one PK batch, and augment them all.

    Args:
        crops: the training set, whose pids are labels; pasted pieces come from it, too.
        rows: intp (P * K,), grouped by identity; drawn at random, so no crop has a fixed place.
        crops_per_identity: K.
        occluders: all sources of occlusion; None leaves every crop clean.
        rng: source of all randomness.
        augmentation: how far the views are degraded.

    Returns:
        N = P * K crops.
    """
    plan, pids = plan_batch(rows, crops.pids[rows], crops_per_identity, occluders, rng), crops.pids[rows]
    in_tokens = occluders is not None and occluders.section.transfer_space == "tokens" and "transferred" in plan.sources
    regions = occluders.regions if occluders is not None and in_tokens else None
    images = np.empty((len(rows), *crops.images.shape[1:]), np.uint8)
    cells = np.zeros((len(rows), *COVER_GRID, 3), np.float32)  # cover, region and visible person of each crop
    donors = np.full(len(rows), NOBODY, np.int64)
    views: list[np.random.Generator] = []  # the random state that each crop's augmentation starts from

    def draw(position: int, view: np.random.Generator | None = None) -> None:
        occlusion = occlude_crop(position, rows, plan, crops, occluders, rng)
        layers = _layers(occlusion.cover, rows[position], crops, regions)
        view = rng if view is None else view
        views.append(copy.deepcopy(view))
        images[position], moved = augment_covered(occlusion.image, layers, view, augmentation)
        cells[position] = cv2.resize(moved, COVER_GRID[::-1], interpolation=cv2.INTER_AREA)
        donors[position] = NOBODY if occlusion.donor == NOBODY else crops.pids[occlusion.donor]

    for position in range(len(rows)):
        draw(position)
    exchange, covers = None, cells[..., 0]
    if in_tokens:
        selected, before = cells[..., 1] >= SELECTED, plan.sources
        plan = pair_transferred(plan, selected, pids, rng)
        for position in np.flatnonzero(np.array(before) != np.array(plan.sources)).tolist():
            draw(position, views[position])  # pasted over, in the same view: its region stays where it is
        exchange = Exchanged(selected, pids, plan.pairing)
        donors = np.where(exchange.donors == NOBODY, donors, exchange.donors)
        covers = np.maximum(covers, exchange.cover)
    return Batch(
        images=_tensor(images),
        labels=_tensor(pids),
        camids=_tensor(crops.camids[rows]),
        rows=_tensor(rows),
        covers=_tensor(covers),
        donors=_tensor(donors),
        persons=_tensor(cells[..., 2]),
        exchange=exchange,
    )


def _layers(cover: NDArray[np.float32], row: np.intp, crops: CropSet, regions: Regions | None) -> NDArray[np.float32]:
    """All that moves with a crop when it is augmented: cover, region and visible person, float32 (H, W, 3) in [0, 1].

    A layer is 0 throughout where the set or the plan has no such thing.
    """
    height, width = cover.shape
    region = visible = np.zeros_like(cover)
    if regions is not None:
        region = upsampled(regions[row], height, width)
    if crops.visible is not None:
        visible = cv2.resize(crops.visible[row], (width, height)).astype(np.float32) / np.float32(255)
    return np.dstack([cover, region, visible])


def epoch_batches(
    crops: CropSet, recipe: Recipe, epoch: int, steps: int, occluders: Occluders | None
) -> Iterator[list[Batch]]:
    """The batches of one epoch, in groups of one optimisation step.

    Every batch has a seed of its own, so neither the number of workers nor an interruption changes it.  Before epoch
    `occlusion.begin_epoch` all crops are clean.

    Yields:
        `steps` lists of `schedule.accumulate_batches` batches.
    """
    sampling, per_step = recipe.sampling, recipe.schedule.accumulate_batches
    rng = np.random.default_rng([recipe.seed, epoch])
    draws = identity_batches(crops, sampling.identities, sampling.crops, steps * per_step, rng, sampling.per_folder)
    if occluders is not None and epoch < occluders.section.begin_epoch:
        occluders = None

    def make(number: int, rows: NDArray[np.intp]) -> Batch:
        own = np.random.default_rng([recipe.seed, epoch, number])
        return training_batch(crops, rows, sampling.crops, occluders, own, recipe.augmentation)

    batches = _made_ahead(make, draws, recipe.workers)
    while group := list(islice(batches, per_step)):
        yield group


def _made_ahead(
    make: Callable[[int, NDArray[np.intp]], Batch], draws: Iterable[NDArray[np.intp]], workers: int
) -> Iterator[Batch]:
    """Call `make` for every draw and its number, ahead of the caller; results come in order."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        waiting: deque[Future[Batch]] = deque()
        for number, rows in enumerate(draws):
            waiting.append(pool.submit(make, number, rows))
            if len(waiting) > WAITING_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
