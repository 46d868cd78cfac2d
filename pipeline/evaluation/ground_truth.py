"""What should have been seen?  Ground truth, one file per camera."""

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
MOT16_COLUMNS = 9  # ... confidence, class, visibility; with ten columns the last three are a place in the world
PEDESTRIAN = 1  # MOT16's class of people on foot


@dataclass(frozen=True, slots=True)
class Truth:
    """The people of one camera, row by row.

    Attributes:
        frames: int64 (N,), 0-based.
        identities: str (N,), the same in all cameras; nobody twice in a frame.
        xyxy: float64 (N, 4) pixels, the whole person.
        visible_xyxy: float64 (N, 4) pixels, what is seen of them; equal to xyxy where unknown.
        demanded: bool (N,); False where a row is hidden too much, or marked, to be asked for.
    """

    frames: NDArray[np.int64]
    identities: NDArray[np.str_]
    xyxy: NDArray[np.float64]
    visible_xyxy: NDArray[np.float64]
    demanded: NDArray[np.bool_]


def truth_files(folder: Path, cameras: Iterable[str]) -> dict[str, Path]:
    """The truth of every camera that has one: `<camera>.csv`, else `<camera>.txt` (MOTChallenge).

    Raises:
        ConfigError: not one camera has a file there.
    """
    found = {}
    for camera, stem in camera_stems(cameras).items():
        for path in (folder / f"{stem}.csv", folder / f"{stem}.txt"):
            if camera not in found and path.is_file():
                found[camera] = path
    if not found:
        raise ConfigError(f"{folder}: no ground truth: expected <camera>.csv or <camera>.txt for the run's cameras")
    return found


def read_truth(path: Path, min_visible: float) -> Truth:
    """Read a truth file.

    `.csv` has a header with at least frame (0-based), identity, x1, y1, x2, y2, and may have visible_x1 to
    visible_y2 and visible.  Anything else is MOTChallenge text: frame (1-based), id, left, top, width, height,
    confidence (0: not demanded), and with nine columns class (not 1: not demanded) and visibility.

    Args:
        min_visible: rows of whom a smaller share is visible are not demanded.

    Raises:
        ConfigError: the file cannot be read, or does not say what it should.
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
    demanded = np.ones(len(rows), np.bool_)
    if columns > MOT_COLUMNS:
        demanded &= table[:, 6] != 0
    if columns == MOT16_COLUMNS:
        demanded &= (table[:, 7] == PEDESTRIAN) & (table[:, 8] >= min_visible)
    identities = table[:, 1].astype(np.int64).astype(np.str_)
    return Truth(table[:, 0].astype(np.int64) - 1, identities, xyxy, xyxy, demanded)


def _numbers(path: Path, name: str, cells: Sequence[str | None]) -> NDArray[np.float64]:
    try:
        return np.array([cell or "" for cell in cells], np.str_).astype(np.float64)
    except ValueError as error:
        raise ConfigError(f"{path}: {name}: expected numbers: {error}") from error


def _checked(path: Path, truth: Truth) -> Truth:
    """A person who is twice in a frame would make every score wrong without a word."""
    for here, following in pairwise(sorted(zip(truth.frames.tolist(), truth.identities.tolist(), strict=True))):
        if here == following:
            raise ConfigError(f"{path}: identity {here[1]} is twice in frame {here[0]} (counted from 0)")
    return truth
