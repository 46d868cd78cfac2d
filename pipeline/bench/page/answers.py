"""How fast the page answers: many users at once on the database of a long day, while a run writes into it."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...storage.store import CameraRow, Store
from ...types import Observations
from .users import copied, cpu_seconds, first_requests, served, users_at

WRITTEN_FPS, WRITTEN_PEOPLE = 12.5, 5  # of each camera of the run that writes meanwhile


@dataclass(frozen=True, slots=True)
class RouteTime:
    """How long one kind of request took, in milliseconds; `first_ms` after the server's start, with one user."""

    what: str
    first_ms: float
    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True)
class PageBenchmark:
    """The result: of every kind of request, and frames per second that the run wrote meanwhile.

    `server_cores` are the processor seconds per second of the server.
    """

    tracklets: int
    people: int
    database_mib: float
    users: int
    seconds: float
    routes: list[RouteTime]
    written_per_second: float
    server_cores: float


def benchmark_page(path: Path, photo: bytes, users: int, seconds: float, think_seconds: float) -> PageBenchmark:
    """Let users look at run 1 of a database while another run writes into it.

    Args:
        path: the database, of which a copy is used.
        photo: a JPEG file with a person, for the search.
        users: how many at once, each with a connection of its own.
        seconds: for how long.
        think_seconds: mean pause between two requests of a user.

    Raises:
        OutputError: the server does not start.
    """
    with tempfile.TemporaryDirectory() as folder, served(own := copied(path, Path(folder))) as (port, token, process):
        first = first_requests(port, token, photo)
        stop = threading.Event()
        written: list[int] = []
        writer = threading.Thread(target=_write, args=(own, stop, written))
        began, cpu = time.perf_counter(), cpu_seconds(process)
        writer.start()
        with users_at(port, token, photo, users, think_seconds) as times:
            stop.wait(seconds)
        stop.set()
        writer.join()
        took = time.perf_counter() - began
        cores = (cpu_seconds(process) - cpu) / took
    with Store.open(path) as store, store.reading() as connection:
        tracklets, people = connection.exec_driver_sql(
            "SELECT count(*), count(DISTINCT identity_id) FROM tracklets JOIN cameras ON cameras.id = camera_id "
            "WHERE run_id = 1").one()
    return PageBenchmark(
        tracklets, people, path.stat().st_size / 2**20, users, took, [
            RouteTime(what, first[what], len(own), len(times.errors.get(what, [])), *(
                1000 * float(share) for share in np.percentile(own, [50, 95, 100])))
            for what, own in sorted(times.seconds.items())],
        sum(written) / took, cores)


def _write(path: Path, stop: threading.Event, written: list[int]) -> None:
    """A run of four cameras that writes in real time."""
    cameras = [CameraRow(f"live{number}", f"live{number}.mp4", 960, 540, WRITTEN_FPS, 0.0) for number in range(4)]
    with Store.open(path) as store, store.start_run("{}", cameras) as run:
        frame, began = 0, time.perf_counter()
        tracks = np.arange(WRITTEN_PEOPLE)
        ones = np.ones(WRITTEN_PEOPLE, np.float32)
        xyxy = np.tile(np.array([100, 100, 160, 280], np.float32), (WRITTEN_PEOPLE, 1))
        while not stop.wait(max(0.0, began + frame / WRITTEN_FPS - time.perf_counter())):
            for camera in cameras:
                own = tracks + 1 + WRITTEN_PEOPLE * (frame // 100)
                run.add_observations(Observations(
                    camera.name, frame, frame / WRITTEN_FPS, own, xyxy, ones * 0.9, ones))
            frame += 1
        written.append(4 * frame)
