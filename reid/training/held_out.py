"""How well do people rank who were never trained on, whole and half hidden?  This is what chooses a checkpoint."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..appearance import Appearance
from ..data.dataset import CropSet
from ..errors import DatasetError
from ..evaluation.mask_metrics import compare_metrics
from ..evaluation.metrics import RankingScores
from ..model.network import ReidModel
from ..occlusion.synthetic import occlude

BATCH_CROPS = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One folder's held-out people: whole queries, the same queries occluded, and the gallery."""

    name: str
    query: CropSet
    occluded_query: CropSet
    gallery: CropSet


def split_held_out(folder: Path, crops: CropSet, identities: int | None, seed: int) -> tuple[CropSet, HeldOut]:
    """Take `identities` random people, seen by two cameras or more, out of a set; all of them where None.

    One crop per person and camera asks, all their others answer.  A query's own-made occlusion (ours, not that of
    any evaluation tool) takes its pieces from the held-out gallery.  Who is seen by one camera only can be trained
    on, but never found in another camera; a warning tells how many these are.

    Returns:
        The people left for training, and the held-out ones.

    Raises:
        DatasetError: fewer people than asked for, or nobody, can be found in another camera.
    """
    rng = np.random.default_rng(seed)
    findable = _findable(crops)  # (C,)
    alone = len(np.unique(crops.pids)) - len(findable)
    if alone:
        logger.warning(
            "%s: warning: %d of %d identities have no second crop in another camera: no use for evaluation",
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
    _, asks = np.unique(np.stack([held.pids, held.camids], 1), axis=0, return_index=True)
    is_query = np.zeros(len(held), bool)
    is_query[asks] = True
    query, gallery = held[is_query], held[~is_query]
    hidden = np.empty_like(query.images)
    for row, image in enumerate(query.images):
        hidden[row] = occlude(image, gallery.images, rng).image
    occluded_query = CropSet(hidden, query.pids, query.camids)
    return crops[~taken], HeldOut(f"{folder.parent.name}/{folder.name}", query, occluded_query, gallery)


def evaluate_held_out(model: ReidModel, held_out: HeldOut) -> dict[str, dict[str, RankingScores]]:
    """Scores of `compare_metrics`, under "clean" and "occluded"."""
    gallery = embed_images(model, held_out.gallery.images)
    scores = {}
    for name, query in (("clean", held_out.query), ("occluded", held_out.occluded_query)):
        appearance = embed_images(model, query.images)
        scores[name] = compare_metrics(appearance, query, gallery, held_out.gallery)
    return scores


def embed_images(model: ReidModel, images: NDArray[np.uint8]) -> Appearance:
    """uint8 (N, 256, 128, 3) BGR → Appearance (N, D), by PyTorch; the model is left in evaluation mode."""
    embedding, mask = [], []
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_CROPS):
            batch = torch.from_numpy(images[start : start + BATCH_CROPS]).to(device)
            one, its_mask, *_ = model(model.normalise(batch))  # and the evidence, where there are regions
            embedding.append(one.cpu())
            mask.append(its_mask.cpu())
    return Appearance(torch.cat(embedding).numpy(), torch.cat(mask).numpy())


def _findable(crops: CropSet) -> NDArray[np.int64]:
    """The pids of which, when one crop per camera asks, another camera has an answer left."""
    seen, counts = np.unique(np.stack([crops.pids, crops.camids], 1), axis=0, return_counts=True)
    pids, cameras = np.unique(seen[:, 0], return_counts=True)
    repeated = np.isin(pids, seen[counts > 1, 0])
    return np.asarray(pids[(cameras > 1) & repeated], np.int64)
