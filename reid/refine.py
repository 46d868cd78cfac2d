"""How does the mask generator get more practice than the network it reads?  On maps computed once, after training.

A step on stored maps costs a tenth of a full one.  The network no longer changes, so nothing else can be harmed.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from .batches import training_images
from .dataset import CropSet, identity_batches
from .losses import PAIR_SCALE, masked_pair_loss
from .model import Features, ReidModel, normalise
from .recipe import Recipe

Batch = tuple[Features, Tensor]  # of one PK batch, and its labels, int64 (N,)

logger = logging.getLogger(__name__)


def refine_mask(model: ReidModel, crops: CropSet, recipe: Recipe) -> None:
    """Train the mask generator alone, in place, for `mask_epochs` rounds over `mask_batches` stored batches."""
    rng = np.random.default_rng([recipe.seed, recipe.epochs])  # the number after the last epoch's
    batches = _stored_batches(model, crops, recipe, rng)
    optimiser = torch.optim.Adam(model.mask.parameters(), recipe.mask_learning_rate)
    model.mask.train()
    for epoch in range(recipe.mask_epochs):
        losses = []
        for index in rng.permutation(len(batches)):
            features, labels = batches[index]
            with torch.autocast("cpu", torch.bfloat16):
                mask = model.mask(features.maps).float()  # (N, D)
            loss = masked_pair_loss(features.neck, mask, labels, PAIR_SCALE)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        logger.info("mask epoch %d: %.4f", epoch, float(np.mean(losses)))


def _stored_batches(model: ReidModel, crops: CropSet, recipe: Recipe, rng: np.random.Generator) -> list[Batch]:
    """Features of augmented, partly occluded batches; about 160 kB of memory a crop at width 0.25."""
    people, each = recipe.identities_per_batch, recipe.crops_per_identity
    stored = []
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for rows in identity_batches(crops.pids, people, each, recipe.mask_batches, rng):
            images = training_images(crops, rows, each, recipe.occlusion_probability, rng)  # (N, 256, 128, 3)
            pixels = normalise(torch.from_numpy(images)).contiguous(memory_format=torch.channels_last)
            stored.append((model.features(pixels), torch.from_numpy(crops.pids[rows])))
    return stored
