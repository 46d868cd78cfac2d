"""What does a training recipe say?  One YAML file; unknown keys are refused, paths are relative to the file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

import yaml

from .errors import RecipeError


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run.

    Attributes:
        train: folders of crops in Market-1501 naming; their identities are kept apart.
        backbone_weights: published OSNet weights to start from; "" starts from nothing.
        teacher: an OpenVINO re-identification network (.xml) whose view of the clean crop is learnt too; "" for none.
        width: of OSNet.
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

    train: tuple[Path, ...]
    backbone_weights: str
    teacher: str
    width: float
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
    """Read and check a recipe.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, missing or of the wrong type.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not a readable recipe ({type(error).__name__})") from error
    known = {field.name for field in fields(Recipe)}
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected keys and values, got {type(values).__name__}")
    if values.keys() != known:
        unknown, missing = sorted(map(str, values.keys() - known)), sorted(known - values.keys())
        raise RecipeError(f"{path}: unknown keys {unknown}, missing keys {missing}")
    types = get_type_hints(Recipe)
    return Recipe(**{name: _converted(path, name, values[name], types[name]) for name in known})


def _converted(path: Path, name: str, value: object, kind: object) -> object:
    """YAML's value as the recipe's type; paths become absolute."""
    if kind in (tuple[Path, ...], tuple[str, ...]):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise RecipeError(f"{path}: {name}: expected a list of strings, got {value!r}")
        return tuple(path.parent / one for one in value) if kind == tuple[Path, ...] else tuple(value)
    allowed = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, allowed):  # type: ignore[arg-type]
        raise RecipeError(f"{path}: {name}: expected {getattr(kind, '__name__', kind)}, got {value!r}")
    if name in ("backbone_weights", "teacher") and value:
        return str(path.parent / str(value))
    return float(value) if kind is float else value
