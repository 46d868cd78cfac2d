"""How fast the page answers: many users at once on the database of a long day, while a run writes into it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ..errors import OutputError
from ..storage.store import CameraRow, Store
from ..types import CameraReport, Crop, Link, Observations, Tracklet
from .synthetic_day import SyntheticDay, measure_run

BATCH_SECONDS = 60.0
BOX_SECONDS = 1.0  # between stored boxes of a tracklet
FIRST_SECONDS = 1_772_442_000.0  # UTC epoch
WRITTEN_FPS, WRITTEN_PEOPLE = 12.5, 5  # of each camera of the run that writes meanwhile
REQUEST_SECONDS = 60.0
TOKEN_BYTES = 24
KINDS, TIMELINE = 9, 1  # of requests
MAIN = "from reidpipe.pipeline.cli.main import main; main()"


@dataclass(frozen=True, slots=True)
class PageDay:
    """The stored day: how many tracklets of how many people in how many hours."""

    tracklets: int
    people: int
    hours: float
    seed: int


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
    """The result: of every kind of request, and frames per second that the run wrote meanwhile."""

    tracklets: int
    people: int
    database_mib: float
    users: int
    seconds: float
    routes: list[RouteTime]
    written_per_second: float


class _Span(NamedTuple):
    """A tracklet and its frames."""

    camera: str
    track: int
    first_frame: int
    last_frame: int


@dataclass(slots=True)
class _Times:
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, seconds: float, problem: str) -> None:
        """Note a request."""
        with self.lock:
            self.seconds.setdefault(what, []).append(seconds)
            if problem:
                self.errors.setdefault(what, []).append(problem)


def store_day(path: Path, database: str, truth: Path, run: int | None, day: PageDay) -> int:
    """Make a database of a synthetic day whose people look, vary and walk as those of a stored run.

    Returns:
        The number of tracklets.

    Raises:
        ConfigError: the ground truth cannot be read, or shows too few people.
        StoreError: there is no such run, or the database cannot be written.
    """
    with Store.open(database) as store:
        measured = measure_run(store, truth, run)
    synthetic = SyntheticDay(measured, day.tracklets, day.people, day.hours, 3600.0, day.seed)
    cameras = [CameraRow(name, f"{name}.mp4", 960, 540, 12.5, FIRST_SECONDS) for name in synthetic.cameras]
    rng = np.random.default_rng(day.seed)
    picture = np.asarray(cv2.GaussianBlur(rng.integers(0, 255, (128, 56, 3), np.uint8), (0, 0), 5), np.uint8)
    seen: set[int] = set()
    weights = {"appearance": {"weights": "accurate"}}
    with Store.open(path, create=True) as store, store.start_run(json.dumps(weights), cameras) as writer:
        spans = [_Span(one.camera, one.track_id, _frame(one.first_seconds), _frame(one.last_seconds))
                 for batch in synthetic.batches(BATCH_SECONDS) for one in batch]
        for name in synthetic.cameras:
            for observations in _boxes(name, [one for one in spans if one.camera == name]):
                writer.add_observations(observations)
        done = 0
        for batch in synthetic.batches(BATCH_SECONDS):
            people = synthetic.person[done:done + len(batch)].tolist()
            done += len(batch)
            links = []
            for one, person in zip(batch, people, strict=True):
                crop = Crop(
                    _frame(one.first_seconds), FIRST_SECONDS + one.first_seconds, float(rng.random()), picture)
                writer.add_tracklet(Tracklet(
                    one.camera, one.track_id, FIRST_SECONDS + one.first_seconds, FIRST_SECONDS + one.last_seconds,
                    one.observations, one.appearance, [crop], one.appearance))
                known = person in seen
                links.append(Link(
                    one.camera, one.track_id, person + 1, 0.7 if known else None, 0.5 if known else None,
                    1.0 if known else None, probability=float(rng.beta(8, 1)) if known else None))
                seen.add(person)
            writer.add_links(links)
        for name in synthetic.cameras:
            writer.report(CameraReport(name, decoded=1, analysed=1))
    return done


def _frame(seconds: float) -> int:
    return round(seconds / BOX_SECONDS)


def _boxes(camera: str, spans: list[_Span]) -> Iterator[Observations]:
    """The boxes of a camera's tracklets, by frame."""
    by_frame: dict[int, list[int]] = {}
    for one in spans:
        for frame in range(one.first_frame, one.last_frame + 1):
            by_frame.setdefault(frame, []).append(one.track)
    for frame, tracks in sorted(by_frame.items()):
        count = len(tracks)
        left = (np.array(tracks) * 97 + frame * 3) % 880  # (N,)
        xyxy = np.stack([left, np.full(count, 200), left + 60, np.full(count, 380)], 1).astype(np.float32)
        ones = np.ones(count, np.float32)
        yield Observations(camera, frame, FIRST_SECONDS + frame * BOX_SECONDS, np.array(tracks), xyxy, ones * 0.9, ones)


