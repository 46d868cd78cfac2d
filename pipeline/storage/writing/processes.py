"""The processes that write runs: which runs are being written, and which have lost their process."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select, update

from ...errors import StoreError
from ..schema import Camera, Run

DEAD_AFTER = timedelta(seconds=60)  # writers send a heartbeat every few seconds; a slow lock may delay it
PROCESS = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"  # process ids are reused, in containers at once


def require_no_run(connection: Connection, name: str) -> None:
    """Check that no run is writing to the database; inside a transaction that writes, none can begin either.

    Args:
        connection: to the database.
        name: of the database, for the message.

    Raises:
        StoreError: one is.
    """
    running = connection.execute(
        select(Run.id, Run.writer, Run.heartbeat_at).where(Run.status == "running").order_by(Run.id))
    for run, writer, heartbeat_at in running:
        if is_alive(writer, heartbeat_at):
            host, process, _ = writer.rsplit(":", 2)
            raise StoreError(f"{name}: run {run} is writing to it (process {process} on {host}): wait until "
                             "it has ended, stop it, or use another database")


def unfinished_runs(connection: Connection, name: str) -> list[int]:
    """Numbers of the runs that are marked as running although their process has died.

    Args:
        connection: to the database.
        name: of the database, for the message.

    Raises:
        StoreError: the database is damaged.
    """
    try:
        running = connection.execute(
            select(Run.id, Run.writer, Run.heartbeat_at).where(Run.status == "running")).all()
        return [row.id for row in running if not is_alive(row.writer, row.heartbeat_at)]
    except (ValueError, TypeError) as error:  # a time or a writer that this program would not have stored
        raise StoreError(f"{name}: it is damaged: restore a copy, or move it away and run again") from error


def close_runs(connection: Connection, runs: list[int]) -> None:
    """Mark runs as `partial`, ended at their last heartbeat."""
    connection.execute(update(Run).where(Run.id.in_(runs), Run.status == "running").values(
        status="partial", finished_at=Run.heartbeat_at))
    connection.execute(update(Camera).where(
        Camera.run_id.in_(runs), Camera.status == "running").values(status="partial"))


def is_alive(writer: str, heartbeat_at: datetime) -> bool:
    """Whether the process that writes a run is still alive.

    Args:
        writer: PROCESS of the process that began the run, `host:process id:random`.
        heartbeat_at: its last heartbeat.
    """
    if writer == PROCESS:
        return True
    host, process, _ = writer.rsplit(":", 2)
    own_host, own_process, _ = PROCESS.rsplit(":", 2)
    if host == own_host and (process == own_process or not _exists(int(process))):
        return False
    return datetime.now(UTC) - heartbeat_at < DEAD_AFTER


def _exists(process: int) -> bool:
    """Whether this machine runs a process with this id; True if that cannot be determined."""
    if os.name != "posix":
        return True  # elsewhere, signal 0 is Ctrl-C instead of a test
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
