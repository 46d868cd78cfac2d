"""The revision of a database's tables: read it, refuse what this program cannot use, and apply missing migrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, String, column, inspect, select, table

from ....reid.wording import shortened
from ...errors import StoreError
from ..schema import REVISION

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

MIGRATIONS = Path(__file__).parents[1] / "migrations"
VERSION_TABLE = "reidpipe_revision"


def tables_and_revision(connection: Connection, name: str, create: bool) -> tuple[list[str], str | None]:
    """The database's tables, and the number of the last migration; None if there are no tables yet.

    Args:
        connection: to the database.
        name: of the database, for messages.
        create: whether it may be empty.

    Raises:
        StoreError: damaged, another program's, or of a newer reidpipe; or empty, without `create`.
    """
    tables = inspect(connection).get_table_names()
    number = select(table(VERSION_TABLE, column("version_num", String)))
    revision = connection.scalar(number) if VERSION_TABLE in tables else None
    if connection.dialect.name == "sqlite":
        _refuse_programs(connection, name)
    if not tables and not create:
        raise StoreError(f"{name}: the database is empty: run the pipeline first, or give the right path")
    if tables and revision is None:
        raise StoreError(f"{name}: this database is another program's: give reidpipe one of its own")
    if revision not in (None, REVISION) and revision not in _known_revisions():
        its = shortened(str(revision))
        raise StoreError(f"{name}: written by a newer reidpipe (its tables are {its}, ours {REVISION}): "
                         "update reidpipe, or give another database")
    return tables, revision


def load_migrations() -> None:
    """Import what `migrate` needs, before it is called."""
    from alembic import command  # noqa: F401


def migrate(connection: Connection) -> None:
    """Apply all missing migrations in the transaction of a connection that enforces no foreign keys."""
    from alembic import command

    config = migrations()
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")


def migrations() -> AlembicConfig:
    """What alembic needs to know to find our migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {step.revision for step in ScriptDirectory.from_config(migrations()).walk_revisions()}


def _refuse_programs(connection: Connection, name: str) -> None:
    """Refuse views and triggers of an SQLite file: they run when tables are read or written, and may never end.

    The view `boxes` is ours, for users; this program never reads it, so it is harmless whatever it has become.
    """
    found = connection.exec_driver_sql("SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')")
    for kind, its_name in found:
        if (kind, its_name) == ("view", "boxes"):
            continue
        raise StoreError(f"{name}: it has a {kind} named {shortened(its_name)!r}, which reidpipe did not make: "
                         "restore a copy, or give reidpipe a database of its own")
