"""Export trajectories from the database as CSV, JSON, Parquet or MOTChallenge text, streamed.

One row per box, ordered by seconds, then camera, then track:

| column | meaning |
|---|---|
| identity | the person's number across all cameras of the run; empty for a tracklet without identity |
| camera, track | the camera's name, and the tracklet's number within the camera |
| time, seconds | ISO 8601 UTC to the millisecond (a UTC timestamp in Parquet), and UTC epoch seconds |
| frame | 0-based index of the frame in its camera's footage |
| x1, y1, x2, y2 | the box in pixels, stored to 1/64 pixel |
| foot_x, foot_y | the foot point: the middle of the box's lower edge, in pixels |
| floor_x, floor_y | the foot point on the floor, in metres; empty for a camera without homography |
| confidence, visible | the detector's confidence, and the share of the box that no nearer person covers |
| interpolated | 1 for a box that was not detected but fills a gap of up to a second or so; its confidence is 0 |
| similarity | the tracklet's similarity to its identity's other tracklets; empty for the first one, and by a person |
| name | that a person gave the identity; empty for those without |
| probability | that the tracklet's link to its identity is right; empty where similarity is |

The summary has one row per visit (see visits.py): identity, camera, enter_time, leave_time, enter_seconds,
leave_seconds, duration_seconds, tracks (numbers separated by spaces), observations (number of boxes), similarity (mean
over the links), entry_x, entry_y, entry_floor_x, entry_floor_y, exit_x, ...: the foot points of the first and the
last box, name, and probability (of the least sure link).

JSON is one array with an object per line.  MOTChallenge text is a folder with one file per camera, in which frames
count from 1, ids are identities, and boxes without an identity are left out.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ...reid.disk.files import Modes, make_folder, replacing
from ...reid.disk.guard import Guard, begins_with
from ..corrections.identities import identity_names
from ..errors import OutputError
from ..running.inputs import guard_of_run, modes_of_run
from ..stages.observe import foot_points, to_floor
from ..storage.queries import observation_rows
from ..storage.runs import list_cameras, run_number
from ..storage.store import Store
from ..storage.times import iso_time
from .visits import list_visits

Format = Literal["csv", "parquet", "mot", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

Kind = Literal["whole", "real", "text", "time"]  # times are UTC epoch seconds until a format writes them
Cell = int | float | str | None
Columns = dict[str, Sequence[Cell]]  # by name, all of one length

ROWS_AT_ONCE = 20_000  # some tens of MiB in memory, and a reasonable Parquet row group
MOST_LINE = 100_000  # characters; a visit's list of tracks can be long
MOT_LINE = re.compile(r"\d+,\d+(,-?\d+\.\d\d){4},\d\.\d{4},-1,-1,-1\n")
PIXEL_DIGITS, FLOOR_DIGITS, SHARE_DIGITS, SECONDS_DIGITS = 2, 3, 4, 6  # boxes are stored to 1/64 pixel

OBSERVATION_KINDS: dict[str, Kind] = {
    "identity": "whole", "camera": "text", "track": "whole", "time": "time", "seconds": "real", "frame": "whole",
    "x1": "real", "y1": "real", "x2": "real", "y2": "real", "foot_x": "real", "foot_y": "real",
    "floor_x": "real", "floor_y": "real", "confidence": "real", "visible": "real", "interpolated": "whole",
    "similarity": "real", "name": "text", "probability": "real",
}
VISIT_KINDS: dict[str, Kind] = {
    "identity": "whole", "camera": "text", "enter_time": "time", "leave_time": "time",
    "enter_seconds": "real", "leave_seconds": "real", "duration_seconds": "real",
    "tracks": "text", "observations": "whole", "similarity": "real",
    "entry_x": "real", "entry_y": "real", "entry_floor_x": "real", "entry_floor_y": "real",
    "exit_x": "real", "exit_y": "real", "exit_floor_x": "real", "exit_floor_y": "real", "name": "text",
    "probability": "real",
}

# Former and future versions begin with the same columns; other programs' tables are unlikely to.
FIRST_COLUMNS = tuple(OBSERVATION_KINDS)[:5], tuple(VISIT_KINDS)[:4]


def export_trajectories(
    store: Store,
    path: Path,
    format: Format = "csv",
    run: int | None = None,
    summary: bool = False,
    inputs: Sequence[Path] = (),
    force: bool = False,
) -> int:
    """Write a run's boxes or visits.

    Args:
        store: the database.
        path: a file, or for `mot` a folder, created if it does not exist; files are written whole or not at all.
        format: one of FORMATS.
        run: the run's number; the newest by default.
        summary: visits instead of boxes; not for `mot`.
        inputs: files that must not be replaced, beside the database and the footage and weights of its runs.
        force: replace a file that is not an earlier export, too.

    Returns:
        The number of rows.

    Raises:
        StoreError: there is no such run.
        OutputError: `path` cannot be written or must not be replaced, or `mot` was given with `summary`.
    """
    number = run_number(store, run)
    guard, modes = guard_of_run(store, number, inputs, force), modes_of_run(store, number)
    if format == "mot":
        if summary:
            raise OutputError("MOTChallenge text has boxes only, no visits: choose csv, json or parquet")
        return _write_mot(store, path, number, guard, modes)
    guard.check(path, is_export)
    floors = floor_maps(store, number)
    write = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[format]
    with replacing(path, modes) as temporary:
        if summary:
            return write(temporary, VISIT_KINDS, visit_columns(store, number, floors))
        return write(temporary, OBSERVATION_KINDS, observation_columns(store, number, floors))


def is_export(path: Path) -> bool:
    """Whether a file is a CSV, JSON or Parquet file of this module, by the columns that it begins with."""
    if begins_with(path, "PAR1"):
        import pyarrow.parquet as pq

        names = tuple(pq.read_schema(path).names)
        return any(names[: len(first)] == first for first in FIRST_COLUMNS)
    if path.stat().st_size <= len("[]\n"):
        return begins_with(path, "[]\n")
    csv_beginnings = [",".join(first) + "," for first in FIRST_COLUMNS]
    return begins_with(path, *csv_beginnings) or _is_json_export(path)


def _is_json_export(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        opening, line = file.readline(MOST_LINE), file.readline(MOST_LINE)
    first = json.loads(line.rstrip(",\n")) if opening == "[\n" else None
    return isinstance(first, dict) and any(tuple(first)[: len(names)] == names for names in FIRST_COLUMNS)


def is_mot_export(path: Path) -> bool:
    """Whether every line of a file is one of `_write_mot`: other programs write other numbers of decimals."""
    with path.open(encoding="ascii") as file:
        return all(MOT_LINE.fullmatch(line) for line in file)


def camera_stems(cameras: Iterable[str]) -> dict[str, str]:
    """A distinct, safe file name without extension for every camera: letters, digits, `_`, `-` and `.` are kept."""
    stems: dict[str, str] = {}
    for camera in cameras:
        stem = plain = re.sub(r"[^\w.-]+", "_", camera).lstrip(".") or "camera"
        count = 1
        while stem in stems.values():
            count += 1
            stem = f"{plain}_{count}"
        stems[camera] = stem
    return stems


def floor_maps(store: Store, run: int) -> dict[str, NDArray[np.float64]]:
    """Homographies from pixels to floor metres, float64 (3, 3), of the cameras that have one."""
    return {camera.camera: np.array(camera.homography, np.float64)
            for camera in list_cameras(store, run) if camera.homography is not None}


def observation_columns(
    store: Store, run: int, floors: dict[str, NDArray[np.float64]]
) -> Iterator[Columns]:
    """The boxes of a run, in tables of up to ROWS_AT_ONCE rows."""
    rows, names = observation_rows(store, run), identity_names(store, run)
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        (identity, camera, track, seconds, frame, x1, y1, x2, y2, confidence, visible, interpolated, similarity,
         probability) = zip(*chunk, strict=True)
        foot = foot_points(np.array([x1, y1, x2, y2]).T)  # (N, 2)
        floor = _on_floor(foot, camera, floors)  # (N, 2)
        yield {
            "identity": identity, "camera": camera, "track": track, "time": seconds,
            "seconds": _rounded(seconds, SECONDS_DIGITS), "frame": frame,
            "x1": _rounded(x1, PIXEL_DIGITS), "y1": _rounded(y1, PIXEL_DIGITS),
            "x2": _rounded(x2, PIXEL_DIGITS), "y2": _rounded(y2, PIXEL_DIGITS),
            "foot_x": _rounded(foot[:, 0], PIXEL_DIGITS), "foot_y": _rounded(foot[:, 1], PIXEL_DIGITS),
            "floor_x": _rounded(floor[:, 0], FLOOR_DIGITS), "floor_y": _rounded(floor[:, 1], FLOOR_DIGITS),
            "confidence": _rounded(confidence, SHARE_DIGITS), "visible": _rounded(visible, SHARE_DIGITS),
            "interpolated": [int(one) for one in interpolated],
            "similarity": _rounded(similarity, SHARE_DIGITS),
            "name": [None if one is None else names.get(one) for one in identity],
            "probability": _rounded(probability, SHARE_DIGITS),
        }


def visit_columns(store: Store, run: int, floors: dict[str, NDArray[np.float64]]) -> Iterator[Columns]:
    """The visits of a run, in one table: there are few."""
    visits, names = list_visits(store, run), identity_names(store, run)
    cameras = [visit.camera for visit in visits]
    columns: Columns = {
        "identity": [visit.identity for visit in visits], "camera": cameras,
        "enter_time": [visit.enter_seconds for visit in visits],
        "leave_time": [visit.leave_seconds for visit in visits],
        "enter_seconds": _rounded([visit.enter_seconds for visit in visits], SECONDS_DIGITS),
        "leave_seconds": _rounded([visit.leave_seconds for visit in visits], SECONDS_DIGITS),
        "duration_seconds": _rounded([visit.duration_seconds for visit in visits], SECONDS_DIGITS),
        "tracks": [" ".join(map(str, visit.tracks)) for visit in visits],
        "observations": [visit.observations for visit in visits],
        "similarity": _rounded([visit.similarity for visit in visits], SHARE_DIGITS),
        "name": [names.get(visit.identity) for visit in visits],
        "probability": _rounded([visit.probability for visit in visits], SHARE_DIGITS),
    }
    for end, points in (("entry", [visit.entry_xy for visit in visits]), ("exit", [visit.exit_xy for visit in visits])):
        foot = np.array(points, np.float64).reshape(-1, 2)  # (N, 2)
        floor = _on_floor(foot, cameras, floors)  # (N, 2)
        for axis, letter in enumerate("xy"):
            columns[f"{end}_{letter}"] = _rounded(foot[:, axis], PIXEL_DIGITS)
            columns[f"{end}_floor_{letter}"] = _rounded(floor[:, axis], FLOOR_DIGITS)
    yield {name: columns[name] for name in VISIT_KINDS}


def _on_floor(
    foot: NDArray[np.floating], cameras: Sequence[str], floors: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Foot points (N, 2) in pixels → float64 (N, 2) metres; NaN without a homography, or on the horizon."""
    floor = np.full(foot.shape, np.nan)
    named = np.array(cameras, object)
    for camera in floors.keys() & set(cameras):
        with np.errstate(divide="ignore", invalid="ignore"):
            floor[named == camera] = to_floor(foot[named == camera], floors[camera])
    floor[~np.isfinite(floor).all(1)] = np.nan
    return floor


