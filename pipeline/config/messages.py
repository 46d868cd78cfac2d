"""Describe config errors in plain words: the key, what was expected and what was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ...reid.wording import did_you_mean, shortened
from ..credentials import address_without_credentials, without_credentials
from .schema import Config

EXPECTED = {  # by pydantic's error type; `{le}` and the like are filled in from its context
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "datetime_type": "a time such as 2024-05-01T08:00:00Z",
    "datetime_parsing": "a time such as 2024-05-01T08:00:00Z",
    "datetime_from_date_parsing": "a time such as 2024-05-01T08:00:00Z",
    "model_type": "keys with values below it",
    "dict_type": "keys with values below it",
    "list_type": "a list",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "too_short": "{min_length} entries (a homography is 3 rows of 3 numbers)",
    "too_long": "{max_length} entries (a homography is 3 rows of 3 numbers)",
    "literal_error": "{expected}",
}


LONGEST_SHOWN = 1000


def describe_error(detail: ErrorDetails) -> str:
    """One error as `detector.batch: expected a whole number, got "four"`.

    Args:
        detail: one of the errors of a pydantic ValidationError of Config.
    """
    location = tuple(str(part) for part in detail["loc"])
    return f"{dotted(location)}: {_problem(detail, location)}"


def dotted(location: tuple[str, ...]) -> str:
    """A key as messages name it: `cameras.entrance.homography[0]`."""
    parts = [shortened(part) for part in location]
    text = "".join(f"[{part}]" if part.isdecimal() and place > 1 else f".{part}" for place, part in enumerate(parts))
    return text.removeprefix(".") or "the file"


def _problem(detail: ErrorDetails, location: tuple[str, ...]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{_hint(location)}"
    if kind == "missing":
        return f"is missing: {_description(location)}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind == "too_short" and location == ("cameras",):
        return "name at least one camera"
    if kind not in EXPECTED:
        return f"{detail['msg']}, got {_shown(value)}"
    expected = EXPECTED[kind].format(**context)
    hint = did_you_mean(str(value), expected.replace("'", " ").split()) if kind == "literal_error" else ""
    return f"expected {expected}, got {_shown(value)}{hint}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "keys with values"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if len(str(value)) > LONGEST_SHOWN:  # and cut, it could end within a password
        return f"text of {len(str(value))} characters"
    return f'"{shortened(without_credentials(address_without_credentials(str(value))))}"'


def _hint(location: tuple[str, ...]) -> str:
    """The end of a message about an unknown key: the nearest key here, or another section that has the key."""
    key = location[-1]
    here = _model_at(location[:-1])
    hint = did_you_mean(key, here.model_fields) if here else ""
    if hint:
        return hint
    elsewhere = [dotted((*place, key)) for place, model in _sections(Config, ()) if key in model.model_fields]
    if elsewhere:
        return f", did you mean {elsewhere[0]}?"
    return f"; known here: {', '.join(here.model_fields)}" if here else ""


def _description(location: tuple[str, ...]) -> str:
    model = _model_at(location[:-1])
    return (model.model_fields[location[-1]].description or "") if model else ""


def _model_at(location: tuple[str, ...]) -> type[BaseModel] | None:
    for place, model in _sections(Config, ()):
        if len(place) != len(location):
            continue
        if all(part in ("NAME", given) for part, given in zip(place, location, strict=True)):
            return model
    return None


def _sections(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Every section of the config with its location; NAME stands for a name that the user chooses."""
    yield place, model
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _sections(field.annotation, (*place, name))
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _sections(inner, (*place, name, "NAME"))
