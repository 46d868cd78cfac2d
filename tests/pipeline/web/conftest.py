"""Pages over small databases."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import people_run
from tests.pipeline.web.served import ORIGIN, TOKEN, Clock, Served, client_of
from tests.pipeline.web.small_store import small_store


@pytest.fixture(scope="session")
def footage_path(tmp_path_factory):
    """A database with real footage; no test changes it."""
    return small_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def served(footage_path, tmp_path):
    page = Served(footage_path, tmp_path)
    yield page
    page.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The database, made once: its migrations take time."""
    path = tmp_path_factory.mktemp("made") / "a.db"
    people_run(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE links SET probability = 0.7 WHERE similarity IS NOT NULL")
    return path


@pytest.fixture
def path(made, tmp_path):
    return Path(shutil.copy(made, tmp_path / "a.db"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def visitor(path, clock):
    """A browser that is not logged in."""
    with Store.open(path) as store:
        client, database = client_of(store, clock)
        yield client
        database.close()


@pytest.fixture
def browser(visitor):
    assert visitor.post("/login", content=f"token={TOKEN.replace(' ', '+')}", headers=ORIGIN).status_code == 303
    return visitor