def _rounded(values: Sequence[float | None] | NDArray[np.floating], digits: int) -> list[float | None]:
    """Rounded Python numbers, which have a short decimal form; None for NaN and None."""
    with np.errstate(over="ignore"):  # of a damaged database
        numbers = np.array(values, np.float64).round(digits)  # None becomes NaN
    return [None if math.isnan(number) else number for number in numbers.tolist()]


def _lines(kinds: dict[str, Kind], columns: Columns) -> Iterator[tuple[Cell, ...]]:
    """Rows of a table, times as text."""
    written = [
        [iso_time(seconds) for seconds in cast(Sequence[float], columns[name])] if kind == "time" else columns[name]
        for name, kind in kinds.items()]
    return zip(*written, strict=True)


def _write_csv(path: Path, kinds: dict[str, Kind], tables: Iterable[Columns]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(kinds)
        for columns in tables:
            writer.writerows(_lines(kinds, columns))
            count += len(columns["identity"])
    return count


def _write_json(path: Path, kinds: dict[str, Kind], tables: Iterable[Columns]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for columns in tables:
            for line in _lines(kinds, columns):
                file.write(",\n" if count else "[\n")
                file.write(json.dumps(dict(zip(kinds, line, strict=True)), ensure_ascii=False))
                count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def _milliseconds(seconds: Sequence[object]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore", over="ignore"):  # a damaged database may hold any number
        return (np.array(seconds, np.float64) * 1000).round().astype(np.int64)


def _write_parquet(path: Path, kinds: dict[str, Kind], tables: Iterable[Columns]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"whole": pa.int64(), "real": pa.float64(), "text": pa.string(), "time": pa.timestamp("ms", "UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for columns in tables:
            arrays = [
                pa.array(_milliseconds(columns[name]), types[kind]) if kind == "time"
                else pa.array(columns[name], types[kind])
                for name, kind in kinds.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(columns["identity"])
    return count


def _write_mot(store: Store, folder: Path, run: int, guard: Guard, modes: Modes) -> int:
    """Write one file per camera, all of them open at once because rows come in time order."""
    stems = camera_stems(camera.camera for camera in list_cameras(store, run))
    for stem in stems.values():
        guard.check(folder / f"{stem}.txt", is_mot_export)
    make_folder(folder, modes, parents=False)  # a missing parent is more likely a typing error
    count = 0
    with ExitStack() as stack:
        files = {
            camera: stack.enter_context(
                stack.enter_context(replacing(folder / f"{stem}.txt", modes)).open("w", encoding="ascii"))
            for camera, stem in stems.items()}
        for row in observation_rows(store, run):
            if row.identity is not None:
                files[row.camera].write(
                    f"{row.frame + 1},{row.identity},{row.x1:.2f},{row.y1:.2f},{row.x2 - row.x1:.2f},"
                    f"{row.y2 - row.y1:.2f},{row.confidence:.4f},-1,-1,-1\n")
                count += 1
    return count
