"""Re-identification: pixels in, embedding and mask out.  Training and export are imported by name: they need PyTorch.

from reidpipe.reid.training.train import train
from reidpipe.reid.export import export
"""

from .appearance import Appearance, concatenate, merge_tracklet
from .embedder import SHIPPED_WEIGHTS, Embedder, embed
from .errors import DatasetError, ExportError, GalleryError, RecipeError, ReidError, TrainingError, WeightsError
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
    "Matches",
    "Mode",
    "RankingScores",
    "RecipeError",
    "ReidError",
    "TrainingError",
    "WeightsError",
    "concatenate",
    "embed",
    "evaluate_folder",
    "masked_similarity",
    "merge_tracklet",
    "shared_mask_share",
]
