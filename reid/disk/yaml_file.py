"""Read YAML files that may come from anyone: plain data only, bounded in size, nesting and aliases, no key twice.

The one reader of configs and recipes.  PyYAML's safe loader runs no code, but nine lines of aliases that refer to
aliases make it build a billion values, and `!!int "abc"` or a year of five digits ends it with an error of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
import yaml.composer
import yaml.reader

MOST_BYTES = 2**20  # a config of a thousand cameras takes a fifth of it
DEEPEST = 20  # levels of lists and keys; a config has 5
MOST_VALUES = 50_000  # aliases counted as often as they are used
LONGEST_NUMBER = 40  # characters; longer ones are no sensible setting, and slow
MERGE = "<<"
# Control characters but tab and line feed, and halves of characters: no file or camera has them in its name.
UNUSABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")

Place = tuple[str, ...]  # the keys that lead to a value


class YamlError(ValueError):
    """A file that cannot be read as YAML; the message is one line without the file's name."""


@dataclass(slots=True)
class YamlFile:
    """What a YAML file holds.

    Attributes:
        content: mappings with text as keys, lists, and values; None if the file is empty.
        lines: of every key, its 1-based line.
        repeated: keys that are given twice, each with its first and its second line; the first value counts.
    """

    content: object = None
    lines: dict[Place, int] = field(default_factory=dict)
    repeated: list[tuple[Place, int, int]] = field(default_factory=list)


def read_yaml(path: Path, *, numbers: bool) -> YamlFile:
    """Read one YAML document of plain data.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        numbers: whether numbers, true and false become values of these types; otherwise everything but null stays text.

    Raises:
        OSError: it cannot be read.
        YamlError: it is too large, not text, not YAML, or more than plain data.
    """
    return parse_yaml(_text(path), numbers=numbers)


def parse_yaml(text: str, *, numbers: bool) -> YamlFile:
    """Read the text of a YAML file; see `read_yaml`.

    Raises:
        YamlError: as `read_yaml`.
    """
    found = YamlFile()
    try:
        loader = (_Typed if numbers else _Text)(text)
        root = loader.get_single_node()
        if root is None:
            return found
        _check_size(root)
        found.repeated = list(_repeated_keys(root, (), found.lines))
        found.content = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"is not YAML: {where}{_problem_of(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"is not YAML: line {line}: there is a control character") from error
    except (ValueError, OverflowError) as error:  # PyYAML converts numbers in escapes and directives unchecked
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"is not YAML: line {loader.line + 1}: a number or an escape is out of range") from error
    return found


def _problem_of(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "it cannot be read"
    if problem.startswith("found character '\\t'"):
        return "there is a tab: indent by spaces"
    return f"{error.context}, {problem}" if problem.startswith("but ") else problem


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)  # a device may never end
    if len(content) > MOST_BYTES:
        raise YamlError(f"is larger than {MOST_BYTES // 2**20} MiB: is it the right file?")
    try:
        return content.decode("utf-8-sig")  # Windows editors write a byte order mark
    except UnicodeDecodeError as error:
        raise YamlError(f"is not a text file: its byte {error.start} is not UTF-8") from error


class _Plain(yaml.SafeLoader):
    """YAML without tags, of bounded nesting, with text as keys."""

    _depth = 0
    _composed = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Compose a node, unless it has a tag or unusable characters, or is one too many or too deep."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")[:40]
            raise yaml.composer.ComposerError(None, None, f"tags are not supported: remove {shown!r}", event.start_mark)
        if UNUSABLE.search(getattr(event, "value", "")):
            raise yaml.composer.ComposerError(
                None, None, "there is a control character, or half of a character", event.start_mark
            )
        self._composed += 1
        self._depth += 1
        if self._composed > MOST_VALUES:
            raise YamlError(f"has more than {MOST_VALUES} values: is it the right file?")
        if self._depth > DEEPEST:
            raise YamlError(f"is nested too deeply: more than {DEEPEST} levels, on line {event.start_mark.line + 1}")
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:  # type: ignore[override]
        """Keys stay text: a camera named `on` or `12` is no boolean and no number."""
        self.flatten_mapping(node)
        return {_text_of(key): self.construct_object(value, deep=True) for key, value in node.value}


class _Text(_Plain):
    """Keeps every value as text, but null; the schema decides each value's type."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of configuring a loader
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Typed(_Plain):
    """Reads numbers, true and false, but neither dates nor base 60."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [one for one in resolvers if one[0].endswith((":null", ":merge", ":bool", ":int", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number as YAML writes it."""
        if len(node.value) > LONGEST_NUMBER:
            raise yaml.constructor.ConstructorError(None, None, "the number is too long", node.start_mark)
        if ":" in node.value:
            raise yaml.constructor.ConstructorError(None, None, "this is no number", node.start_mark)
        try:
            is_whole = node.tag.endswith(":int")
            return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)
        except ValueError as error:  # `0x_` looks like a number
            raise yaml.constructor.ConstructorError(None, None, "this is no number", node.start_mark) from error


for _kind in ("int", "float"):
    _Typed.add_constructor(f"tag:yaml.org,2002:{_kind}", _Typed.construct_number)


def _text_of(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
    return str(key.value)


def _check_size(root: yaml.Node) -> None:
    """Count every value as often as aliases use it, and measure the nesting that they cause."""
    sizes: dict[int, tuple[int, int]] = {}  # of a node's whole subtree: values and levels
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise YamlError(f"line {node.start_mark.line + 1}: a value contains itself: remove the alias")
        open_nodes.add(id(node))
        children = [measure(child) for child in _children(node)]
        values = 1 + sum(size for size, _ in children)
        levels = 1 + max((depth for _, depth in children), default=0)
        if values > MOST_VALUES:
            raise YamlError(f"line {node.start_mark.line + 1}: aliases make it larger than {MOST_VALUES} values")
        if levels > DEEPEST:
            raise YamlError(f"is nested too deeply: more than {DEEPEST} levels, on line {node.start_mark.line + 1}")
        open_nodes.remove(id(node))
        sizes[id(node)] = values, levels
        return sizes[id(node)]

    measure(root)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _repeated_keys(node: yaml.Node, place: Place, lines: dict[Place, int]) -> Iterator[tuple[Place, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*place, str(index)), lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*place, _text_of(key))
        line = key.start_mark.line + 1
        if here in lines and key.value != MERGE:
            yield here, lines[here], line
            continue
        lines[here] = line
        yield from _repeated_keys(value, here, lines)
