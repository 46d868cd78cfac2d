"""Read and validate a config file; all its problems are reported at once, with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from glob import escape, has_magic
from os.path import normpath
from pathlib import Path

from pydantic import ValidationError

from ...reid.disk.paths import expand_home
from ...reid.disk.yaml_file import Place, YamlError, YamlFile, read_yaml
from ...reid.wording import counted, did_you_mean, shortened
from ..credentials import remember_secrets
from ..errors import ConfigError
from .cameras import ADDRESS, DEVICE
from .messages import describe_error, dotted
from .references import Expanded, expand
from .schema import Config, text_values

CAMERA_NAME = re.compile(r"(?! )[\w .-]{1,100}(?<![ .])")  # a file name on every system
MOST_PROBLEMS = 20  # listed at once; a file with more is no config
BUNDLED_WEIGHTS = frozenset({"person", "accurate", "permissive", "fast", "dpmpp"})

def load_config(path: Path) -> Config:
    """Read and validate a config file; relative paths in it are resolved against its folder.

    References to the environment and to files are replaced by their values, which no message shows.

    Args:
        path: the YAML file.

    Raises:
        ConfigError: all problems of the file; the first line of the message holds the first.
    """
    file = _parsed(path)
    content, lines = file.content, file.lines
    problems = [_repeated(*one) for one in file.repeated]
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


def _parsed(path: Path) -> YamlFile:
    try:
        return read_yaml(path, numbers=False)
    except FileNotFoundError as error:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such config file{did_you_mean(path.name, names)}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except YamlError as error:
        raise ConfigError(f"{path}: {error}") from error


def _repeated(place: Place, first: int, second: int) -> str:
    what = f"camera {shortened(place[1])}" if place[:1] == ("cameras",) and len(place) == 2 else dotted(place)
    return f"{what}: is given twice, on line {first} and on line {second}"


def _invalid(error: ValidationError, expanded: Expanded, lines: dict[Place, int]) -> Iterator[str]:
    """The problems of a validation; a value that came from elsewhere is shown as it is written."""
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        location = tuple(str(part) for part in detail["loc"])
        if location not in expanded.problems:
            detail["input"] = expanded.written.get(location, detail["input"])
            yield describe_error(detail) + _on_line(location, lines)


def _bad_camera_names(cameras: object, lines: dict[Place, int]) -> list[str]:
    problems = []
    seen: dict[str, str] = {}
    for name in map(str, cameras if isinstance(cameras, dict) else ()):
        line = _on_line(("cameras", name), lines)
        if not CAMERA_NAME.fullmatch(name):
            rule = "use letters, digits, space, _, - and . (not at the end)"
            problems.append(f'cameras: "{shortened(name)}" cannot be a file name: {rule}{line}')
        elif name.casefold() in seen:
            other = seen[name.casefold()]
            problems.append(f'cameras: "{name}" and "{other}" would be the same file on some systems{line}')
        seen.setdefault(name.casefold(), name)
    return problems


def _on_line(location: Place, lines: dict[Place, int]) -> str:
    while location and location not in lines:
        location = location[:-1]
    return f" (line {lines[location]})" if location else ""


def _joined(path: Path, problems: list[str]) -> str:
    first, *others = problems[:MOST_PROBLEMS]
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
        "floor_plan": config.floor_plan if config.floor_plan.image is None else config.floor_plan.model_copy(
            update={"image": _below(folder, config.floor_plan.image)}),
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
    if has_magic(source) and not _exists(Path(path)) and not expand_home(source).is_absolute():
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
    return normpath(folder / expand_home(name))  # shorter paths in messages
