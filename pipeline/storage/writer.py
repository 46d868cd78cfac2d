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

from ..errors import StoreError
from ..types import CameraReport, Link, Observations, Tracklet
from .rows import PackedTracklet, RowWriter, pack_tracklet
from .schema import Camera, Run

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 0.5  # together with the writing, at most one second of work is uncommitted
HEARTBEAT_SECONDS = 5.0
BATCH_ITEMS = 256  # larger batches save little, and waiting items cost memory
QUEUE_ITEMS = 128
WAIT_SECONDS = 0.1  # between two checks of the writing thread

Status = Literal["complete", "partial"]


@dataclass(frozen=True, slots=True)
class _Finish:
    """The last item of a run."""

    status: Status


Item = Observations | PackedTracklet | list[Link] | CameraReport | _Finish


class RunWriter:
    """Takes a run's results from the stages and writes them in the background.

    All methods may be called from any thread; they return at once unless the database is slower than the stages. Items
    of one kind are stored in order. After a failed write every call raises StoreError; what is committed is kept.
    """

    def __init__(
        self,
        writing: Callable[[], AbstractContextManager[Connection]],
        run_id: int,
        camera_ids: dict[str, int],
    ) -> None:
        self.run = run_id
        self._writing = writing
        self._camera_ids = camera_ids
        self._rows = RowWriter(run_id, camera_ids)
        self._queue: queue.Queue[Item] = queue.Queue(QUEUE_ITEMS)
        self._error: StoreError | None = None
        self._finishing = False  # no more items
        self._complete = False  # all items are committed
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

    def report(self, report: CameraReport) -> None:
        """Store how a camera's footage was used."""
        self._check_camera(report.camera)
        self._put(report)

    def finish(self, status: Status) -> None:
        """Wait until everything is committed, and close the run. A second call does nothing.

        Raises:
            StoreError: something could not be written.
        """
        if not self._finishing:
            self._put(_Finish(status))
            self._finishing = True
        self._thread.join()
        self._raise_if_failed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_details: object) -> None:
        if kind is None:
            self.finish("complete")
            return
        try:
            self.finish("partial")
        except StoreError as error:  # must not hide the first error
            logger.warning("run %d could not be closed: %s", self.run, error)

    def _check_camera(self, camera: str) -> None:
        if camera not in self._camera_ids:
            raise ValueError(f"camera: expected one of {sorted(self._camera_ids)}, got {camera!r}")

    def _put(self, item: Item) -> None:
        """Queue an item; waits while the queue is full and the thread alive."""
        if self._finishing:
            raise ValueError(f"run {self.run} is finished and takes no more rows")
        while True:
            self._raise_if_failed()
            try:
                self._queue.put(item, timeout=WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            raise StoreError(str(self._error)) from self._error  # a new instance, because it is raised more than once
        if not self._thread.is_alive() and not self._complete:
            raise StoreError(f"run {self.run}: its writing thread failed; see the log")

    def _work(self) -> None:
        """The thread: write batch after batch until the last item or the first error."""
        try:
            while self._write(self._next_batch()):
                pass
            self._complete = True
        except StoreError as error:
            self._error = error
        finally:
            if not self._complete:  # also after an unexpected error, which Python's thread hook reports
                self._close_after_failure()

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
            if isinstance(item, _Finish) or time.monotonic() >= until:
                break
        return batch

    def _write(self, batch: list[Item]) -> bool:
        """Commit a batch; False after the last. Rows are written before the rows that refer to them."""
        with self._writing() as connection:
            self._rows.write_observations(connection, [item for item in batch if isinstance(item, Observations)])
            self._rows.write_tracklets(connection, [item for item in batch if isinstance(item, PackedTracklet)])
            self._rows.write_links(connection, [link for item in batch if isinstance(item, list) for link in item])
            self._rows.write_reports(connection, [item for item in batch if isinstance(item, CameraReport)])
            if batch and isinstance(batch[-1], _Finish):
                self._close(connection, batch[-1].status)
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
            logger.warning("run %d could not be marked as partial: %s", self.run, error)
