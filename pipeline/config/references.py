"""Values of the config that lie elsewhere: `${NAME}` in the environment, `${file:PATH}` in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..credentials import remember_expansion

LARGEST_FILE = 64 * 1024  # bytes; a secret is a line
REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)\}")
FILE = "file:"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL = "write $${ for the characters ${"

Place = tuple[str, ...]  # the keys above a value


@dataclass(frozen=True, slots=True)
class Expanded:
    """A config with values in place of its references.

    Attributes:
        content: the config; a text whose reference has no value stays as it is.
        written: every text with a reference, as it is written in the config, but with absolute paths of files.
        problems: one line for every text whose reference has no value.
    """

    content: object
    written: dict[Place, str]
    problems: dict[Place, str]


def expand(content: object, folder: Path) -> Expanded:
    """Replace all references in nested mappings and lists; `$${` stands for the characters `${`.

    From now on no message shows the values, unless they are also names in the config, such as a camera's.

    Args:
        content: what the YAML parser returned.
        folder: relative paths of `${file:PATH}` start here.
    """
    expansion = _Expansion(folder, frozenset(_keys(content)))
    return Expanded(expansion.expand(content, ()), expansion.written, expansion.problems)


class _Expansion:
    def __init__(self, folder: Path, names: frozenset[str]) -> None:
        self._folder, self._names = folder, names
        self.written: dict[Place, str] = {}
        self.problems: dict[Place, str] = {}

    def expand(self, value: object, place: Place) -> object:
        if isinstance(value, dict):
            return {key: self.expand(one, (*place, str(key))) for key, one in value.items()}
        if isinstance(value, list):
            return [self.expand(one, (*place, str(index))) for index, one in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            text = _replaced(value, self._value, escaped="${")
        except ValueError as error:
            self.problems[place] = str(error)
            return value
        self.written[place] = _replaced(value, lambda name: f"${{{self._absolute(name)}}}", escaped="$${")
        self._remember(self.written[place], text)
        return text

    def _value(self, name: str) -> str:
        value = _content(Path(self._absolute(name)[len(FILE) :])) if name.startswith(FILE) else _variable(name)
        self._remember(f"${{{name}}}", value)
        return value

    def _remember(self, reference: str, value: str) -> None:
        if REFERENCE.search(reference) and value not in self._names:
            remember_expansion(reference, value)

    def _absolute(self, name: str) -> str:
        return f"{FILE}{self._folder / Path(name[len(FILE) :]).expanduser()}" if name.startswith(FILE) else name


def _keys(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from _keys(value)


def _replaced(text: str, value_of: Callable[[str], str], *, escaped: str) -> str:
    return REFERENCE.sub(lambda found: f"{escaped}{found[2]}}}" if found[1] else value_of(found[2]), text)


def _variable(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"${{{name}}} is neither ${{NAME}} nor ${{file:PATH}}; {_LITERAL}")
    value = os.environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {name} is not set; set it, or {_LITERAL}")
    return _decoded(os.fsencode(value), f"the environment variable {name}")


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path
        raise ValueError(f"{str(path)!r} is not a path") from error
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{path} is larger than {LARGEST_FILE // 1024} KiB; expected a file with one secret")
    return _decoded(content, str(path)).rstrip("\r\n")


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text") from error
