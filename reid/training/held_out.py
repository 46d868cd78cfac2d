"""Hold identities out of training and score them, clean and occluded; the scores choose the best checkpoint."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..appearance import Appearance
from ..data.blocks import blocks_of
from ..data.dataset import CropSet
from ..errors import DatasetError
from ..evaluation.mask_metrics import compare_metrics
from ..evaluation.metrics import RankingScores
from ..model.network import ReidModel
from ..occlusion.synthetic import occlude

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out identities of one folder: clean queries, the same queries occluded, and the gallery."""

    name: str
    query: CropSet
    occluded_query: CropSet
    gallery: CropSet


def split_held_out(folder: Path, crops: CropSet, identities: int | None, seed: int) -> tuple[CropSet, HeldOut]:
    """Hold out random identities that are seen by at least two cameras.

    One crop per identity and camera is a query, all others are the gallery.  Queries are occluded as in training, with
    pieces from the held-out gallery.  Identities seen by a single camera stay in training, since they have no match in
    another camera; a warning reports their number.

    Args:
        folder: where the crops come from, for messages and for the name.
        crops: all crops of the folder.
        identities: number to hold out; None for all.
        seed: of the choice and of the occlusion.

    Returns:
        The crops left for training, and the held-out ones.

    Raises:
        DatasetError: fewer identities than requested, or none, have a match in another camera.
    """
    rng = np.random.default_rng(seed)
    findable = _findable(crops)  # (C,)
    alone = len(np.unique(crops.pids)) - len(findable)
    if alone:
        logger.warning(
            "%s: warning: %d of %d identities have no second crop in another camera: not usable for evaluation",
            folder,
            alone,
            alone + len(findable),
        )
    if len(findable) < (identities or 1):
        raise DatasetError(
            f"{folder}: expected {identities or 1} identities to hold out that are seen by two cameras, with two crops "
            f"in one of them, got {len(findable)}: lower held_out.identities (0 trains without evaluation)"
        )
    taken = np.isin(crops.pids, rng.permutation(findable)[:identities])  # (N,)
    held = crops[taken]
    _, first_rows = np.unique(np.stack([held.pids, held.camids], 1), axis=0, return_index=True)
    is_query = np.zeros(len(held), bool)
    is_query[first_rows] = True
    query, gallery = held[is_query], held[~is_query]
    occluded = np.empty_like(query.images)
    for row, image in enumerate(query.images):
        occluded[row] = occlude(image, gallery.images, rng).image
    occluded_query = CropSet(occluded, query.pids, query.camids)
    return crops[~taken], HeldOut(f"{folder.parent.name}/{folder.name}", query, occluded_query, gallery)


def evaluate_held_out(model: ReidModel, held_out: HeldOut) -> dict[str, dict[str, RankingScores]]:
    """Score clean and occluded queries: the results of `compare_metrics` under "clean" and "occluded"."""
    gallery = embed_images(model, held_out.gallery.images)
    scores = {}
    for name, query in (("clean", held_out.query), ("occluded", held_out.occluded_query)):
        appearance = embed_images(model, query.images)
        scores[name] = compare_metrics(appearance, query, gallery, held_out.gallery)
    return scores


def embed_images(model: ReidModel, images: NDArray[np.uint8]) -> Appearance:
    """uint8 (N, 256, 128, 3) BGR → Appearance (N, D), with PyTorch; leaves the model in evaluation mode."""
    embedding, mask = [], []
    device = next(model.parameters()).device
    model.eval().to(memory_format=torch.channels_last)  # half the time on a CPU
    with torch.inference_mode():
        for block in blocks_of(images):
            normalised = model.normalise(block.to(device)).contiguous(memory_format=torch.channels_last)
            one, its_mask, *_ = model(normalised)  # and the evidence, with regions
            embedding.append(one.cpu())
            mask.append(its_mask.cpu())
    return Appearance(torch.cat(embedding).numpy(), torch.cat(mask).numpy())


def _findable(crops: CropSet) -> NDArray[np.int64]:
    """The pids that have a match in another camera's gallery once one crop per camera is a query."""
    seen, counts = np.unique(np.stack([crops.pids, crops.camids], 1), axis=0, return_counts=True)
    pids, cameras = np.unique(seen[:, 0], return_counts=True)
    repeated = np.isin(pids, seen[counts > 1, 0])
    return np.asarray(pids[(cameras > 1) & repeated], np.int64)
