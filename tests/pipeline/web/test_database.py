"""Many read at once, one corrects alone."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.database import Database


def test_a_read_waits_for_no_other_read_but_a_correction_waits_for_all(path):
    with Store.open(path) as store:
        database, order = Database(store), []
        both = threading.Barrier(2, timeout=10)

        def read():
            with database.reading():
                both.wait()  # passes only if both are in at once
                order.append("read")

        def correct():
            with database.correcting():
                order.append("correction")

        readers = [threading.Thread(target=read) for _ in range(2)]
        with database.reading():
            writer = threading.Thread(target=correct)
            for one in readers:
                one.start()
            for one in readers:
                one.join(10)
            writer.start()
            time.sleep(0.05)
            assert order == ["read", "read"]
        writer.join(10)
        assert order == ["read", "read", "correction"]
        database.close()


def test_reading_connections_cannot_write(path):
    with Store.open(path) as store, store.read_only() as reader:
        with pytest.raises(StoreError, match="cannot be written"), reader.writing() as connection:
            connection.exec_driver_sql("DELETE FROM identities")
        with reader.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM identities").scalar_one() == 3
