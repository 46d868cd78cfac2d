"""Has the mask earned its place?  Plain, masked and permuted-mask scores, side by side."""

from pathlib import Path

import numpy as np

from .appearance import Appearance
from .dataset import CropSet, read_crop_set
from .embedder import Embedder
from .protocol import RankingScores, ranking_scores
from .similarity import masked_similarity

QUERY_SEED, GALLERY_SEED = 0, 1  # the control is the same in every run, and not the same on both sides


def evaluate_folder(embedder: Embedder, root: Path) -> dict[str, RankingScores]:
    """Score a test folder in Market-1501 layout: `root/query` against `root/bounding_box_test`.

    Returns:
        The scores of `compare_metrics`, by name.
    """
    query = read_crop_set(root / "query")
    gallery = read_crop_set(root / "bounding_box_test")
    return compare_metrics(embedder.embed(list(query.images)), query, embedder.embed(list(gallery.images)), gallery)


def compare_metrics(
    query_appearance: Appearance, query: CropSet, gallery_appearance: Appearance, gallery: CropSet
) -> dict[str, RankingScores]:
    """Rank the gallery three times, by the Market-1501 protocol.

    plain: cosine.  masked: joint masked similarity.  permuted: the same with the crops' masks dealt out again at
    random, which keeps what a mask that ignores its image could achieve, and only that.

    Args:
        query_appearance, gallery_appearance: (Nq, D), (Ng, D).
        query, gallery: whose they are, and from which camera.

    Returns:
        Scores under "plain", "masked" and "permuted".
    """
    similarities = {
        "plain": masked_similarity(query_appearance, gallery_appearance, "plain"),  # (Nq, Ng)
        "masked": masked_similarity(query_appearance, gallery_appearance, "joint"),
        "permuted": masked_similarity(
            _redealt(query_appearance, QUERY_SEED), _redealt(gallery_appearance, GALLERY_SEED), "joint"
        ),
    }
    labels = query.pids, query.camids, gallery.pids, gallery.camids
    return {name: ranking_scores(similarity, *labels) for name, similarity in similarities.items()}


def _redealt(appearance: Appearance, seed: int) -> Appearance:
    order = np.random.default_rng(seed).permutation(len(appearance))
    return Appearance(appearance.embedding, appearance.mask[order])
