"""Open the database, migrate it, begin runs, and close the runs of processes that died."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self, cast

from sqlalchemy import URL, Connection, Engine, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ...reid.disk.files import OWNER, Modes
from ..credentials import config_without_credentials
from ..errors import ReidpipeError, StoreError
from ..types import FloorPlan
from .connection.damage import find_damage
from .connection.database import (
    compact_file,
    database_file,
    explain,
    foreign_keys_off,
    is_mostly_free,
    make_engine,
    parse_database,
    reading_only,
    require_file,
    require_writable,
    shown,
    use_write_ahead_log,
)
from .connection.revision import load_migrations, migrate, tables_and_revision
from .floor_plans import write_floor_plan
from .schema import REVISION, Camera, Run
from .writing.checkpoints import Checkpoint, read_checkpoint, wind_back, write_checkpoint
from .writing.link_rows import new_link_set
from .writing.processes import PROCESS, close_runs, require_no_run, unfinished_runs
from .writing.rows import insert_row
from .writing.writer import LOCK_SECONDS, RunWriter

logger = logging.getLogger(__name__)

BUSY_SECONDS = 10.0  # how long to wait for another program's lock


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A camera at the start of a run.

    Attributes:
        name: unique within the run.
        source: path or address; credentials in it are not stored.
        width, height: of the image, in pixels.
        fps: frames per second of the footage.
        start_seconds: UTC epoch seconds of the first frame.
        homography: 3x3, from image pixels to the floor in metres; None if unknown.
    """

    name: str
    source: str
    width: int
    height: int
    fps: float
    start_seconds: float
    homography: list[list[float]] | None = None


