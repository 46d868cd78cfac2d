"""Measure what the mask is worth: scores with plain, masked and permuted-mask similarity, and mask statistics."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..appearance import Appearance
from ..data.dataset import CropSet, read_split
from ..embedder import Embedder
from ..occlusion.synthetic import occlude
from ..similarity import masked_similarity
from .metrics import RankingScores, ranking_scores

QUERY_SEED, GALLERY_SEED = 0, 1  # permutations of the control: fixed, and different for queries and gallery
OCCLUSION_SEED = 0
SMALLEST_DIFFERENCE = 1e-6  # where nothing is occluded, the oracle's masks are 1
DONORS = 32  # crops of other people that one occlusion may take its pieces from; more only cost time


@dataclass(frozen=True)
class MaskStatistics:
    """How much the masks of N images vary, between dims and between images.

    Attributes:
        participation_ratio: (Σm)² / (D·Σm²) in [0, 1], mean over the images; 1 where all dims have the same weight,
            k/D where k dims have the same weight and all others none.
        between_images: share of the masks' variance that is between images, in [0, 1]; 0 where every image has the
            same mask.
    """

    participation_ratio: float
    between_images: float


def evaluate_folder(embedder: Embedder, root: Path, layout: str | None = None) -> dict[str, RankingScores]:
    """Score a model on a published data set, or on a folder in Market-1501's layout.

    Args:
        embedder: the model.
        root: the data set's folder.
        layout: one of `layouts.LAYOUTS`; recognised by the folder's content where None.

    Returns:
        The scores of `compare_metrics`, by name.

    Raises:
        DatasetError: crops are missing, unreadable or misnamed.
    """
    query, gallery = read_split(root, "query", layout), read_split(root, "gallery", layout)
    return compare_metrics(embedder.embed(list(query.images)), query, embedder.embed(list(gallery.images)), gallery)


def compare_metrics(
    query_appearance: Appearance, query: CropSet, gallery_appearance: Appearance, gallery: CropSet
) -> dict[str, RankingScores]:
    """Score four similarities by the Market-1501 protocol.

    - plain: cosine similarity.
    - masked: joint masked similarity.
    - query: masked by the query's mask alone [DPM].
    - permuted: as masked, with the masks permuted among the crops: the control, which keeps only what a mask that
      ignores its image can contribute.

    Args:
        query_appearance, gallery_appearance: (Nq, D), (Ng, D).
        query, gallery: their identities and cameras.

    Returns:
        Scores under "plain", "masked", "query" and "permuted".
    """
    similarities = {
        "plain": masked_similarity(query_appearance, gallery_appearance, "plain"),  # (Nq, Ng)
        "masked": masked_similarity(query_appearance, gallery_appearance, "joint"),
        "query": masked_similarity(query_appearance, gallery_appearance, "query"),
        "permuted": masked_similarity(
            _permuted(query_appearance, QUERY_SEED), _permuted(gallery_appearance, GALLERY_SEED), "joint"
        ),
    }
    labels = query.pids, query.camids, gallery.pids, gallery.camids
    return {name: ranking_scores(similarity, *labels) for name, similarity in similarities.items()}


def with_oracle_mask(occluded: Appearance, clean: Appearance) -> Appearance:
    """Occluded crops with the mask of an oracle, which sees the same crops unoccluded [ours].

    m = 1 / (1 + (Δ/s)²), where Δ is the difference of a dimension between the occluded and the clean crop, and s the
    root mean square of all Δ.  A mask that is computed from the occluded crop cannot know Δ: this bounds its gain.

    Args:
        occluded, clean: (N, D), of the same crops in the same order.
    """
    difference = occluded.embedding - clean.embedding  # (N, D)
    scale = max(float(np.sqrt((difference**2).mean())), SMALLEST_DIFFERENCE)
    mask = 1 / (1 + (difference / np.float32(scale)) ** 2)  # (N, D)
    return Appearance(occluded.embedding, mask.astype(np.float32))


def mask_statistics(mask: NDArray[np.float32]) -> MaskStatistics:
    """Statistics of masks, float32 (N, D) in [0, 1], N ≥ 1."""
    exact = mask.astype(np.float64)
    energy = mask.shape[1] * (exact**2).sum(1)  # (N,)
    ratio = np.divide(exact.sum(1) ** 2, energy, out=np.zeros(len(mask)), where=energy > 0)  # (N,)
    total = exact.var()
    between = exact.var(0).mean() / total if total > 0 else 0.0
    return MaskStatistics(float(ratio.mean()), float(between))


def occluded_queries(query: CropSet, gallery: CropSet, seed: int = OCCLUSION_SEED) -> CropSet:
    """Occlude a part of each query by `synthetic.occlude`, with pieces of other people's crops.

    Every query has a random generator of its own, so its occlusion does not depend on the other queries.

    Args:
        query: the queries, images uint8 (Nq, H, W, 3).
        gallery: where the pieces come from, images uint8 (Ng, H, W, 3) of the same size.
        seed: of the random generators.

    Returns:
        The occluded queries, with the same identities and cameras.
    """
    images = np.empty_like(query.images)
    for row, (image, pid) in enumerate(zip(query.images, query.pids, strict=True)):
        rng = np.random.default_rng([seed, row])
        others = np.flatnonzero(gallery.pids != pid)
        donors = rng.choice(others if len(others) else len(gallery), DONORS)
        images[row] = occlude(image, gallery.images[donors], rng).image
    return CropSet(images, query.pids, query.camids)


def _permuted(appearance: Appearance, seed: int) -> Appearance:
    order = np.random.default_rng(seed).permutation(len(appearance))
    return Appearance(appearance.embedding, appearance.mask[order])
