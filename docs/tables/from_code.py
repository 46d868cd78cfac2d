"""Tables of config keys, recipe keys, command options and data sets, from the code."""

import inspect
import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reidpipe.pipeline.cli import main as cli
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.reid.data.layouts import PUBLISHED
from reidpipe.reid.recipe.schema import Recipe

from . import Rows

ATTRIBUTE = re.compile(r"^    ([\w, ]+): (.+(?:\n {8}.+)*)", re.M)  # of a docstring's "Attributes:"


def _config_keys() -> Rows:
    yield "key", "default", "meaning"
    for prefix, model in (("", Config), ("cameras.NAME.", CameraConfig)):
        for name, field in model.model_fields.items():
            for key, one in _flat(name, field) if name != "cameras" else [(name, field)]:
                yield f"`{prefix}{key}`", _default(one), _meaning(one.description or "", one)


def _flat(name: str, field: FieldInfo) -> Iterator[tuple[str, FieldInfo]]:
    """A key, or those of the section that it holds, with dots."""
    section = section_of(field)
    if section is None:
        yield name, field
        return
    for key, one in section.model_fields.items():
        yield from _flat(f"{name}.{key}", one)


def recipe_keys(place: str = "") -> Rows:
    """Every key of one section of a recipe, `place` such as occlusion.saliency; "" for those at the top."""
    model: type[BaseModel] = Recipe
    for part in filter(None, place.split(".")):
        model = section_of(model.model_fields[part]) or model
    text = inspect.cleandoc(model.__doc__ or "")
    meanings = {name: " ".join(one.split()) for names, one in ATTRIBUTE.findall(text) for name in names.split(", ")}
    rows = [
        (name, _default(field), _meaning(meanings.get(name) or field.description or text.splitlines()[0], field))
        for name, field in model.model_fields.items()
    ]
    yield "key", "default", "meaning"
    for meaning, group in groupby(rows, key=lambda row: row[2]):
        names, defaults, _ = zip(*group, strict=True)
        keys = ", ".join(f"`{place}{'.' if place else ''}{name}`" for name in names)
        yield keys, defaults[0] if len(set(defaults)) == 1 else ", ".join(defaults), meaning


def _options(path: str) -> Rows:
    command: click.Command = cli.main
    for name in path.split():
        assert isinstance(command, click.Group)
        command = command.commands[name]
    yield "option", "meaning"
    for option in (one for one in command.params if isinstance(one, click.Option) and not one.hidden):
        names, text = option.get_help_record(click.Context(command)) or ("", "")
        yield f"`{names}`".replace("|", "\\|"), text.replace("|", "\\|") or "–"


def _data_sets() -> Rows:
    yield "data set", "train", "query", "gallery"
    for name, splits in PUBLISHED.items():
        counts = [splits.get(split) for split in ("train", "query", "gallery")]
        yield name, *("–" if one is None else f"{one.identities:,} / {one.images:,}" for one in counts)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a key holds, also where it may be null."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((one for one in kinds if inspect.isclass(one) and issubclass(one, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return "–" if field.default is None else "a section"
    return f"`{field.default if isinstance(field.default, str) else json.dumps(field.default)}`"


def _meaning(text: str, field: FieldInfo) -> str:
    kinds = (field.annotation, *get_args(field.annotation))
    choices = [value for one in kinds if get_origin(one) is Literal for value in get_args(one)]
    missing = any(str(choice) not in text for choice in choices)
    text = text if text.endswith("...") else text.rstrip(".")
    return text + (f"; one of {', '.join(f'`{one}`' for one in choices)}" if missing else "")


FROM_CODE = {"config": _config_keys, "recipe": recipe_keys, "options": _options, "data_sets": _data_sets}
