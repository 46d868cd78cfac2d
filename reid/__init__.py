"""Occlusion-aware person re-identification: crops in, embedding and mask out.

    from reidpipe.reid import embed, masked_similarity

    query, gallery = embed(query_crops), embed(gallery_crops)  # crops: uint8 (h, w, 3) BGR, any size
    similarity = masked_similarity(query, gallery)  # (Nq, Ng)

The names below are imported lazily, so that importing the package costs nothing.  Embedding needs OpenVINO only.
Training and export need PyTorch and are imported from their sub-packages:

    from reidpipe.reid.training.train import train
    from reidpipe.reid.export import export
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .. import offline  # noqa: F401 - switches off telemetry, so it comes before any dependency

if TYPE_CHECKING:
    from .appearance import Appearance, concatenate, merge_tracklet
    from .embedder import SHIPPED_WEIGHTS, Embedder, embed
    from .errors import (
        DatasetError,
        ExportError,
        GalleryError,
        ImageError,
        OutputError,
        RecipeError,
        ReidpipeError,
        TrainingError,
        WeightsError,
    )
    from .evaluation.mask_metrics import evaluate_folder
    from .evaluation.metrics import RankingScores
    from .search.gallery import Gallery, Matches
    from .similarity import Mode, masked_similarity, shared_mask_share

__all__ = [
    "SHIPPED_WEIGHTS",
    "Appearance",
    "DatasetError",
    "Embedder",
    "ExportError",
    "Gallery",
    "GalleryError",
    "ImageError",
    "Matches",
    "Mode",
    "OutputError",
    "RankingScores",
    "RecipeError",
    "ReidpipeError",
    "TrainingError",
    "WeightsError",
    "concatenate",
    "embed",
    "evaluate_folder",
    "masked_similarity",
    "merge_tracklet",
    "shared_mask_share",
]

_MODULES = {
    "appearance": ("Appearance", "concatenate", "merge_tracklet"),
    "embedder": ("SHIPPED_WEIGHTS", "Embedder", "embed"),
    "evaluation.mask_metrics": ("evaluate_folder",),
    "evaluation.metrics": ("RankingScores",),
    "search.gallery": ("Gallery", "Matches"),
    "similarity": ("Mode", "masked_similarity", "shared_mask_share"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
