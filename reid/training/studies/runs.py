"""Training runs of a study, each in a folder with its recipe: what is finished is not repeated."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from ...disk.files import make_folder, write_text
from ...disk.guard import Guard
from ...errors import RecipeError
from ...recipe.loader import read_recipe
from ...recipe.schema import Recipe
from ..feature_memory import FeatureMemory
from ..records.log import TrainingLog
from ..train import Listener, train


def train_unless_finished(
    recipe: Recipe, folder: Path, listeners: Sequence[Listener], guard: Guard, force: bool, memory: FeatureMemory
) -> Path:
    """Train by a recipe, resume the run in `folder`, or do nothing if it is finished.

    Args:
        recipe: written to folder/recipe.yaml.
        folder: of this run; created if missing.
        listeners: called at every epoch and step.
        guard: of the study's inputs.
        force: replace files in `folder` that are not of an earlier run, too.
        memory: of the study's runs.

    Returns:
        The path of the run's best.pt.

    Raises:
        RecipeError: the folder holds a run of another recipe.
    """
    path = folder / "recipe.yaml"
    guard.check(path, _is_own_recipe)
    make_folder(folder)
    if path.exists() and read_recipe(path).comparable() != recipe.comparable():
        raise RecipeError(f"{folder}: holds a run of another recipe: choose another --out")
    write_text(path, _written(recipe))
    records = TrainingLog(folder / "log.jsonl").records()
    if not any(record["epoch"] + 1 == recipe.schedule.epochs for record in records):
        return train(path, folder, (folder / "last.pt").exists(), listeners, force, memory)
    return folder / "best.pt"


def _written(recipe: Recipe) -> str:
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def _is_own_recipe(path: Path) -> bool:
    """Whether a recipe is written as `_written` does, without a comment or an order of its own that could be lost."""
    return path.read_text(encoding="utf-8") == _written(read_recipe(path))
