"""Has the mask earned its place?  Plain, masked and permuted-mask scores, side by side."""

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

QUERY_SEED, GALLERY_SEED = 0, 1  # the control is the same in every run, and not the same on both sides
OCCLUSION_SEED = 0
DONORS = 32  # other people's crops that one occlusion may take its pieces from; more only costs time


@dataclass(frozen=True)
class MaskStatistics:
    """What the masks of N images are like, whatever they are good for.

    Attributes:
        participation_ratio: (Σm)² / (D·Σm²), mean over the images; 1 where all dims count alike, k/D where only k do.
        between_images: share of the masks' variance that is between images, in [0, 1]; 0 where every image has the
            same mask, however uneven, and so no mask of its own.
    """

    participation_ratio: float
    between_images: float


def evaluate_folder(embedder: Embedder, root: Path, layout: str | None = None) -> dict[str, RankingScores]:
    """Score a published data set, or a folder in Market-1501's layout: its queries against its gallery.

    Returns:
        The scores of `compare_metrics`, by name.
    """
    query, gallery = read_split(root, "query", layout), read_split(root, "gallery", layout)
    return compare_metrics(embedder.embed(list(query.images)), query, embedder.embed(list(gallery.images)), gallery)


def compare_metrics(
    query_appearance: Appearance, query: CropSet, gallery_appearance: Appearance, gallery: CropSet
) -> dict[str, RankingScores]:
    """Rank the gallery four times, by the Market-1501 protocol.

    plain: cosine.  masked: joint masked similarity.  query: the query's mask alone [DPM].  permuted: as masked, with
    the crops' masks dealt out again at random, which keeps what a mask that ignores its image could achieve, and only
    that.

    Args:
        query_appearance, gallery_appearance: (Nq, D), (Ng, D).
        query, gallery: whose they are, and from which camera.

    Returns:
        Scores under "plain", "masked", "query" and "permuted".
    """
    similarities = {
        "plain": masked_similarity(query_appearance, gallery_appearance, "plain"),  # (Nq, Ng)
        "masked": masked_similarity(query_appearance, gallery_appearance, "joint"),
        "query": masked_similarity(query_appearance, gallery_appearance, "query"),
        "permuted": masked_similarity(
            _redealt(query_appearance, QUERY_SEED), _redealt(gallery_appearance, GALLERY_SEED), "joint"
        ),
    }
    labels = query.pids, query.camids, gallery.pids, gallery.camids
    return {name: ranking_scores(similarity, *labels) for name, similarity in similarities.items()}


def mask_statistics(mask: NDArray[np.float32]) -> MaskStatistics:
    """mask: float32 (N, D) in [0, 1], N ≥ 1."""
    exact = mask.astype(np.float64)
    energy = mask.shape[1] * (exact**2).sum(1)  # (N,)
    ratio = np.divide(exact.sum(1) ** 2, energy, out=np.zeros(len(mask)), where=energy > 0)  # (N,)
    whole = exact.var()
    between = exact.var(0).mean() / whole if whole > 0 else 0.0
    return MaskStatistics(float(ratio.mean()), float(between))


def occluded_queries(query: CropSet, gallery: CropSet, seed: int = OCCLUSION_SEED) -> CropSet:
    """The same queries with a part of each hidden by `occlusion.occlude`; pieces come from other people's crops.

    Every query draws from a generator of its own, so that a query is hidden alike in whatever company it comes.

    Args:
        query, gallery: images uint8 (N, H, W, 3) of one size.
        seed: of all chance.
    """
    images = np.empty_like(query.images)
    for row, (image, pid) in enumerate(zip(query.images, query.pids, strict=True)):
        rng = np.random.default_rng([seed, row])
        others = np.flatnonzero(gallery.pids != pid)
        drawn = rng.choice(others if len(others) else len(gallery), DONORS)
        images[row] = occlude(image, gallery.images[drawn], rng).image
    return CropSet(images, query.pids, query.camids)


def _redealt(appearance: Appearance, seed: int) -> Appearance:
    order = np.random.default_rng(seed).permutation(len(appearance))
    return Appearance(appearance.embedding, appearance.mask[order])
