"""Saliency selector: find the person in a crop, as the small area that suffices to identify them [SPT].

Stage 1b: trained before the main run, on a copy of the backbone, then frozen; needed in training only.
"""

import copy
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones.protocol import Backbone, BackboneOutput, TokenBackbone
from ..data.blocks import blocks_of
from ..errors import TrainingError
from ..model.network import normalise
from ..supervision.losses import hardest_triplet_loss
from .pairing import Regions

GRID = (16, 8)  # patches of 16×16 pixels in a 256×128 crop
AREA = 0.3  # share of a crop to select [SPT]
AREA_WEIGHT, REST_WEIGHT = 50.0, 0.1  # loss weights of the area and rest terms [SPT]
SELECTED = 0.5  # M = [s ≥ 0.5] [SPT]

logger = logging.getLogger(__name__)


class SaliencySelector(nn.Module):
    """s = sigmoid(1×1 convolution of the backbone's deepest map), the map detached [SPT].

    Initially s is AREA everywhere [ours]: no patch is preferred, and the area loss is 0.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.score = nn.Conv2d(backbone.map_channels[-1], 1, 1)
        with torch.no_grad():
            for parameter, value in zip(self.score.parameters(), (0.0, math.log(AREA / (1 - AREA))), strict=True):
                parameter.fill_(value)  # weight, bias

    def forward(self, images: Tensor) -> Tensor:
        """images: float (N, 3, H, W), normalised for the backbone → s, float (N, 16, 8) in (0, 1)."""
        return self.select(self.backbone(images))

    def select(self, output: BackboneOutput) -> Tensor:
        """Compute s from a backbone output: float (N, 16, 8) in (0, 1); no gradient reaches the backbone."""
        score = self.score(output.maps[-1].detach().float())  # (N, 1, h, w)
        return torch.sigmoid(functional.interpolate(score, GRID, mode="bilinear")).squeeze(1)


class Passes(NamedTuple):
    """Outputs for three versions of one batch.

    Attributes:
        clean: class logits of x, float (N, C).
        kept: class logits of x ⊙ s, float (N, C).
        rest: class logits of x ⊙ (1 - s), float (N, C).
        feature: of x, float (N, D).
        selected: s, float (N, 16, 8).
    """

    clean: Tensor
    kept: Tensor
    rest: Tensor
    feature: Tensor
    selected: Tensor


@dataclass(frozen=True)
class SaliencySettings:
    """Hyperparameters of the selector's training.

    Attributes:
        steps: optimisation steps, one batch each.
        learning_rate: of the copied backbone and the classifier (Adam).
        selector_learning_rate: of the 1×1 convolution, which starts at 0 [ours].
        seed: of the classifier's initial weights.
    """

    steps: int = 2000
    learning_rate: float = 3.5e-4
    selector_learning_rate: float = 3.5e-3
    seed: int = 0


def train_saliency(
    backbone: Backbone, batches: Iterable[tuple[Tensor, Tensor]], classes: int, settings: SaliencySettings
) -> SaliencySelector:
    """Train a selector on the backbone's device (stage 1b).

    The given backbone is copied, not changed.  A step whose loss is not finite is skipped and logged.

    Args:
        backbone: initial weights of the copy, preferably pretrained.
        batches: at least `steps` pairs of uint8 (N, H, W, 3) BGR and int64 labels (N,) in [0, classes), with at least
            two identities per batch and two crops per identity.
        classes: number of identities, C.
        settings: hyperparameters.

    Returns:
        The selector, frozen, in evaluation mode.

    Raises:
        TrainingError: there were fewer batches than steps, or no step had a finite loss.
    """
    device = next(backbone.parameters()).device
    selector = SaliencySelector(copy.deepcopy(backbone).requires_grad_(True)).to(device).train()
    classifier = _classifier(backbone.dimensions, classes, settings.seed).to(device)
    slow = [*selector.backbone.parameters(), *(one for one in classifier.parameters() if one.requires_grad)]
    optimiser = torch.optim.Adam(slow, lr=settings.learning_rate)
    optimiser.add_param_group({"params": selector.score.parameters(), "lr": settings.selector_learning_rate})
    made = taken = 0
    for made, (images, labels) in enumerate(islice(batches, settings.steps), 1):
        own = labels.to(device)
        loss = saliency_loss(three_passes(selector, classifier, _normalised(selector, images)), own)
        if not torch.isfinite(loss):
            logger.warning("saliency step %d: loss is %s, step skipped", made, loss.item())
            continue
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        taken += 1
    if made < settings.steps:
        raise TrainingError(f"saliency: expected {settings.steps} batches, got {made}")
    if not taken:
        raise TrainingError(f"saliency: none of {made} steps had a finite loss; lower the learning rate")
    return selector.eval().requires_grad_(False)


def salient_regions(selector: SaliencySelector, images: NDArray[np.uint8]) -> Regions:
    """M = [s ≥ 0.5] of any number of crops: uint8 (N, H, W, 3) BGR → bool (N, 16, 8); N = 0 works."""
    selector.eval()
    with torch.inference_mode():  # (n, 16, 8) each
        regions = [(selector(_normalised(selector, block)) >= SELECTED).cpu().numpy() for block in blocks_of(images)]
    return np.concatenate([np.zeros((0, *GRID), np.bool_), *regions])


def three_passes(selector: SaliencySelector, classifier: nn.Module, images: Tensor) -> Passes:
    """Pass x, x ⊙ s and x ⊙ (1 - s); images: float (N, 3, H, W), normalised, so that 0 is the mean colour.

    Only the clean pass updates the running statistics of batch normalisation: the selector is later applied to clean
    crops only [ours].
    """
    output = selector.backbone(images)
    selected = selector.select(output)  # (N, 16, 8)
    clean = classifier(output.feature.float())
    with running_statistics_kept(selector.backbone), running_statistics_kept(classifier):
        kept = classifier(weighted_pass(selector.backbone, images, selected).feature.float())
        rest = classifier(weighted_pass(selector.backbone, images, 1 - selected).feature.float())
    return Passes(clean, kept, rest, output.feature.float(), selected)


def weighted_pass(backbone: Backbone, images: Tensor, weights: Tensor) -> BackboneOutput:
    """Pass x ⊙ w: weighted tokens of a transformer [SPT], weighted pixels for any other network [ours].

    Args:
        backbone: any.
        images: float (N, 3, H, W), normalised.
        weights: float (N, 16, 8) in [0, 1].
    """
    if isinstance(backbone, TokenBackbone):
        per_patch = functional.interpolate(weights[:, None], backbone.grid, mode="bilinear")  # (N, 1, h, w)
        return backbone.from_tokens(backbone.tokens(images) * per_patch.flatten(2).transpose(1, 2))
    size = (images.shape[2], images.shape[3])
    return backbone(images * functional.interpolate(weights[:, None], size, mode="bilinear"))


def saliency_loss(passes: Passes, labels: Tensor) -> Tensor:
    """CE(clean) + CE(s-pass) + L_tri + 50 · area + 0.1 · rest [SPT]; labels int64 (N,) → a scalar."""
    identity = functional.cross_entropy(passes.clean, labels) + functional.cross_entropy(passes.kept, labels)
    identity = identity + hardest_triplet_loss(passes.feature, labels)
    return identity + AREA_WEIGHT * area_loss(passes.selected) + REST_WEIGHT * rest_loss(passes.clean, passes.rest)


def area_loss(selected: Tensor) -> Tensor:
    """(mean(s) - 0.3)², the mean over the whole batch [SPT]; float (N, 16, 8) → a scalar."""
    return (selected.mean() - AREA).square()


def rest_loss(clean: Tensor, rest: Tensor) -> Tensor:
    """Σ_i ⟨softmax(z_clean), softmax(z_{1-s})⟩: what is not selected must not identify the person [SPT].

    A sum over the batch, as published.  The clean logits are detached [ours]: being less confident in the clean crop
    must not lower the loss.

    Args:
        clean, rest: float (N, C).
    """
    return (clean.detach().softmax(1) * rest.softmax(1)).sum()


@contextmanager
def running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let batch normalisation use batch statistics without updating its running statistics."""
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    for one in norms:
        one.track_running_stats = False
    try:
        yield
    finally:
        for one in norms:
            one.track_running_stats = True


def _classifier(dimensions: int, classes: int, seed: int) -> nn.Sequential:
    """BNNeck and a linear layer without bias; float (N, D) → logits (N, C)."""
    linear = nn.Linear(dimensions, classes, bias=False)
    nn.init.normal_(linear.weight, std=0.01, generator=torch.Generator().manual_seed(seed))
    neck = nn.BatchNorm1d(dimensions)
    neck.bias.requires_grad_(False)
    return nn.Sequential(neck, linear)


def _normalised(selector: SaliencySelector, images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) BGR → float (N, 3, H, W) on the selector's device."""
    backbone = selector.backbone
    return normalise(images.to(selector.score.weight.device), backbone.mean_rgb, backbone.std_rgb)
