"""Parse database addresses, connect with our settings, and turn database errors into one clear line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from ..credentials import without_credentials
from ..errors import LockedError, StoreError

ADVICE = {  # by prefix of SQLite's error name
    "SQLITE_FULL": "its disk is full: make room (what is already stored is kept)",
    "SQLITE_BUSY": "another program has locked it: close that program, or try again later",
    "SQLITE_LOCKED": "another program has locked it: close that program, or try again later",
    "SQLITE_READONLY": "it cannot be written: check the permissions of the file and its folder (readers lock, too)",
    "SQLITE_CANTOPEN": "it cannot be opened: check the permissions of the file and of its folder",
    "SQLITE_PERM": "it cannot be opened: check the permissions of the file and of its folder",
    "SQLITE_NOTADB": "it is not a database, or it is damaged: give another path, or restore a copy",
    "SQLITE_CORRUPT": "it is damaged: restore a copy, or move it away and run again",
    "SQLITE_IOERR": "its disk reports an error: check the disk and the room on it",
}

IN_MEMORY = "sqlite in memory keeps nothing: give the path of a file"


def parse_database(database: str | Path) -> URL:
    """A path (`~` is the home folder) or any SQLAlchemy URL, as a URL.

    Raises:
        StoreError: it is neither, or SQLite in memory, which keeps nothing.
    """
    if str(database) == ":memory:":
        raise StoreError(IN_MEMORY)
    if "://" not in str(database):
        return URL.create("sqlite", database=str(Path(database).expanduser()))
    try:
        url = make_url(str(database))
    except ArgumentError as error:
        raise StoreError(f"{without_credentials(str(database))}: not a path or a database URL") from error
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in (None, "", ":memory:") or url.query.get("mode") == "memory":
        raise StoreError(IN_MEMORY)
    return url.set(database=str(Path(str(url.database)).expanduser()))


def shown(url: URL) -> str:
    """The database as messages name it: the file's path, or the URL without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def file_exists(url: URL) -> bool:
    """Whether the file of an SQLite database exists.

    Raises:
        StoreError: it is a folder, or cannot be reached.
    """
    path = Path(str(url.database))
    try:
        if not path.is_dir():
            return path.exists()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: give another path") from error
    raise StoreError(f"{path} is a folder: give the path of a database file")


def require_file(url: URL, create: bool) -> None:
    """Check an SQLite path before SQLite does, which reports less; with `create`, make its folder.

    Raises:
        StoreError: the file is missing or cannot be reached, its folder cannot be made, or the path is a folder.
    """
    if url.get_backend_name() != "sqlite":
        return
    path = Path(str(url.database))
    if not file_exists(url) and not create:
        raise StoreError(f"{path}: there is no database: run the pipeline first, or give the right path")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: its folder cannot be made ({error.strerror}): give another path") from error


def make_engine(url: URL, busy_seconds: float) -> Engine:
    """Create an engine with our settings: on SQLite, foreign keys on and a wait of `busy_seconds` for locks.

    Raises:
        StoreError: the URL's kind of database is unknown, or its driver is not installed.
    """
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args={"timeout": busy_seconds} if sqlite else {})
    except (NoSuchModuleError, ImportError) as error:
        raise StoreError(f"{shown(url)}: no driver for {url.drivername}: install its package ({error})") from error
    if sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def explain(url: URL, error: SQLAlchemyError) -> StoreError:
    """One line that a user can act on, for any error of the database."""
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", "")
    for beginning, advice in ADVICE.items():
        if name.startswith(beginning):
            locked = beginning in ("SQLITE_BUSY", "SQLITE_LOCKED")
            return (LockedError if locked else StoreError)(f"{shown(url)}: {advice}")
    first_line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    if url.password:
        first_line = first_line.replace(str(url.password), "***")
    return StoreError(f"{shown(url)}: {without_credentials(first_line)}")


def use_write_ahead_log(engine: Engine) -> None:
    """Let others read while a run writes; the file keeps the setting. It concerns SQLite only."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(begin="") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def _configure_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # else the driver begins transactions late, and none for CREATE TABLE
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, a power cut loses the last second at most


def _begin_sqlite(connection: Connection) -> None:
    """Writers lock at once, because SQLite refuses a reader that becomes a writer without waiting for locks."""
    begin = connection.get_execution_options().get("begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)
