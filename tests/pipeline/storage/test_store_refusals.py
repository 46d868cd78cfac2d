"""Every refusal of the database is one clear line."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from reidpipe.pipeline.credentials import without_credentials
from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.connection.database import parse_database, shown
from reidpipe.pipeline.storage.store import Store, verify_database

from ..stored_runs import rows, small_run


def refusal(path: Path | str, create: bool = False) -> str:
    with pytest.raises(StoreError) as raised:
        Store.open(path, create=create, busy_seconds=0.2)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_missing_file_is_reported(tmp_path):
    assert "there is no database" in refusal(tmp_path / "a.db")
    assert not (tmp_path / "a.db").exists()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert "its folder cannot be made" in refusal(tmp_path / "file" / "a.db", create=True)


def test_a_name_too_long_for_a_file_is_reported(tmp_path):
    assert "File name too long" in refusal(tmp_path / ("x" * 300), create=True)


def test_the_folder_of_a_new_database_is_made(tmp_path):
    Store.open(tmp_path / "new" / "deep" / "a.db", create=True).close()
    assert (tmp_path / "new" / "deep" / "a.db").is_file()


def test_a_folder_is_refused(tmp_path):
    assert "is a folder" in refusal(tmp_path, create=True)


@pytest.mark.parametrize("create", [True, False])
def test_a_file_of_another_kind_is_refused(tmp_path, create):
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    assert f"{path}: it is not a database" in refusal(path, create)
    assert path.read_text() == "not a database " * 100


def test_a_damaged_database_is_reported(tmp_path):
    small_run(tmp_path / "a.db")
    content = bytearray((tmp_path / "a.db").read_bytes())
    content[100:] = b"\x55" * (len(content) - 100)
    (tmp_path / "a.db").write_bytes(content)
    assert "a.db: it is damaged" in refusal(tmp_path / "a.db")


def test_an_empty_file_is_refused_to_readers_and_filled_by_writers(tmp_path):
    (tmp_path / "a.db").touch()
    assert "is empty" in refusal(tmp_path / "a.db")
    Store.open(tmp_path / "a.db", create=True).close()


def test_another_programs_database_is_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("create table runs (id)")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    assert "another program's" in refusal(tmp_path / "a.db", create=True)
    assert (tmp_path / "a.db").read_bytes() == before


NEVER_ENDING = "with recursive c(id) as (select 1 union all select 1 from c) select id, id as heartbeat_at from c"


@pytest.mark.parametrize("statement", [
    f"create view runs as {NEVER_ENDING}",
    "create view more as select 1",
    "create trigger t after insert on cameras begin delete from observations; end",
])
def test_a_database_that_would_run_someones_statements_is_refused(tmp_path, statement):
    Store.open(tmp_path / "a.db", create=True).close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        if "view runs" in statement:
            connection.execute("drop table runs")
        connection.execute(statement)
    for open_database in (Store.open, verify_database):
        with pytest.raises(StoreError, match=r"it has a (view|trigger) named '(runs|more|t)', which reidpipe did not"):
            open_database(tmp_path / "a.db")


@pytest.mark.parametrize(("database", "problem"), [
    pytest.param("", "database: its name is empty: give the path of a file", id="empty"),
    pytest.param("http://host/q7", "http is no kind of database known here: give the path", id="no database"),
])
def test_what_names_no_database_is_refused(database, problem):
    with pytest.raises(StoreError) as found:
        Store.open(database, create=True)
    assert problem in str(found.value)


def test_damage_that_is_no_text_is_reported(tmp_path):
    """SQLite names the damaged part of its schema in its message, which Python cannot decode."""
    small_run(tmp_path / "a.db")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("pragma journal_mode = delete")
    content = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").write_bytes(content.replace(b"CREATE TABLE runs", b"CREATE TABL\xd2 runs"))
    for open_database in (Store.open, verify_database):
        with pytest.raises(StoreError, match=r"a\.db: it is damaged"):
            open_database(tmp_path / "a.db")


def test_a_newer_database_is_refused(tmp_path):
    small_run(tmp_path / "a.db")
    connection = sqlite3.connect(tmp_path / "a.db")
    with connection:
        connection.execute("update reidpipe_revision set version_num = '9999'")
    connection.close()
    assert "written by a newer reidpipe" in refusal(tmp_path / "a.db", create=True)


def test_a_locked_database_is_reported_when_it_is_made(tmp_path):
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("begin exclusive")
    assert "another program has locked it" in refusal(tmp_path / "a.db", create=True)
    other.close()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_an_unwritable_folder_is_reported(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert "check the permissions" in refusal(tmp_path / "a.db", create=True)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("database", "said"), [
    pytest.param("sqlite://", "keeps nothing", id="memory"),
    pytest.param(":memory:", "keeps nothing", id="memory as a path"),
    pytest.param("sqlite:///:memory:", "keeps nothing", id="memory as a file of a URL"),
    pytest.param("sqlite:///file:x?mode=memory&uri=true", "keeps nothing", id="memory with a name"),
    pytest.param("nosuch://bob:s3cret@host/x", "nosuch is no kind of database", id="unknown kind"),
    pytest.param("://bob:s3cret@host", "not a path or a database URL", id="not a URL"),
])
def test_an_invalid_address_is_refused_without_showing_credentials(database, said):
    assert said in refusal(database, create=True)
    assert "s3cret" not in refusal(database, create=True)


def test_a_path_may_start_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shown(parse_database("~/my runs/a.db")) == str(tmp_path / "my runs" / "a.db")
    assert shown(parse_database("sqlite:///~/a.db")) == str(tmp_path / "a.db")


def test_a_database_is_named_without_its_credentials():
    assert shown(parse_database("postgresql://bob:s3cret@host:5/x?sslpassword=s3cret")) == "postgresql://host:5/x"
    assert without_credentials("cannot reach http://a:b@c/d") == "cannot reach http://c/..."


def test_two_programs_can_make_the_same_database_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for store in pool.map(lambda _: Store.open(tmp_path / "a.db", create=True), range(4)):
            store.close()
    assert rows(tmp_path / "a.db", "select count(*) from reidpipe_revision") == [(1,)]
