"""Continue a run that broke off: find it, check that nothing has changed that its results depend on, keep its state."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reid.wording import shortened
from ..config.schema import Config
from ..credentials import config_without_credentials
from ..errors import ConfigError, SourceError, StoreError
from ..sources.finding import find_footage
from ..stages.detection.detect import BUNDLED as DETECTORS
from ..stages.embed import BUNDLED as EMBEDDERS
from ..storage.connection.database import database_file, file_exists, parse_database
from ..storage.runs import runs_with_inputs
from ..storage.store import Store

RESUMABLE_TRACKERS = ("masked",)  # those that are a `ResumableTracker`
WITHOUT_EFFECT = ("database", "access", "retention", "sources", "floor_plan")  # sections that change no result
MOST_CHANGES = 3  # named in a message
CHECKPOINT_FORM = 2  # to be raised whenever what checkpoints hold changes

State = dict[str, NDArray[Any]]
META = "meta"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run with the same inputs; unless it has ended, it can be continued."""

    run: int
    has_ended: bool


def inputs_of(config: Config) -> str:
    """What the results of a run depend on, as JSON: version, settings, contents of weights, files of footage."""
    settings = {key: value for key, value in config.as_written().items() if key not in WITHOUT_EFFECT}
    weights = {
        "detector.weights": DETECTORS.get(config.detector.weights, Path(config.detector.weights)),
        "appearance.weights": EMBEDDERS.get(config.appearance.weights, Path(config.appearance.weights))}
    return json.dumps({
        "version": version("reidpipe"),
        "checkpoints": CHECKPOINT_FORM,
        "config": config_without_credentials(settings),
        "weights": {key: _digest(path) for key, path in weights.items()},
        "footage": {name: _footage(camera.source) for name, camera in config.cameras.items()},
    }, sort_keys=True)


def can_be_resumed(config: Config) -> bool:
    """Whether runs of a config keep checkpoints."""
    return config.tracker.name in RESUMABLE_TRACKERS


def run_to_resume(config: Config, inputs: str) -> Earlier | None:
    """The run that `--resume` is about: unfinished or ended; None if there is none of these cameras.

    Args:
        config: of the new start.
        inputs: its `inputs_of`.

    Raises:
        ConfigError: the tracker keeps no checkpoints, or something has changed since the run began.
        StoreError: the database cannot be opened.
    """
    if not can_be_resumed(config):
        raise ConfigError(f"tracker.name: runs with {config.tracker.name} keep no checkpoint and cannot be resumed: "
                          f"run without --resume, or use {' or '.join(RESUMABLE_TRACKERS)}")
    url = parse_database(config.database)
    if database_file(url) is not None and not file_exists(url):
        return None
    with Store.open(config.database, create=True) as store, store.explaining_damage():
        found = earlier_run(store, inputs)
        if found is not None:
            return found
        cameras = set(config.cameras)
        for one in runs_with_inputs(store):
            before = json.loads(one.inputs)
            if set(before["footage"]) == cameras:
                if one.has_ended:
                    return None
                changes = "; ".join(list(_changes(before, json.loads(inputs)))[:MOST_CHANGES])
                raise ConfigError(f"{store.name}: run {one.run} cannot be resumed: {changes}: undo that, "
                                  "or run without --resume")
    return None


def earlier_run(store: Store, inputs: str) -> Earlier | None:
    """The newest run with the same inputs, or of several unfinished ones the furthest; None if there is none."""
    same = [one for one in runs_with_inputs(store) if one.inputs == inputs]
    if not same:
        return None
    unfinished = takewhile(lambda one: not one.has_ended, same)
    furthest = max(unfinished, key=lambda one: -math.inf if one.seconds is None else one.seconds, default=same[0])
    return Earlier(furthest.run, furthest.has_ended)


def check_cameras(run: int, began_with: set[str], opened: set[str], errors: Mapping[str, str]) -> None:
    """Refuse to continue a run with other cameras than those that it began with.

    Args:
        run: its number.
        began_with: the cameras that it could open.
        opened: those that can be opened now.
        errors: by camera, why it cannot be.

    Raises:
        SourceError: one is missing, or was missing when the run began.
    """
    for name in sorted(began_with - opened):
        raise SourceError(f"run {run} cannot be resumed without camera {name}: {errors[name]}")
    for name in sorted(opened - began_with):
        raise SourceError(f"camera {name} could not be opened when run {run} began, and can be now: "
                          "run without --resume")


def packed(meta: Mapping[str, Any], states: Iterable[tuple[str, State]]) -> bytes:
    """States of several parts, and JSON values, as an .npz file.

    Args:
        meta: the values.
        states: the name of each part, and its state; each is let go of before the next is asked for.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        _write(archive, {META: np.frombuffer(json.dumps(meta).encode(), np.uint8)})
        for part, state in states:
            _write(archive, {f"{part}/{name}": array for name, array in state.items()})
            del state
    return file.getvalue()


def _write(archive: zipfile.ZipFile, arrays: State) -> None:
    """As `numpy.savez` does, which would need those of all parts at once."""
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array(entry, array, allow_pickle=False)


def unpacked(content: bytes, database: str) -> tuple[dict[str, Any], dict[str, State]]:
    """What was packed.

    Raises:
        StoreError: it is damaged.
    """
    states: dict[str, State] = {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            meta: dict[str, Any] = json.loads(file[META].tobytes())
            for key in file.files:
                part, _, name = key.partition("/")
                if name:
                    states.setdefault(part, {})[name] = file[key]
    except (ValueError, KeyError, OSError, EOFError, NotImplementedError) as error:
        raise StoreError(f"{database}: the checkpoint is damaged: run without --resume") from error
    return meta, states


def _footage(source: str) -> str:
    """Names, sizes and times of the files, as a checksum; empty if there are none."""
    digest = hashlib.sha256()
    try:
        for path in find_footage(source).files:
            found = path.stat()
            digest.update(f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    except (SourceError, OSError):  # reported where the source is opened
        return ""
    return digest.hexdigest()


def _digest(path: Path) -> str:
    """A checksum of a file, or of all files in a folder; empty if it cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with file.open("rb") as opened:
                while piece := opened.read(1 << 20):
                    digest.update(piece)
    except OSError:  # reported where the model is loaded
        return ""
    return digest.hexdigest()


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two inputs, in words."""
    if before["version"] != now["version"]:
        yield f"reidpipe {shortened(before['version'])} began it, this is {now['version']}"
    elif before.get("checkpoints") != now["checkpoints"]:
        yield "another state of reidpipe began it, which kept checkpoints of another form"
    old, new = _flat(before["config"]), _flat(now["config"])
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} was {shortened(json.dumps(old.get(key)))}, is {shortened(json.dumps(new.get(key)))}"
    for key, digest in now["weights"].items():
        if before["weights"].get(key) != digest:
            yield f"the file of {key} is another one"
    for name, digest in now["footage"].items():
        if before["footage"].get(name) != digest:
            yield f"the footage of camera {name} has changed"


def _flat(content: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{place}{key}.") if isinstance(value, dict) else {f"{place}{key}": value}
    return flat
