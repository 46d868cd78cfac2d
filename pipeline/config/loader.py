"""Read and validate a config file; all its problems are reported at once, with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from glob import escape, has_magic
from os.path import normpath
from pathlib import Path

import yaml
import yaml.reader
from pydantic import ValidationError

from ...reid.wording import counted, did_you_mean
from ..credentials import remember_secrets
from ..errors import ConfigError
from .messages import describe_error, dotted
from .references import Expanded, expand
from .schema import ADDRESS, DEVICE, Config, text_values

CAMERA_NAME = re.compile(r"(?! )[\w .-]{1,100}(?<![ .])")  # a file name on every system
BUNDLED_WEIGHTS = frozenset({"person", "dpmpp", "accurate"})

Lines = dict[tuple[str, ...], int]  # path of keys → 1-based line of the last


class _Loader(yaml.SafeLoader):
    """YAML that keeps every value as text.

    YAML's own types surprise: a camera named `on` would be True, and `12:30:00` the number 45000. The schema decides
    each value's type.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way of configuring a loader
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load_config(path: Path) -> Config:
    """Read and validate a config file; relative paths in it are resolved against its folder.

    References to the environment and to files are replaced by their values, which no message shows.

    Args:
        path: the YAML file.

    Raises:
        ConfigError: all problems of the file; the first line of the message holds the first.
    """
    lines: Lines = {}
    content, problems = _parsed(path, _text(path), lines)
    if content is None:
        raise ConfigError(f"{path}: is empty; name at least one camera under `cameras:`")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values, beginning with `cameras:`")
    for name, field in Config.model_fields.items():
        if name in content and content[name] is None and not field.is_required():
            del content[name]  # a section with all its lines commented out
    problems += _bad_camera_names(content.get("cameras"), lines)
    folder = path.absolute().parent
    expanded = expand(content, folder)
    remember_secrets(expanded.content)
    problems += [f"{dotted(place)}: {text}{_on_line(place, lines)}" for place, text in expanded.problems.items()]
    try:
        config = Config.model_validate(expanded.content)
    except ValidationError as error:
        problems += _invalid(error, expanded, lines)
        raise ConfigError(_joined(path, problems)) from None  # the cause holds the values of secrets
    if problems:
        raise ConfigError(_joined(path, problems))
    resolved = _resolved(config, folder)
    resolved.keep_written(_resolved_written(expanded.written, config, resolved, folder))
    return resolved


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows editors write a byte order mark
    except FileNotFoundError as error:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such config file{did_you_mean(path.name, names)}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file: its byte {error.start} is not UTF-8") from error


def _parsed(path: Path, text: str, lines: Lines) -> tuple[object, list[str]]:
    """The file's content and its repeated keys; the line of every key is added to `lines`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, []
        problems = list(_repeated_keys(root, (), lines))
        return loader.construct_document(root), problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path}: is not YAML: {where}{error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        where = f"line {text.count(chr(10), 0, error.position) + 1}"
        raise ConfigError(f"{path}: is not YAML: {where}: there is a control character") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply") from error


def _invalid(error: ValidationError, expanded: Expanded, lines: Lines) -> Iterator[str]:
    """The problems of a validation; a value that came from elsewhere is shown as it is written."""
    for detail in error.errors(include_url=False):
        location = tuple(str(part) for part in detail["loc"])
        if location not in expanded.problems:
            detail["input"] = expanded.written.get(location, detail["input"])
            yield describe_error(detail) + _on_line(location, lines)


def _repeated_keys(node: yaml.Node, place: tuple[str, ...], lines: Lines) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*place, str(index)), lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*place, str(key.value))
        line = key.start_mark.line + 1
        if here in lines and key.value != "<<":
            what = f"camera {key.value}" if place == ("cameras",) else dotted(here)
            yield f"{what}: is given twice, on line {lines[here]} and on line {line}"
            continue
        lines[here] = line
        yield from _repeated_keys(value, here, lines)


def _bad_camera_names(cameras: object, lines: Lines) -> list[str]:
    problems = []
    seen: dict[str, str] = {}
    for name in map(str, cameras if isinstance(cameras, dict) else ()):
        line = _on_line(("cameras", name), lines)
        if not CAMERA_NAME.fullmatch(name):
            rule = "use letters, digits, space, _, - and . (not at the end)"
            problems.append(f'cameras: "{name}" cannot be a file name: {rule}{line}')
        elif name.casefold() in seen:
            other = seen[name.casefold()]
            problems.append(f'cameras: "{name}" and "{other}" would be the same file on some systems{line}')
        seen.setdefault(name.casefold(), name)
    return problems


def _on_line(location: tuple[str, ...], lines: Lines) -> str:
    while location and location not in lines:
        location = location[:-1]
    return f" (line {lines[location]})" if location else ""


def _joined(path: Path, problems: list[str]) -> str:
    first, *others = problems
    if not others:
        return f"{path}: {first}"
    return f"{path}: {first} -- and {counted(len(others), 'more problem')}:" + "".join(f"\n  {text}" for text in others)


def _resolved(config: Config, folder: Path) -> Config:
    cameras = {
        name: camera.model_copy(update={"source": _source(camera.source, folder)})
        for name, camera in config.cameras.items()
    }
    return config.model_copy(update={
        "cameras": cameras,
        "database": config.database if _is_url(config.database) else _below(folder, config.database),
        "detector": config.detector.model_copy(update={"weights": _weights(config.detector.weights, folder)}),
        "appearance": config.appearance.model_copy(update={"weights": _weights(config.appearance.weights, folder)}),
    })


def _resolved_written(
    written: dict[tuple[str, ...], str], config: Config, resolved: Config, folder: Path
) -> dict[tuple[str, ...], str]:
    """What is written, with relative paths resolved where those of the config were."""
    before, after = text_values(config), text_values(resolved)

    def one(place: tuple[str, ...], text: str) -> str:
        if before.get(place) == after.get(place):
            return text
        return str(folder / Path(text).expanduser())

    return {place: one(place, text) for place, text in written.items()}


def _source(source: str, folder: Path) -> str:
    if ADDRESS.match(source) or DEVICE.fullmatch(source):
        return source
    path = _below(folder, source)
    if has_magic(source) and not _exists(Path(path)) and not Path(source).expanduser().is_absolute():
        return normpath(Path(escape(str(folder))) / source)  # brackets in the folder's own name are not a pattern
    return path


def _weights(weights: str, folder: Path) -> str:
    """A path, if such a file exists or it is written like a path; otherwise a name for the stage to look up."""
    if weights in BUNDLED_WEIGHTS or ADDRESS.match(weights):
        return weights
    path = _below(folder, weights)
    return path if _exists(Path(path)) or len(Path(weights).parts) > 1 else weights


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # reported where the file is opened
        return False


def _is_url(database: str) -> bool:
    return bool(ADDRESS.match(database)) or database == ":memory:"


def _below(folder: Path, name: str) -> str:
    return normpath(folder / Path(name).expanduser())  # shorter paths in messages
