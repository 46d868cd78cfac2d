"""The migrations create the declared tables."""

from __future__ import annotations

import sqlite3

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from reidpipe.pipeline.storage.connection.revision import MIGRATIONS, VERSION_TABLE
from reidpipe.pipeline.storage.link_sets import list_link_sets
from reidpipe.pipeline.storage.queries import tracklet_rows
from reidpipe.pipeline.storage.schema import REVISION, Base
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import small_run

BACK_TO_0002 = (
    "PRAGMA foreign_keys = OFF",
    "DROP TABLE floor_plans",
    "DROP TABLE correction_tracklets",
    "DROP TABLE corrections",
    "CREATE TABLE old (id INTEGER NOT NULL, run_id INTEGER NOT NULL, number INTEGER NOT NULL, "
    "CONSTRAINT fk_identities_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE, "
    "CONSTRAINT pk_identities PRIMARY KEY (id), CONSTRAINT uq_identities_run_id_number UNIQUE (run_id, number))",
    "INSERT INTO old SELECT id, run_id, number FROM identities",
    "DROP TABLE identities",
    "ALTER TABLE old RENAME TO identities",
    "ALTER TABLE links DROP COLUMN probability",
    "DROP TABLE link_sets",
    "DROP TABLE checkpoint_parts",
    "DROP TABLE checkpoints",
    "ALTER TABLE runs DROP COLUMN inputs",
    "ALTER TABLE tracklets DROP COLUMN taken_from",
    f"UPDATE {VERSION_TABLE} SET version_num = '0002'",
)


def test_migrated_tables_equal_the_declared_ones(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_migration_is_the_declared_one():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_opening_again_changes_nothing(tmp_path):
    Store.open(tmp_path / "a.db", create=True).close()
    before = (tmp_path / "a.db").read_bytes()
    Store.open(tmp_path / "a.db", create=True).close()
    assert (tmp_path / "a.db").read_bytes() == before


def test_links_of_an_older_database_become_the_first_set(tmp_path):
    """Replacing the table of identities must not lose the rows that refer to it."""
    small_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        before = list(tracklet_rows(store))
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    for statement in BACK_TO_0002:
        connection.execute(statement)
    connection.close()
    with Store.open(tmp_path / "a.db") as store, store.reading() as connection:
        assert list(tracklet_rows(store)) == before
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert [(one.number, one.selected, one.identities) for one in list_link_sets(store)] == [(1, True, 2)]
