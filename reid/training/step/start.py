"""What a training starts from, estimated from the clean crops: statistics, discriminant map, prototypes, targets."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...data.blocks import blocks_of
from ...data.dataset import CropSet
from ...model.network import ReidModel
from ...model.norm_statistics import recalibrate_norms
from ...model.prototypes import Prototypes
from ...recipe.schema import Recipe
from .objective import Objective

CALIBRATION_CROPS = 512  # evenly spaced over the set: enough for the statistics of any layer
RIDGE = 1e-3  # of the regression into a teacher's space, per crop: each dim of the neck has variance 1


def initialise(
    model: ReidModel, prototypes: Prototypes, objective: Objective, recipe: Recipe, crops: CropSet, clean: Tensor | None
) -> None:
    """Estimate normalisation statistics, discriminant map, prototypes and the targets of distillation, in place.

    Each prototype starts as its identity's mean direction: random ones would damage a good backbone [ours].

    Args:
        model, prototypes, objective: what will be trained.
        recipe: of the training.
        crops: all clean training crops; pids without a prototype are unlabelled crops.
        clean: embedding of every clean crop by the untrained network or the teacher, float32 (N, D), for distillation.
    """
    clean = None if clean is None else clean.to(model.neck.weight.device)
    taught = recipe.distillation is not None and recipe.distillation.has_teacher
    teacher, untrained = (clean, None) if taught else (None, clean)
    chosen = crops[np.arange(0, len(crops), max(1, len(crops) // CALIBRATION_CROPS))]
    recalibrate_norms(model.backbone, _normalised(model, chosen.images))
    feature = _features(model, crops.images, untrained)  # (N, D)
    pids = torch.from_numpy(crops.pids).to(feature.device)
    with torch.no_grad():
        assert model.neck.running_mean is not None and model.neck.running_var is not None
        model.neck.running_mean.copy_(feature.mean(0))
        model.neck.running_var.copy_(feature.var(0))
        labelled = pids < len(prototypes)  # (N,)
        _fit_map(model, recipe, feature, crops, labelled, teacher)
        centred = functional.normalize(model.eval().compared(feature))  # (N, D)
        sums = torch.zeros_like(prototypes.weight).index_add_(0, pids[labelled], centred[labelled])
        prototypes.weight.copy_(functional.normalize(sums))
        if clean is not None:
            targets = centred if teacher is None else teacher  # into whose space the map leads
            targets, centres = (functional.normalize(one[:, : clean.shape[1]]) for one in (targets, prototypes.weight))
            objective.set_targets(targets, pids, centres)


def _fit_map(
    model: ReidModel, recipe: Recipe, feature: Tensor, crops: CropSet, labelled: Tensor, teacher: Tensor | None
) -> None:
    """Fit the discriminant map, if there is one, to clean crops.

    Args:
        model: its map is fitted in place.
        recipe: of the training.
        feature: float32 (N, D).
        crops: the same crops.
        labelled: bool (N,), which of them have an identity.
        teacher: its embeddings, float32 (N, T), into whose space the map shall lead; None to separate identities.
    """
    section = recipe.discriminant
    if model.discriminant is None or section is None:
        return
    neck = model.eval().neck(feature)  # (N, D)
    if teacher is not None:
        model.discriminant.regress(neck, teacher, ridge=len(neck) * RIDGE)
        return
    rows = labelled.cpu().numpy()
    domains = None if crops.sources is None else crops.sources[rows]
    model.discriminant.fit(neck[labelled], crops.pids[rows], domains, section.shrinkage, section.power)


def _features(model: ReidModel, images: NDArray[np.uint8], untrained: Tensor | None) -> Tensor:
    """Features of clean crops by the untrained network where it is given, region heads by the model: (N, D)."""
    if untrained is not None and untrained.shape[1] == model.neck.num_features:
        return untrained
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model.features(block).feature for block in _normalised(model, images)])
    features = found.clone()  # (N, D), not of inference mode
    if untrained is not None:
        features[:, : untrained.shape[1]] = untrained
    return features


def _normalised(model: ReidModel, images: NDArray[np.uint8]) -> Iterator[Tensor]:
    """All crops in blocks, normalised for the backbone: float32 (n, 3, 256, 128)."""
    for block in blocks_of(images):
        yield model.normalise(block.to(model.neck.weight.device))
