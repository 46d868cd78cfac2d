"""How well do people rank who were never trained on, whole and half hidden?  This is what chooses a checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .appearance import Appearance
from .dataset import CropSet
from .evaluation import compare_metrics
from .model import ReidModel, normalise
from .occlusion import occlude
from .protocol import RankingScores

BATCH_CROPS = 64


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One folder's held-out people: whole queries, the same queries occluded, and the gallery."""

    name: str
    query: CropSet
    occluded_query: CropSet
    gallery: CropSet


def split_held_out(folder: Path, crops: CropSet, identities: int, seed: int) -> tuple[CropSet, HeldOut]:
    """Take `identities` random people out of a set.

    One crop per person and camera asks, all their others answer.  A query's own-made occlusion (ours, not that of
    any evaluation tool) takes its pieces from the held-out gallery.

    Returns:
        The people left for training, and the held-out ones.
    """
    rng = np.random.default_rng(seed)
    taken = np.isin(crops.pids, rng.permutation(np.unique(crops.pids))[:identities])  # (N,)
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
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_CROPS):
            one, its_mask = model(normalise(torch.from_numpy(images[start : start + BATCH_CROPS])))
            embedding.append(one)
            mask.append(its_mask)
    return Appearance(torch.cat(embedding).numpy(), torch.cat(mask).numpy())
