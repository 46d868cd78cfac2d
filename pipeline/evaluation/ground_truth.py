"""Read ground truth, and results in MOTChallenge text: people's boxes and identities, one file per camera."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...reid.disk.files import failing_as
from ..errors import ConfigError
from ..output.camera_files import camera_stems

BOX = ("x1", "y1", "x2", "y2")
VISIBLE_BOX = ("visible_x1", "visible_y1", "visible_x2", "visible_y2")
MOT_COLUMNS = 6  # frame, id, left, top, width, height; then confidence
MOT16_COLUMNS = 9  # ... confidence, class, visibility; with ten columns the last three are a position in the world
PEDESTRIAN = 1  # MOT16's class


@dataclass(frozen=True, slots=True)
class Truth:
    """The ground truth of one camera; N boxes.

    Attributes:
        frames: int64 (N,), 0-based.
        identities: str (N,), the same in all cameras; unique within a frame.
        xyxy: float64 (N, 4) pixels, the full person.
        visible_xyxy: float64 (N, 4) pixels, the visible part; equal to xyxy where unknown.
        counted: bool (N,); False for ignore regions: boxes that are too occluded, or marked as ignored in the file.
    """

    frames: NDArray[np.int64]
    identities: NDArray[np.str_]
    xyxy: NDArray[np.float64]
    visible_xyxy: NDArray[np.float64]
    counted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Boxes:
    """One camera's tracked boxes; N of them, in any order.

    Attributes:
        frames: int64 (N,), 0-based.
        tracks: int64 (N,), local to the camera.
        identities: int64 (N,), the same in all cameras; 0 for none.
        confidence: float64 (N,) in [0, 1].
        xyxy: float64 (N, 4) pixels.
    """

    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    identities: NDArray[np.int64]
    confidence: NDArray[np.float64]
    xyxy: NDArray[np.float64]


def truth_files(truth: Path, cameras: Iterable[str]) -> dict[str, Path]:
    """The ground truth file of every camera that has one: `<camera>.csv`, else `<camera>.txt` (MOTChallenge).

    Args:
        truth: the folder, or the only camera's file.
        cameras: names of the cameras.

    Raises:
        ConfigError: no camera has a file there, or one file is given for several cameras.
    """
    cameras = list(cameras)
    with failing_as(ConfigError, truth):
        is_file = truth.is_file()
        if not truth.exists():
            raise ConfigError(f"{truth}: there is no such file or folder: give the folder with the ground truth")
    if is_file:
        if len(cameras) != 1:
            raise ConfigError(f"{truth}: one ground truth file for {len(cameras)} cameras: give a folder with one each")
        return {cameras[0]: truth}
    found: dict[str, Path] = {}
    for camera, stem in camera_stems(cameras).items():
        for path in (truth / f"{stem}.csv", truth / f"{stem}.txt"):
            try:
                exists = path.is_file()
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror}") from error
            if exists and camera not in found:
                found[camera] = path
    if not found:
        raise ConfigError(f"{truth}: no ground truth: expected <camera>.csv or <camera>.txt for the run's cameras")
    return found


def result_files(results: Path, truth: Path) -> dict[str, Path]:
    """The result file of every camera: the only one, named after the ground truth, or all `.txt` files of a folder.

    Raises:
        ConfigError: one of the paths is missing or only one is a folder, the folder has no result files, or it has none
            for a camera with ground truth.
    """
    for path in (results, truth):
        with failing_as(ConfigError, path):
            exists = path.exists()
        if not exists:
            raise ConfigError(f"{path}: no such file or folder: expected MOTChallenge text")
    if results.is_dir() != truth.is_dir():
        raise ConfigError(f"{results} and {truth}: expected two files, or two folders")
    if results.is_file():
        return {truth.stem: results}
    found = {path.stem: path for path in sorted(results.glob("*.txt"))}
    if not found:
        raise ConfigError(f"{results}: no results: expected <camera>.txt (MOTChallenge)")
    missing = {path.stem for path in truth.iterdir() if path.suffix in (".csv", ".txt")} - set(found)
    if missing:
        raise ConfigError(f"{results}: no {min(missing)}.txt, but {truth} has ground truth for it: "
                          "an empty file means that nobody was found")
    return found


def read_truth(path: Path, min_visible: float) -> Truth:
    """Read one ground truth file.

    A `.csv` file has a header with at least frame (0-based), identity, x1, y1, x2, y2, and optionally visible_x1 to
    visible_y2 and visible, in [0, 1].  Anything else is MOTChallenge text: frame (1-based), id, left, top, width,
    height, confidence (0: ignored), and with nine columns class (other than 1: ignored) and visibility.

    Args:
        min_visible: boxes with a smaller visible share are ignored.

    Raises:
        ConfigError: the file cannot be read, lacks a column, holds text instead of a number, or has an identity twice
            in a frame.
    """
    is_csv = path.suffix == ".csv"
    truth = _read_csv(path, _lines(path), min_visible) if is_csv else _read_mot(path, min_visible)
    _refuse_twice(path, truth.frames, truth.identities)
    return truth


def read_results(path: Path) -> Boxes:
    """Read one result file in MOTChallenge text: frame (1-based), id, left, top, width, height, confidence.

    The ids are tracks and identities at once. Without a confidence it is 1.

    Raises:
        ConfigError: the file cannot be read, holds text instead of a number or detections instead of tracks, or has an
            id twice in a frame.
    """
    table = _read_mot_table(path)
    frames, ids = table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64)
    if (ids < 0).any():
        raise ConfigError(f"{path}: expected ids of tracks, got {ids.min()}: are these detections?")
    _refuse_twice(path, frames, ids)
    confidence = table[:, 6] if table.shape[1] > MOT_COLUMNS else np.ones(len(table))
    return Boxes(frames, ids, ids + 1, confidence, _mot_xyxy(table))  # identity 0 means none


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _read_csv(path: Path, lines: Iterable[str], min_visible: float) -> Truth:
    reader = csv.DictReader(lines)
    header = set(reader.fieldnames or ())
    missing = [name for name in ("frame", "identity", *BOX) if name not in header]
    if missing:
        raise ConfigError(f"{path}: expected the columns frame, identity, x1, y1, x2, y2, got no {missing[0]}")
    rows = list(reader)
    xyxy = np.stack([_numbers(path, name, [row[name] for row in rows]) for name in BOX], 1)
    seen = xyxy
    if header.issuperset(VISIBLE_BOX):
        seen = np.stack([_numbers(path, name, [row[name] for row in rows]) for name in VISIBLE_BOX], 1)
    visible = np.ones(len(rows))
    if "visible" in header:
        visible = _numbers(path, "visible", [row["visible"] for row in rows])
    frames = _numbers(path, "frame", [row["frame"] for row in rows]).astype(np.int64)
    return Truth(frames, np.array([row["identity"] for row in rows], np.str_), xyxy, seen, visible >= min_visible)


def _read_mot(path: Path, min_visible: float) -> Truth:
    table = _read_mot_table(path)
    xyxy = _mot_xyxy(table)
    columns = table.shape[1]
    counted = np.ones(len(table), np.bool_)
    if columns > MOT_COLUMNS:
        counted &= table[:, 6] != 0
    if columns == MOT16_COLUMNS:
        counted &= (table[:, 7] == PEDESTRIAN) & (table[:, 8] >= min_visible)
    return Truth(table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64).astype(np.str_), xyxy, xyxy, counted)


def _read_mot_table(path: Path) -> NDArray[np.float64]:
    """The columns that all lines have, float64 (N, 6 or more)."""
    rows = [row for row in csv.reader(_lines(path)) if row]
    columns = min((len(row) for row in rows), default=MOT16_COLUMNS)
    if columns < MOT_COLUMNS:
        raise ConfigError(f"{path}: expected at least {MOT_COLUMNS} columns (MOTChallenge), got {columns}")
    return np.stack([_numbers(path, f"column {n + 1}", [row[n] for row in rows]) for n in range(columns)], 1)


def _mot_xyxy(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]])  # (N, 4)


def _numbers(path: Path, name: str, cells: Sequence[str | None]) -> NDArray[np.float64]:
    try:
        return np.array([cell or "" for cell in cells], np.str_).astype(np.float64)
    except ValueError as error:
        raise ConfigError(f"{path}: {name}: expected numbers: {error}") from error


def _refuse_twice(path: Path, frames: NDArray[np.int64], ids: NDArray[np.generic]) -> None:
    """Refuse an id that is twice in a frame: every score would silently be wrong."""
    for here, following in pairwise(sorted(zip(frames.tolist(), ids.tolist(), strict=True))):
        if here == following:
            raise ConfigError(f"{path}: identity {here[1]} is twice in frame {here[0]} (counted from 0)")
