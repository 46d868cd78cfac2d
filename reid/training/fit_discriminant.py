"""Fit the discriminant map of a network to the training identities of a recipe."""

from dataclasses import replace
from pathlib import Path

import torch

from ..backbones.weights import read_state
from ..data.blocks import blocks_of
from ..disk.guard import Guard
from ..errors import RecipeError
from ..model.discriminant import Discriminant
from ..model.network import ReidModel, packed_model, read_model, read_spec
from ..recipe.loader import read_recipe
from ..recipe.schema import Recipe
from .checkpoint import is_own_checkpoint, save
from .step.trainer import AMP_TYPES
from .train import read_training_crops


def fit_checkpoint(checkpoint: Path, recipe_path: Path, out: Path, force: bool = False) -> None:
    """Fit the map of a trained network, and write the network with it as a new checkpoint.

    Args:
        checkpoint: as written by `train.train`; with or without a map.
        recipe_path: a recipe with a section `discriminant`; the map is fitted to its training folders.
        out: the checkpoint to write, for `export.export`.
        force: replace a file that is no checkpoint of this program, too.

    Raises:
        RecipeError: the recipe is invalid, or has no section `discriminant`.
        WeightsError: `checkpoint` cannot be read.
        DatasetError: a training folder cannot be read, or has too few identities.
        OutputError: `out` must not be replaced, or cannot be written.
    """
    recipe = read_recipe(recipe_path)
    if recipe.discriminant is None:
        raise RecipeError(f"{recipe_path}: discriminant: is missing: it says how to fit the map")
    Guard([recipe_path, checkpoint, *recipe.inputs()], force=force).check(out, is_own_checkpoint)
    spec = replace(read_spec(read_state(checkpoint), checkpoint), discriminant=True)
    if spec.regions:
        raise RecipeError(f"{checkpoint}: has region heads, whose dims a discriminant map would mix")
    model = read_model(checkpoint)
    fit_to_recipe(model, recipe)
    save(packed_model(spec, model.state_dict()), out)


def fit_to_recipe(model: ReidModel, recipe: Recipe) -> None:
    """Fit the map of `model`, in place, to the clean training crops of a recipe; adds a map if there is none.

    Raises:
        DatasetError: a training folder cannot be read, or has too few identities.
    """
    section = recipe.discriminant
    assert section is not None
    crops, _ = read_training_crops(recipe.model_copy(update={"unlabelled": ()}))
    if model.discriminant is None:
        model.discriminant = Discriminant(model.dimensions).to(model.neck.weight.device)
    model.eval().to(memory_format=torch.channels_last)  # half the time on a CPU
    neck, amp = [], AMP_TYPES[recipe.amp]
    with torch.inference_mode(), torch.autocast(model.neck.weight.device.type, amp, enabled=amp != torch.float32):
        for block in blocks_of(crops.images):
            normalised = model.normalise(block.to(model.neck.weight.device))
            feature = model.features(normalised.contiguous(memory_format=torch.channels_last)).feature
            neck.append(model.neck(feature))
    model.discriminant.fit(torch.cat(neck), crops.pids, crops.sources, section.shrinkage, section.power)
