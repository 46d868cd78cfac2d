"""What does a training recipe say?  One YAML file; unknown keys are refused, paths are relative to the file."""

import json
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import RecipeError


class Recipe(BaseModel):
    """Everything that decides the outcome of a training run.

    Attributes:
        train: folders of crops in Market-1501 naming; their identities are kept apart.
        start_from: published OSNet weights, or best.pt of an earlier run; null starts from nothing.
        teacher: an OpenVINO re-identification network (.xml) whose view of the clean crop is learnt
            too; null for none.
        width: of OSNet.
        anchored: whether a second head stays as published; then start_from is needed and conv1 and conv2 are frozen.
        frozen_stages: backbone modules that stay as they are, such as conv1.
        epochs, steps_per_epoch: how long; a checkpoint is written after every epoch.
        identities_per_batch, crops_per_identity: P and K.
        learning_rate: of everything but the mask generator; warmed up, then a cosine down to 0.
        mask_learning_rate: of the mask generator, constant [DPM].
        weight_decay: of everything but the mask generator.
        warmup_steps: how many steps the learning rate rises.
        arcface_margin, arcface_scale: in radians; s.
        teacher_weight: of the teacher's term.
        occlusion_probability: for a crop that is not occluded in any case.
        held_out_identities: per folder, never trained on; the best checkpoint is chosen by them.
        evaluate_every_epochs: how often they are looked at.
        seed: of everything.
        threads: CPU threads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[Path, ...]
    start_from: Path | None
    teacher: Path | None
    width: float
    anchored: bool
    frozen_stages: tuple[str, ...]
    epochs: int
    steps_per_epoch: int
    identities_per_batch: int
    crops_per_identity: int
    learning_rate: float
    mask_learning_rate: float
    weight_decay: float
    warmup_steps: int
    arcface_margin: float
    arcface_scale: float
    teacher_weight: float
    occlusion_probability: float
    held_out_identities: int
    evaluate_every_epochs: int
    seed: int
    threads: int


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; its paths come back relative to the recipe's folder.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, missing or of the wrong type.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not a readable recipe ({type(error).__name__})") from error
    try:
        # by way of JSON, whose strict mode still reads paths and tuples: "3" and true are no integers
        recipe = Recipe.model_validate_json(json.dumps(values), strict=True)
    except (TypeError, ValidationError) as error:
        raise RecipeError(f"{path}: {_first_complaint(error)}") from error
    if recipe.anchored and (recipe.start_from is None or not {"conv1", "conv2"} <= set(recipe.frozen_stages)):
        raise RecipeError(f"{path}: anchored: expected a start_from, and conv1 and conv2 among frozen_stages")
    folder = path.parent
    return recipe.model_copy(
        update={
            "train": tuple(folder / one for one in recipe.train),
            "start_from": recipe.start_from and folder / recipe.start_from,
            "teacher": recipe.teacher and folder / recipe.teacher,
        }
    )


def _first_complaint(error: TypeError | ValidationError) -> str:
    if isinstance(error, TypeError):  # YAML knows dates, JSON does not
        return str(error)
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    return f"{key}: {first['msg']}, got {first['input']!r}"
