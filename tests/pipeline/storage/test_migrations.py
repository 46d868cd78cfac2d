"""The migrations create the declared tables."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from reidpipe.pipeline.storage.schema import REVISION, Base
from reidpipe.pipeline.storage.store import MIGRATIONS, VERSION_TABLE, Store


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
