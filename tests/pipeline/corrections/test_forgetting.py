"""A forgotten person is in no table, and in no byte of the database's files."""

from __future__ import annotations

import sqlite3

import pytest

from reidpipe.pipeline.corrections.decisions import merge, rename
from reidpipe.pipeline.corrections.forgetting import forget
from reidpipe.pipeline.corrections.history import history
from reidpipe.pipeline.corrections.identities import list_identities
from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.relinking.relink import relink
from reidpipe.pipeline.storage.queries import observation_rows
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import DOOR_2, identities, people_run, rows

OF_DOOR_2 = "SELECT id FROM tracklets WHERE track_id = 2 AND camera_id = (SELECT id FROM cameras WHERE name = 'door')"


def bytes_of(path):
    """All files of the database: its own, and the log and index of the write-ahead log."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def secrets(path):
    """What the file holds of door 2: its pictures, embeddings, boxes as SQLite packs them, and its name."""
    found = [row[0] for row in rows(path, f"SELECT image FROM crops WHERE tracklet_id IN ({OF_DOOR_2})")]
    found += [row[0] for row in rows(path, f"SELECT embedding FROM appearances WHERE tracklet_id IN ({OF_DOOR_2})")]
    (box, *_) = rows(path, f"SELECT x1, y1, x2, y2 FROM observations WHERE tracklet_id IN ({OF_DOOR_2})")
    found.append(b"".join(one.to_bytes(2 if one < 2**15 else 3, "big") for one in box))
    return [*found, b"Zaphod Beeblebrox", b"wears a second head"]


def test_a_forgotten_person_is_in_no_byte_of_the_files(tmp_path):
    path = tmp_path / "a.db"
    people_run(path)
    with Store.open(path) as store:
        rename(store, None, 2, "Zaphod Beeblebrox", "Ada", "wears a second head")
        relink(store, None, {"max_speed": 9})  # a second set of links
        hidden = secrets(path)
        before = bytes_of(path)
        assert [one for one in hidden if one not in before] == []
        number = identities(store)[DOOR_2]
        others = sum(1 for row in observation_rows(store) if row.identity != number)
        found = forget(store, None, number, "Ada", "asked for it")
        assert (found.tracklets, found.crops) == (2, 4)
        after = bytes_of(path)
        assert [one for one in hidden if one in after] == []
        assert sum(1 for _ in observation_rows(store)) == others
    assert [one for one in hidden if one in bytes_of(path)] == []


def test_the_audit_says_that_somebody_was_forgotten_and_no_more(tmp_path):
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        rename(store, None, 2, "Zaphod", "Ada", "two heads")
        merge(store, None, 1, 3, "Ada", "same bag")
        forget(store, None, 2, "Ada", "asked for it")
        assert [(one.what, one.why) for one in history(store)] == [
            ("identity 2 is forgotten", "asked for it"), ("identity 3 is identity 1", "same bag"),
            ("identity 2 was named", "")]
        assert [one.identity for one in list_identities(store)] == [1]


def test_links_of_the_others_and_their_corrections_stay(tmp_path):
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        merge(store, None, 1, 3, "Ada")
        forget(store, None, 2, "Ada")
        assert identities(store) == {("door", 1): 1, ("hall", 1): 1, ("hall", 2): 1}
        relink(store, None, {})
        assert set(identities(store).values()) == {1}
        assert rows(tmp_path / "a.db", "PRAGMA foreign_key_check") == []


def test_a_reader_that_keeps_old_bytes_alive_is_reported(tmp_path):
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db", busy_seconds=0.1) as store:
        reader = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM crops").fetchall()
        with pytest.raises(StoreError, match="another program"):
            forget(store, None, 2, "Ada")
        reader.close()


def test_the_checkpoint_of_an_unfinished_run_goes_too(tmp_path):
    """It holds embeddings and pictures of everybody who was there."""
    path = tmp_path / "a.db"
    people_run(path)
    secret = b"an embedding in the state of the tracker"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET status = 'partial'")
        connection.execute("INSERT INTO checkpoints (run_id, seconds, newest) VALUES (1, 1.0, '{}')")
        connection.execute("INSERT INTO checkpoint_parts (run_id, number, content) VALUES (1, 0, ?)", (secret,))
    connection.close()
    with Store.open(path) as store:
        forget(store, None, identities(store)[DOOR_2], "Ada")
    assert rows(path, "SELECT count(*) FROM checkpoints") == [(0,)]
    assert secret not in bytes_of(path)