def benchmark_page(path: Path, users: int, seconds: float, think_seconds: float) -> PageBenchmark:
    """Let users look at run 1 of a database while another run writes into it.

    Args:
        path: the database.
        users: how many at once, each with a connection of its own.
        seconds: for how long.
        think_seconds: mean pause between two requests of a user.

    Raises:
        OutputError: the server does not start.
    """
    times = _Times()
    with tempfile.TemporaryDirectory() as folder, _server(path, Path(folder)) as (port, token):
        first = _first_requests(port, token)
        stop = threading.Event()
        written: list[int] = []
        threads = [threading.Thread(target=_write, args=(path, stop, written))] + [
            threading.Thread(target=_use, args=(port, token, number, think_seconds, stop, times))
            for number in range(users)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
    with Store.open(path) as store, store.reading() as connection:
        tracklets, people = connection.exec_driver_sql(
            "SELECT count(*), count(DISTINCT identity_id) FROM tracklets JOIN cameras ON cameras.id = camera_id "
            "WHERE run_id = 1").one()
    return PageBenchmark(
        tracklets, people, path.stat().st_size / 2**20, users, took, [
            RouteTime(what, first[what], len(own), len(times.errors.get(what, [])), *(
                1000 * float(share) for share in np.percentile(own, [50, 95, 100])))
            for what, own in sorted(times.seconds.items())],
        sum(written) / took)


@contextmanager
def _server(path: Path, folder: Path) -> Iterator[tuple[int, str]]:
    token = os.urandom(TOKEN_BYTES).hex()
    (folder / "token").write_text(token)
    command = [sys.executable, "-c", MAIN, "serve", "--database", str(path), "--port", "0", "--token-file",
               str(folder / "token"), "--cache", str(folder / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            found = re.search(r":(\d+)/", line)
            if found is None:
                raise OutputError(f"the page's server does not start: {line.strip()}")
            yield int(found[1]), token
        finally:
            server.terminate()


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


def _use(port: int, token: str, number: int, think_seconds: float, stop: threading.Event, times: _Times) -> None:
    """One user: opens pages of run 1, one after the other."""
    rng = np.random.default_rng(number)
    cookie = _log_in(port, token)
    ids, crop = _people(port, cookie)
    while not stop.wait(rng.exponential(think_seconds)):
        what, path = _request(int(rng.integers(0, KINDS)), rng, ids, crop)
        began = time.perf_counter()
        status, content = _asked(port, path, cookie)
        times.add(what, time.perf_counter() - began, "" if status == 200 else content[:200].decode())


def _first_requests(port: int, token: str) -> dict[str, float]:
    """Milliseconds of the first request of each kind, which reads the day or opens a model."""
    rng, cookie = np.random.default_rng(0), _log_in(port, token)
    began = time.perf_counter()
    ids, crop = _people(port, cookie)
    reading = time.perf_counter() - began
    found: dict[str, float] = {}
    for kind in range(KINDS):
        what, path = _request(kind, rng, ids, crop)
        began = time.perf_counter()
        _asked(port, path, cookie)
        found[what] = 1000 * (time.perf_counter() - began + (reading if kind == TIMELINE else 0.0))
    return found


def _people(port: int, cookie: str) -> tuple[list[int], dict[str, int]]:
    """Identities of run 1, and a stored crop."""
    found = json.loads(_asked(port, "/api/timeline?run=1&limit=2000", cookie)[1])
    ids = [one["identity"] for one in found["identities"]]
    return ids, json.loads(_asked(port, f"/api/identities/{ids[0]}?run=1", cookie)[1])["tracklets"][0]["crops"][0]


def _log_in(port: int, token: str) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)) as server:
        server.request("GET", f"/login?token={token}")
        answer = server.getresponse()
        answer.read()
        return (answer.getheader("set-cookie") or "").partition(";")[0]


def _asked(port: int, path: str, cookie: str) -> tuple[int, bytes]:
    """Status and content of an answer, over a new connection: the server ends those that are idle."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)) as server:
        server.request("GET", path, headers={"cookie": cookie})
        answer = server.getresponse()
        return answer.status, answer.read()


def _request(kind: int, rng: np.random.Generator, ids: list[int], crop: dict[str, int]) -> tuple[str, str]:
    identity, second = rng.choice(ids), FIRST_SECONDS + rng.uniform(0, 4 * 3600)
    return {
        0: ("first page", "/api/overview?run=1"),
        1: ("timeline, 150 rows", f"/api/timeline?run=1&sort=first&limit=150&offset={rng.integers(0, len(ids))}"),
        2: ("timeline, one hour", f"/api/timeline?run=1&sort=first&limit=150&from={second}&to={second + 3600}"),
        3: ("person", f"/api/identities/{identity}?run=1"),
        4: ("path on the floor", f"/api/identities/{identity}/path?run=1"),
        5: ("boxes of 10 s", f"/api/boxes?run=1&camera=1&from={second}&to={second + 10}"),
        6: ("portrait", f"/media/portraits/{identity}?run=1"),
        7: ("review", "/api/review?run=1"),
        8: ("search by a stored picture", f"/api/search?run=1&tracklet={crop['tracklet']}&frame={crop['frame']}"),
    }[kind]
