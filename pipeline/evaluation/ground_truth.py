"""Read ground truth: people's boxes and identities, one file per camera."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..output.export import camera_stems

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


def truth_files(folder: Path, cameras: Iterable[str]) -> dict[str, Path]:
    """The ground truth file of every camera that has one: `<camera>.csv`, else `<camera>.txt` (MOTChallenge).

    Raises:
        ConfigError: no camera has a file there.
    """
    found = {}
    for camera, stem in camera_stems(cameras).items():
        for path in (folder / f"{stem}.csv", folder / f"{stem}.txt"):
            try:
                exists = path.is_file()
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror}") from error
            if exists and camera not in found:
                found[camera] = path
    if not found:
        raise ConfigError(f"{folder}: no ground truth: expected <camera>.csv or <camera>.txt for the run's cameras")
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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            truth = _read_csv(path, file, min_visible) if path.suffix == ".csv" else _read_mot(path, file, min_visible)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return _checked(path, truth)


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


def _read_mot(path: Path, lines: Iterable[str], min_visible: float) -> Truth:
    rows = [row for row in csv.reader(lines) if row]
    columns = min((len(row) for row in rows), default=MOT16_COLUMNS)
    if columns < MOT_COLUMNS:
        raise ConfigError(f"{path}: expected at least {MOT_COLUMNS} columns (MOTChallenge), got {columns}")
    table = np.stack([_numbers(path, f"column {n + 1}", [row[n] for row in rows]) for n in range(columns)], 1)
    xyxy = np.column_stack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]])  # (N, 4)
    counted = np.ones(len(rows), np.bool_)
    if columns > MOT_COLUMNS:
        counted &= table[:, 6] != 0
    if columns == MOT16_COLUMNS:
        counted &= (table[:, 7] == PEDESTRIAN) & (table[:, 8] >= min_visible)
    identities = table[:, 1].astype(np.int64).astype(np.str_)
    return Truth(table[:, 0].astype(np.int64) - 1, identities, xyxy, xyxy, counted)


def _numbers(path: Path, name: str, cells: Sequence[str | None]) -> NDArray[np.float64]:
    try:
        return np.array([cell or "" for cell in cells], np.str_).astype(np.float64)
    except ValueError as error:
        raise ConfigError(f"{path}: {name}: expected numbers: {error}") from error


def _checked(path: Path, truth: Truth) -> Truth:
    """Refuse an identity that is twice in a frame: every score would silently be wrong."""
    for here, following in pairwise(sorted(zip(truth.frames.tolist(), truth.identities.tolist(), strict=True))):
        if here == following:
            raise ConfigError(f"{path}: identity {here[1]} is twice in frame {here[0]} (counted from 0)")
    return truth
