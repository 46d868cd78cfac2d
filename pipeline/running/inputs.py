"""What a command reads: database, footage and weights, which its outputs must not replace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from glob import has_magic
from pathlib import Path
from typing import Any

from ...reid.disk.files import MODES, OWNER, Modes
from ...reid.disk.guard import Guard
from ..config.cameras import ADDRESS
from ..config.schema import Config
from ..errors import OutputError, SourceError, StoreError
from ..sources.finding import find_footage
from ..storage.connection.database import database_file, parse_database
from ..storage.runs import list_sources, run_config
from ..storage.store import Store

SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")


def guard_of_run(store: Store, run: int, inputs: Iterable[Path], force: bool) -> Guard:
    """A guard of the database, the footage of all its runs, and the weights and floor plan of one run.

    Args:
        store: the database.
        run: the run's number.
        inputs: further files, such as the config.
        force: as of `Guard`.
    """
    settings = _settings(store, run)
    sections = (("detector", "weights"), ("appearance", "weights"), ("floor_plan", "image"))
    named = [settings.get(section, {}).get(key) for section, key in sections]
    files = [Path(name) for name in named if name]
    return _guard([*inputs, *files, *_files_of_database(store.file)], list_sources(store), force)


def guard_of_config(config: Config, inputs: Iterable[Path], force: bool) -> Guard:
    """A guard of everything that a config names: footage, weights, floor plan and database.

    Args:
        config: with resolved paths.
        inputs: further files, such as the config itself.
        force: as of `Guard`.
    """
    database = _files_of_database(database_file(parse_database(config.database)))
    return _guard(
        [*inputs, *_files_of_config(config), *database], [camera.source for camera in config.cameras.values()], force)


def check_database_path(config: Config) -> None:
    """Refuse a database that is, or whose log would be, footage, weights or floor plan of its own config.

    Raises:
        StoreError: it is, or the path cannot be used.
    """
    guard = _guard(_files_of_config(config), [camera.source for camera in config.cameras.values()], force=False)
    for path in _files_of_database(database_file(parse_database(config.database))):
        try:
            guard.check_no_input(path)
        except OutputError as error:
            raise StoreError(f"database: {error}") from error


def _files_of_config(config: Config) -> list[Path]:
    """Weights and floor plan."""
    plan = config.floor_plan.image
    weights = [Path(config.detector.weights), Path(config.appearance.weights)]
    return weights if plan is None else [*weights, Path(plan)]


def _files_of_database(path: Path | None) -> list[Path]:
    """The files of an SQLite database, with those that exist only while it is written; none of a server's."""
    if path is None:
        return []
    spellings = path, os.path.realpath(path)  # SQLite follows links before it names its other files
    return [Path(f"{one}{suffix}") for one in spellings for suffix in SQLITE_SUFFIXES]


def modes_of_run(store: Store, run: int) -> Modes:
    """The permissions that the config of a run asks for."""
    return MODES.get(str(_settings(store, run).get("access")), OWNER)


def _settings(store: Store, run: int) -> dict[str, Any]:
    try:
        settings = json.loads(run_config(store, run))
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _guard(inputs: Iterable[Path], sources: Iterable[str], force: bool) -> Guard:
    files, patterns = list(inputs), list[str]()
    for source in sources:
        if ADDRESS.match(source):
            continue
        files += _footage(source)
        if has_magic(source) and not os.path.lexists(source):
            patterns.append(source)
    return Guard(files, patterns, force)


def _footage(source: str) -> Iterator[Path]:
    yield Path(source)
    try:
        yield from find_footage(source).files
    except (SourceError, ValueError):  # gone, which the guard need not report
        return
