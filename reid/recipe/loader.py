"""Read and check training recipes: one YAML file each; unknown keys are refused, paths are relative to the file."""

import json
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from ..disk.yaml_file import YamlError, read_yaml
from ..errors import RecipeError
from ..wording import did_you_mean, shortened
from .schema import WEIGHT_SUFFIXES, Recipe


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; relative paths are resolved against the recipe's folder.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, missing or of the wrong type.
    """
    try:
        file = read_yaml(path, numbers=True)
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    except YamlError as error:
        raise RecipeError(f"{path}: {error}") from error
    for place, first, second in file.repeated:
        key = shortened(".".join(place))
        raise RecipeError(f"{path}: {key}: is given twice, on line {first} and on line {second}")
    return check_recipe(file.content, path)


def check_recipe(values: object, path: Path) -> Recipe:
    """Check parsed YAML; `path` is the recipe's file, for messages and to resolve relative paths."""
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected keys with values, at least train: [a folder of crops]")
    if "cameras" in values and "train" not in values:
        raise RecipeError(f"{path}: expected a training recipe, as those in configs/train, got a config of cameras")
    try:
        # Strict validation refuses "3" and true as integers; only by way of JSON does it still read paths and tuples.
        recipe = Recipe.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_first_error(error)}") from error
    resolved = _resolve_paths(recipe, path.parent.absolute())
    assert isinstance(resolved, Recipe)
    return resolved


def _resolve_paths(section: BaseModel, folder: Path) -> BaseModel:
    """The same section, every path in it (and every `pretrained` that names a file) joined to `folder`."""
    update: dict[str, object] = {}
    for key, value in section:
        if isinstance(value, BaseModel):
            update[key] = _resolve_paths(value, folder)
        elif isinstance(value, Path):
            update[key] = folder / value
        elif isinstance(value, tuple):
            update[key] = tuple(folder / one if isinstance(one, Path) else one for one in value)
        elif key == "pretrained" and isinstance(value, str) and Path(value).suffix in WEIGHT_SUFFIXES:
            update[key] = str(folder / value)
    return section.model_copy(update=update)


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    key = ".".join(shortened(str(part)) for part in first["loc"])
    if first["type"] == "missing":
        return f"{key}: is missing"
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        hint = did_you_mean(str(first["loc"][-1]), known) or f", expected one of {', '.join(known)}"
        return f"{key}: unknown key{hint}"
    return f"{key}: {message}, got {shortened(repr(first['input']))}" if key else message


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at a place in the recipe."""
    section: type[BaseModel] = Recipe
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        kinds = (annotation, *get_args(annotation))  # of an optional section, too
        section = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return list(section.model_fields)