class Store:
    """One open database; use it as a context manager, or call close().

    Attributes:
        name: the database as messages name it.
        file: of SQLite; None for other databases.
    """

    def __init__(self, url: URL, engine: Engine) -> None:
        self.name = shown(url)
        self.file = database_file(url)
        self._url = url
        self._engine = engine

    @classmethod
    def open(
        cls,
        database: str | Path,
        create: bool = False,
        busy_seconds: float = BUSY_SECONDS,
        modes: Modes = OWNER,
    ) -> Self:
        """Open a database, migrate its tables, and close runs whose process has died.

        Args:
            database: an SQLite file, or any SQLAlchemy URL.
            create: create the file and its tables if there are none.
            busy_seconds: how long to wait for another program's lock.
            modes: permissions of the file and its folder, if they are created.

        Raises:
            StoreError: missing, locked, damaged, not writable, another program's, or of a newer reidpipe.
        """
        url = parse_database(database)
        require_file(url, create, modes)
        store = cls(url, make_engine(url, busy_seconds))
        try:
            with store.explaining_damage():
                store._bring_up_to_date(create)
                store._close_dead_runs()
        except BaseException:
            store.close()
            raise
        return store

    def read_only(self) -> Store:
        """The same database through connections that cannot write (on SQLite); close it, too."""
        return Store(self._url, make_engine(self._url, BUSY_SECONDS, read_only=True))

    def start_run(
        self,
        config_json: str,
        cameras: list[CameraRow],
        lock_seconds: float = LOCK_SECONDS,
        inputs: str | None = None,
        plan: FloorPlan | None = None,
    ) -> RunWriter:
        """Begin a run; everything else goes through its writer.

        Args:
            config_json: the whole config; credentials in it are not stored.
            cameras: in the order in which results list them.
            lock_seconds: longest lock by another program that the run survives.
            inputs: JSON, what its results depend on, without credentials; without it, it cannot be continued when it
                breaks off.
            plan: picture of the floor, for the review page.

        Raises:
            StoreError: another run is writing to the database, or it cannot be written.
        """
        now = datetime.now(UTC)
        camera_ids: dict[str, int] = {}
        config = cast("dict[str, object]", config_without_credentials(json.loads(config_json)))
        with self.writing() as connection:
            require_no_run(connection, self.name)
            run_id = insert_row(connection, insert(Run).values(
                started_at=now, heartbeat_at=now, status="running", version=version("reidpipe"),
                config=json.dumps(config), writer=PROCESS, inputs=inputs))
            link_set_id = new_link_set(connection, run_id, json.dumps(config.get("linking", {})))
            for camera in cameras:
                camera_ids[camera.name] = insert_row(connection, insert(Camera).values(
                    run_id=run_id, name=camera.name, source=config_without_credentials(camera.source),
                    width=camera.width, height=camera.height, fps=camera.fps,
                    start_seconds=camera.start_seconds,
                    homography=None if camera.homography is None else json.dumps(camera.homography),
                    decoded=0, analysed=0, thinned=0, dropped=0, damaged=0, status="running", error=""))
            if plan is not None:
                write_floor_plan(connection, run_id, plan)
            if inputs is not None:
                write_checkpoint(connection, run_id, camera_ids, Checkpoint(None, b""))
        return RunWriter(self.writing, run_id, link_set_id, camera_ids, lock_seconds)

    def resume_run(self, run: int, lock_seconds: float = LOCK_SECONDS) -> tuple[RunWriter, bytes]:
        """Continue a run from its checkpoint: all that was stored after it is deleted.

        Args:
            run: its number.
            lock_seconds: as of `start_run`.

        Returns:
            The run's writer, and the content of its checkpoint; nothing if it broke off before its first one.

        Raises:
            StoreError: it has no checkpoint, another run is writing to the database, or it cannot be written.
        """
        with self.writing() as connection:
            require_no_run(connection, self.name)
            content = read_checkpoint(connection, run)
            if content is None:
                raise StoreError(f"{self.name}: run {run} has ended or keeps no checkpoint: run without --resume")
            cameras = connection.execute(select(Camera.name, Camera.id).where(Camera.run_id == run))
            camera_ids = {name: row_id for name, row_id in cameras}  # noqa: C416 - rows are no tuples to the type checker
            link_set_id = wind_back(connection, run, camera_ids)
            connection.execute(update(Run).where(Run.id == run).values(
                status="running", finished_at=None, heartbeat_at=datetime.now(UTC), writer=PROCESS))
        return RunWriter(self.writing, run, link_set_id, camera_ids, lock_seconds), content

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading one snapshot; its errors are raised as StoreError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            raise explain(self._url, error) from error

    @contextmanager
    def writing(self, foreign_keys: bool = True) -> Iterator[Connection]:
        """A connection in a transaction, committed at the end; errors roll it back and are raised as StoreError.

        Without foreign keys, a migration can replace a table without losing the rows that refer to it.
        """
        try:
            with (
                self._engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
                nullcontext() if foreign_keys else foreign_keys_off(connection),
                connection.begin(),
            ):
                yield connection
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            raise explain(self._url, error) from error

    @contextmanager
    def explaining_damage(self) -> Iterator[None]:
        """Raise errors of the block as StoreError if the database holds what this program never wrote."""
        try:
            yield
        except ReidpipeError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno != errno.EOVERFLOW:  # a time beyond the calendar is one, too
                raise
            with self.reading() as connection:
                problem = find_damage(connection)
            if problem:
                raise StoreError(f"{self.name}: it is damaged: {problem}: restore a copy, or move it away") from error
            raise

    def compact(self, completely: bool = False) -> int:
        """Give the room of deleted rows back to the file system; returns how many bytes (0 if it is not SQLite).

        Args:
            completely: raise if bytes of deleted rows stay in the file or its log for now.

        Raises:
            StoreError: another program uses the database, or the disk has no room for the copy that SQLite makes.
        """
        if self.file is None:
            return 0
        before = self.file.stat().st_size
        try:
            is_complete = compact_file(self._engine)
        except SQLAlchemyError as error:
            raise explain(self._url, error) from error
        if completely and not is_complete:
            raise StoreError(f"{self.name}: the rows are deleted, but while another program reads it, the file still "
                             "holds their bytes: close that program, and run `reidpipe prune --crops 36500`")
        return max(0, before - self.file.stat().st_size)

    def is_mostly_free(self) -> bool:
        """Whether more than half of an SQLite file is room of deleted rows."""
        if self.file is None:
            return False
        with self.reading() as connection:
            return is_mostly_free(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _bring_up_to_date(self, create: bool) -> None:
        with self.reading() as connection:
            tables, revision = tables_and_revision(connection, self.name, create)
        if revision == REVISION:
            return
        if not tables:
            self._use_write_ahead_log()
        with self.writing(foreign_keys=False) as connection:
            migrate(connection)

    def _use_write_ahead_log(self) -> None:
        try:
            use_write_ahead_log(self._engine)
        except SQLAlchemyError as error:
            raise explain(self._url, error) from error

    def _close_dead_runs(self) -> None:
        """Mark the runs of killed processes as `partial`, ended at their last heartbeat."""
        with self.reading() as connection:
            dead = unfinished_runs(connection, self.name)
        if not dead:
            return
        try:
            with self.writing() as connection:
                close_runs(connection, dead)
        except StoreError as error:  # a read-only copy can still be read
            logger.debug("runs %s stay open: %s", dead, error)
        else:
            logger.warning("%s: run %s was cut off before its end; what it stored until then is kept, as partial",
                           self.name, ", ".join(map(str, dead)))


def verify_database(database: str | Path) -> None:
    """Check that a run could write to a database, as opening it does; nothing is made or changed.

    If there is none yet, what makes its tables is loaded: it takes a fifth of a second, here beside other preparations.

    Raises:
        StoreError: as `Store.open` with `create`, as far as this shows without writing.
    """
    url = parse_database(database)
    if not require_writable(url):
        load_migrations()
        return
    with Store(url, reading_only(url)) as store, store.reading() as connection:
        _, revision = tables_and_revision(connection, store.name, create=True)
        if revision == REVISION:
            unfinished_runs(connection, store.name)  # reads the tables of which a damaged file may have lost pages
            require_no_run(connection, store.name)
