"""Write a run to the database in one background thread that commits at least once a second."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from sqlalchemy import Connection, update

from ...errors import LockedError, StoreError
from ...types import CameraReport, Link, Observations, Tracklet
from ..schema import Camera, Run
from .checkpoints import Checkpoint, delete_checkpoints, write_checkpoint
from .corrected import apply_corrections, withdraw_corrections
from .link_rows import settle_links, write_links
from .rows import PackedTracklet, RowWriter, pack_tracklet

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 0.5  # together with the writing, at most one second of work is uncommitted
HEARTBEAT_SECONDS = 5.0
BATCH_ITEMS = 256  # larger batches save little, and waiting items cost memory
QUEUE_BYTES = 256 << 20  # some minutes of results of a dozen cameras, while another program locks the database
LOCK_SECONDS = 300.0  # a longer lock ends the run: a program that holds one for minutes hangs
RETRY_SECONDS = 0.5  # between two attempts, in addition to SQLite's own wait
WAIT_SECONDS = 0.1  # between two checks of the writing thread
ITEM_BYTES = 1000  # of memory, roughly, for an item without its arrays

Status = Literal["complete", "partial"]


@dataclass(frozen=True, slots=True)
class _Finish:
    """The last item of a run; one that has not ended can be continued from its checkpoint."""

    status: Status
    ended: bool


class _Settle:
    """All tracklets are linked."""


Item = Observations | PackedTracklet | list[Link] | CameraReport | Checkpoint | _Settle | _Finish


def _bytes(item: Item) -> int:
    """How much memory an item takes, roughly."""
    if isinstance(item, Observations):
        return ITEM_BYTES + item.xyxy.nbytes * 2
    if isinstance(item, PackedTracklet):
        appearances = sum(len(embedding) + len(mask) for _, _, embedding, mask in item.appearances)
        return ITEM_BYTES + appearances + sum(crop.image.nbytes for crop in item.crops)
    if isinstance(item, Checkpoint):
        return ITEM_BYTES + len(item.content)
    return ITEM_BYTES * (len(item) if isinstance(item, list) else 1)


class _Room:
    """A bound on the memory of waiting items."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._taken = limit_bytes, 0
        self._changed = threading.Condition()

    def take(self, size: int, timeout_seconds: float) -> bool:
        """Reserve room; False if there is none in time. An item larger than the limit waits until it is alone."""
        with self._changed:
            free = self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._limit, timeout_seconds)
            if free:
                self._taken += size
            return free

    def give_back(self, size: int) -> None:
        """Free room."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()


class RunWriter:
    """Takes a run's results from the stages and writes them in the background.

    All methods may be called from any thread; they return at once unless the database is slower than the stages. Items
    of one kind are stored in order. While another program locks the database, items wait in memory, at most
    `QUEUE_BYTES` of them, and are written when the lock ends. After a failed write, or a lock of more than
    `lock_seconds`, every call raises StoreError; what is committed is kept.
    """

    def __init__(
        self,
        writing: Callable[[], AbstractContextManager[Connection]],
        run_id: int,
        link_set_id: int,
        camera_ids: dict[str, int],
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        self.run = run_id
        self._writing = writing
        self._camera_ids, self._link_set_id = camera_ids, link_set_id
        self._rows = RowWriter(camera_ids)
        self._lock_seconds = lock_seconds
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._room = _Room(QUEUE_BYTES)
        self._error: Exception | None = None
        self._finishing = False  # no more items
        self._settling = False  # superseded links go when the run ends: its checkpoint still needs them
        self._thread = threading.Thread(target=self._work, name=f"run-{run_id}-writer", daemon=True)
        self._thread.start()

    def add_observations(self, observations: Observations) -> None:
        """Store the boxes of one analysed frame; frames without boxes too, because they count as analysed."""
        self._check_camera(observations.camera)
        self._put(observations)

    def add_tracklet(self, tracklet: Tracklet) -> None:
        """Store a finished tracklet: its appearances and its best crops. Its observations must be added before."""
        self._check_camera(tracklet.camera)
        self._put(pack_tracklet(tracklet))

    def add_links(self, links: list[Link]) -> None:
        """Store the identities of tracklets. A later link of the same tracklet replaces the earlier one."""
        for link in links:
            self._check_camera(link.camera)
        if links:
            self._put(links)

    def settle_links(self) -> None:
        """Note that all tracklets are linked: superseded links go, and people are numbered by first appearance."""
        self._put(_Settle())

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store where the run can be continued, in one transaction with the newest of the rows that were added before.

        Only a run that was started with its `inputs`, or resumed, can be continued.
        """
        self._put(checkpoint)

    def report(self, report: CameraReport) -> None:
        """Store how a camera's footage was used."""
        self._check_camera(report.camera)
        self._put(report)

    def finish(self, status: Status, ended: bool = True) -> None:
        """Wait until everything is committed, and close the run. A second call does nothing.

        Args:
            status: of the run.
            ended: whether all footage was processed; otherwise the run can be continued from its last checkpoint.

        Raises:
            StoreError: something could not be written.
            RuntimeError: the writing thread failed by a bug.
        """
        if not self._finishing:
            self._put(_Finish(status, ended))
            self._finishing = True
        self._thread.join()
        self._raise_if_failed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, first: BaseException | None, _traceback: object) -> None:
        if first is None:
            self.finish("complete")
            return
        if self._error is not None and first.__cause__ is self._error:  # nothing can be written, as the error says
            return
        try:
            self.finish("partial", ended=False)
        except (StoreError, RuntimeError) as error:  # must not hide the first error
            logger.warning("run %d could not be closed: %s", self.run, error)

    def _check_camera(self, camera: str) -> None:
        if camera not in self._camera_ids:
            raise ValueError(f"camera: expected one of {sorted(self._camera_ids)}, got {camera!r}")

    def _put(self, item: Item) -> None:
        """Queue an item; waits while the queue is full and the thread alive."""
        if self._finishing:
            raise ValueError(f"run {self.run} is finished and takes no more rows")
        self._raise_if_failed()
        while not self._room.take(_bytes(item), WAIT_SECONDS):
            self._raise_if_failed()
        self._queue.put(item)

    def _raise_if_failed(self) -> None:
        error = self._error
        if isinstance(error, StoreError):
            raise type(error)(str(error)) from error  # a new instance, because it is raised more than once
        if error is not None:
            raise RuntimeError(f"run {self.run}: its writing thread failed") from error

    def _work(self) -> None:
        """The thread: write batch after batch until the last item or the first error."""
        try:
            while self._write_unless_locked(self._next_batch()):
                pass
        except Exception as error:  # noqa: BLE001 - raised again in the thread of the run
            self._close_after_failure()  # first, so that the run is marked when its thread learns of the error
            self._error = error

    def _write_unless_locked(self, batch: list[Item]) -> bool:
        """As `_write`; while another program locks the database, try again."""
        locked_since: float | None = None
        while True:
            try:
                more = self._write(batch)
            except LockedError as error:
                self._rows = RowWriter(self._camera_ids)  # ids of rows that were rolled back are void
                if locked_since is None:
                    locked_since = time.monotonic()
                    logger.warning("%s; results are kept in memory and written when it is free", error)
                locked_seconds = time.monotonic() - locked_since
                if locked_seconds >= self._lock_seconds:
                    raise LockedError(f"{error} (locked for {locked_seconds:.0f} s, the run has ended)") from error
                time.sleep(RETRY_SECONDS)
                continue
            if locked_since is not None:
                logger.warning("the database is free again after %.0f s", time.monotonic() - locked_since)
            self._room.give_back(sum(map(_bytes, batch)))
            return more

    def _next_batch(self) -> list[Item]:
        """The items until the next commit; none if none come until the next heartbeat."""
        batch: list[Item] = []
        until = time.monotonic() + HEARTBEAT_SECONDS
        while len(batch) < BATCH_ITEMS:
            try:
                item = self._queue.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if not batch:
                until = time.monotonic() + COMMIT_SECONDS
            batch.append(item)
            if isinstance(item, Checkpoint | _Finish) or time.monotonic() >= until:
                break
        return batch

    def _write(self, batch: list[Item]) -> bool:
        """Commit a batch; False after the last. Rows are written before the rows that refer to them."""
        with self._writing() as connection:
            self._rows.write_observations(connection, [item for item in batch if isinstance(item, Observations)])
            self._rows.write_tracklets(connection, [item for item in batch if isinstance(item, PackedTracklet)])
            links = [link for item in batch if isinstance(item, list) for link in item]
            write_links(connection, self._link_set_id, self._camera_ids, links, shown=True)
            self._settling |= any(isinstance(item, _Settle) for item in batch)
            self._rows.write_reports(connection, [item for item in batch if isinstance(item, CameraReport)])
            last = batch[-1] if batch else None
            if isinstance(last, Checkpoint):
                write_checkpoint(connection, self.run, self._camera_ids, last)
            if isinstance(last, _Finish):
                if self._settling:
                    withdraw_corrections(connection, self._link_set_id)  # of an earlier part of a run that goes on
                    settle_links(connection, self._link_set_id)
                    apply_corrections(connection, self.run)
                if last.ended:
                    delete_checkpoints(connection, self.run)
                self._close(connection, last.status)
                return False
            connection.execute(update(Run).where(Run.id == self.run).values(heartbeat_at=datetime.now(UTC)))
        return True

    def _close(self, connection: Connection, status: Status) -> None:
        now = datetime.now(UTC)
        connection.execute(update(Run).where(Run.id == self.run).values(
            status=status, finished_at=now, heartbeat_at=now))
        connection.execute(update(Camera).where(
            Camera.run_id == self.run, Camera.status == "running").values(status=status))

    def _close_after_failure(self) -> None:
        """Mark the run as partial; if even this fails, the next program that opens the database does it."""
        try:
            with self._writing() as connection:
                self._close(connection, "partial")
        except StoreError as error:
            logger.debug("run %d could not be marked as partial: %s", self.run, error)
