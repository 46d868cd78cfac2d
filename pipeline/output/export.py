"""Export trajectories from the database as CSV, JSON, Parquet or MOTChallenge text, streamed; see columns.py.

JSON is one array with an object per line.  MOTChallenge text is a folder with one file per camera, in which frames
count from 1, ids are identities, and boxes without an identity are left out.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ...reid.disk.files import Modes, make_folder, replacing
from ...reid.disk.guard import Guard, begins_with
from ..errors import OutputError
from ..running.inputs import guard_of_run, modes_of_run
from ..storage.queries import observation_rows
from ..storage.runs import list_cameras, run_number
from ..storage.store import Store
from ..storage.times import iso_time
from .camera_files import camera_stems
from .columns import OBSERVATION_KINDS, VISIT_KINDS, Cell, Columns, Kind, observation_columns, visit_columns

Format = Literal["csv", "parquet", "mot", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

MOST_LINE = 100_000  # characters; a visit's list of tracks can be long
MOT_LINE = re.compile(r"\d+,\d+(,-?\d+\.\d\d){4},\d\.\d{4},-1,-1,-1\n")
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
    write = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[format]
    with replacing(path, modes) as temporary:
        if summary:
            return write(temporary, VISIT_KINDS, visit_columns(store, number))
        return write(temporary, OBSERVATION_KINDS, observation_columns(store, number))


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
