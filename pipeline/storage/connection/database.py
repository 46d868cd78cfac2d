"""Parse database addresses, connect with our settings, and turn database errors into one clear line."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from ....reid.disk.files import OWNER, Modes, make_folder
from ....reid.disk.paths import expand_home
from ...credentials import remember_secrets, without_credentials
from ...errors import LockedError, OutputError, StoreError

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
    if "\0" in str(database):
        raise StoreError("database: a path cannot contain a NUL character: give another path")
    if not str(database):  # of a script whose variable is not set
        raise StoreError("database: its name is empty: give the path of a file")
    if str(database) == ":memory:":
        raise StoreError(IN_MEMORY)
    remember_secrets(str(database))
    if "://" not in str(database):
        return URL.create("sqlite", database=str(expand_home(database)))
    try:
        url = make_url(str(database))
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise StoreError(f"{without_credentials(str(database))}: not a path or a database URL") from error
    if url.port is not None and not 0 < url.port < 65_536:
        raise StoreError(f"{shown(url)}: there is no port {url.port}: give one from 1 to 65535")
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in (None, "", ":memory:") or url.query.get("mode") == "memory":
        raise StoreError(IN_MEMORY)
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.query:
        raise StoreError(f"{shown(url)}: an SQLite URL takes no other driver and no options: write sqlite:///PATH")
    return url.set(database=str(expand_home(str(url.database))))


def shown(url: URL) -> str:
    """The database as messages name it: the file's path, or the URL without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


def file_exists(url: URL) -> bool:
    """Whether the file of an SQLite database exists.

    Raises:
        StoreError: it is a folder or a device, or cannot be reached.
    """
    path = database_file(url) or Path()
    try:
        if path.is_dir():
            raise StoreError(f"{path} is a folder: give the path of a database file")
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is not a file: give the path of a database file")
        return path.exists()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: give another path") from error


def database_file(url: URL) -> Path | None:
    """The file of an SQLite database; None for other databases."""
    if url.get_backend_name() != "sqlite":
        return None
    name = str(url.database)
    if name.startswith("file:") and "uri" in url.query:
        return Path(unquote(urlsplit(name).path))
    return Path(name)


def require_file(url: URL, create: bool, modes: Modes = OWNER) -> None:
    """Check an SQLite path before SQLite does, which reports less; with `create`, make the file and its folder.

    SQLite would make the file with the permissions that the umask leaves; its log and journal get those of the file.

    Raises:
        StoreError: the file is missing or cannot be reached, it or its folder cannot be made, or the path is a folder.
    """
    path = database_file(url)
    if path is None or file_exists(url):
        return
    if not create:
        raise StoreError(f"{path}: there is no database: run the pipeline first, or give the right path")
    try:
        make_folder(path.parent, modes)
        handle = os.open(path, os.O_CREAT | os.O_WRONLY, OWNER.file)
        os.close(handle)
        path.chmod(modes.file)
    except OutputError as error:
        raise StoreError(f"{path}: its folder cannot be made: {error}") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be made ({error.strerror}): give another path") from error


def require_writable(url: URL) -> bool:
    """Check that an SQLite file can be written, or made; nothing stays. Returns whether there is a database.

    Raises:
        StoreError: a part of the path is no folder or cannot be written.
    """
    if url.get_backend_name() != "sqlite":
        return True
    path = Path(str(url.database))
    existing = file_exists(url)
    nearest = next(place for place in path.absolute().parents if place.exists())  # the rest will be created
    if not _takes_files(nearest) or (existing and not os.access(path, os.W_OK | os.R_OK)):
        raise StoreError(f"{path} cannot be written: check the permissions, or give another path")
    return existing


def _takes_files(folder: Path) -> bool:
    """Whether files can be made in a folder, as SQLite makes some beside its own; a trial, because modes tell root
    nothing about /proc and the like."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # without a name, where the file system can
            return True
    except OSError:
        return False


def reading_only(url: URL) -> Engine:
    """An engine that changes nothing; on SQLite, it makes no file beside the database either.

    Raises:
        StoreError: as `make_engine`.
    """
    if url.get_backend_name() != "sqlite":
        return make_engine(url, busy_seconds=0.0)
    path = Path(str(url.database)).absolute()
    # Without `immutable`, SQLite would make a -shm file; with it, it would not see what is still in the -wal file.
    busy = any(Path(f"{path}{suffix}").exists() for suffix in ("-wal", "-journal"))
    address = f"{path.as_uri()}?{'mode=ro' if busy else 'immutable=1'}"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))


def make_engine(url: URL, busy_seconds: float, read_only: bool = False) -> Engine:
    """Create an engine with our settings: on SQLite, foreign keys on and a wait of `busy_seconds` for locks.

    With `read_only`, SQLite refuses every statement that would change the database.

    Raises:
        StoreError: the URL's kind of database is unknown, or its driver is not installed.
    """
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args={"timeout": busy_seconds} if sqlite else {})
    except NoSuchModuleError as error:
        raise StoreError(f"{shown(url)}: {url.drivername} is no kind of database known here: give the path of a "
                         "file, or install its package for SQLAlchemy") from error
    except ImportError as error:
        raise StoreError(f"{shown(url)}: no driver for {url.drivername}: install its package ({error})") from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise StoreError(f"{shown(url)}: the database URL has an option that {url.drivername} does not know") from error
    if sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if read_only:
            event.listen(engine, "connect", _refuse_writes)
    return engine


def explain(url: URL, error: SQLAlchemyError | UnicodeDecodeError) -> StoreError:
    """One line that a user can act on, for any error of the database, or one whose text SQLite took from damage."""
    if isinstance(error, UnicodeDecodeError):
        return StoreError(f"{shown(url)}: {ADVICE['SQLITE_CORRUPT']}")
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", "")
    for beginning, advice in ADVICE.items():
        if name.startswith(beginning):
            locked = beginning in ("SQLITE_BUSY", "SQLITE_LOCKED")
            return (LockedError if locked else StoreError)(f"{shown(url)}: {advice}")
    first_line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return StoreError(f"{shown(url)}: {without_credentials(first_line)}")


def use_write_ahead_log(engine: Engine) -> None:
    """Let others read while a run writes; the file keeps the setting. It concerns SQLite only."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(begin="") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def compact_file(engine: Engine) -> bool:
    """Rewrite an SQLite file without the room of deleted rows, and empty its log.

    Returns whether that is complete: a program that reads keeps the former bytes of file and log until it ends.
    """
    with engine.connect().execution_options(begin="") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("VACUUM")
        return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]


def is_mostly_free(connection: Connection) -> bool:
    """Whether more than half of an SQLite file is room of deleted rows."""
    free, pages = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("freelist_count", "page_count"))
    return 2 * int(free or 0) > int(pages or 0)


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Enforce no references on an SQLite connection that is not yet in a transaction; other databases need no such."""
    if connection.dialect.name != "sqlite":
        yield
        return
    own = cast("sqlite3.Connection", connection.connection.driver_connection)
    own.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        own.execute("PRAGMA foreign_keys = ON")


def _configure_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # else the driver begins transactions late, and none for CREATE TABLE
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, a power cut loses the last second at most


def _refuse_writes(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_sqlite(connection: Connection) -> None:
    """Writers lock at once, because SQLite refuses a reader that becomes a writer without waiting for locks."""
    begin = connection.get_execution_options().get("begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)
