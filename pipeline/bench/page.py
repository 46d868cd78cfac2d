"""How fast the page answers: many users at once on the database of a long day, while a run writes into it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import numpy as np
import yaml

from ..config.loader import load_config
from ..errors import OutputError, SourceError
from ..storage.store import CameraRow, Store
from ..types import Observations
from .page_day import FIRST_SECONDS

WRITTEN_FPS, WRITTEN_PEOPLE = 12.5, 5  # of each camera of the run that writes meanwhile
REQUEST_SECONDS = 60.0
TOKEN_BYTES = 24
KINDS, TIMELINE, PHOTO = 10, 1, 9  # of requests
PHOTO_PATH = "/api/search/photo"
MAIN = "from reidpipe.pipeline.cli.main import main; main()"


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


@dataclass(frozen=True, slots=True)
class RunSpeed:
    """Frames per second of a whole run into the same database, of each round alone and with users at the page."""

    alone: list[float]
    watched: list[float]

    @property
    def share(self) -> float:
        """How fast a run with users is, of one without, by the medians."""
        return float(np.median(self.watched) / np.median(self.alone))


@dataclass(frozen=True, slots=True)
class _Login:
    """A user's cookie and token for writing, and the photo that they search for, a JPEG file."""

    cookie: str
    csrf: str
    photo: bytes


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
    with tempfile.TemporaryDirectory() as folder, _server(own := _copied(path, Path(folder))) as (port, token):
        first = _first_requests(port, token, photo)
        stop = threading.Event()
        written: list[int] = []
        writer = threading.Thread(target=_write, args=(own, stop, written))
        began = time.perf_counter()
        writer.start()
        with _users(port, token, photo, users, think_seconds) as times:
            stop.wait(seconds)
        stop.set()
        writer.join()
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


def benchmark_run(
    path: Path, config_path: Path, photo: bytes, users: int, think_seconds: float, rounds: int
) -> RunSpeed:
    """Run a config into a database, alone and with users at the page of run 1, in turns.

    Args:
        path: the database, of which a copy is used.
        config_path: the config; its own database is not used.
        photo, users, think_seconds: as of `benchmark_page`.
        rounds: runs of each kind.

    Raises:
        ConfigError: the config has mistakes.
        OutputError: the server does not start.
        SourceError: a run fails.
    """
    found = RunSpeed([], [])
    with tempfile.TemporaryDirectory() as folder:
        day, own = _copied(path, Path(folder)), Path(folder) / "config.yaml"
        config = load_config(config_path).model_copy(update={"database": str(day)})
        own.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
        for _ in range(rounds):
            found.alone.append(_run_fps(own))
            with _server(day) as (port, token):
                _first_requests(port, token, photo)
                with _users(port, token, photo, users, think_seconds):
                    found.watched.append(_run_fps(own))
    return found


def _run_fps(config: Path) -> float:
    """Frames per second of a run, over all cameras."""
    command = [sys.executable, "-c", MAIN, "run", "--cameras", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(f"the run for the benchmark fails: {done.stderr.strip()}")
    outcome = json.loads(done.stdout)
    return float(sum(one["analysed"] for one in outcome["cameras"]) / outcome["seconds"])


@contextmanager
def _users(port: int, token: str, photo: bytes, users: int, think_seconds: float) -> Iterator[_Times]:
    """Users who look until the end."""
    times, stop = _Times(), threading.Event()
    threads = [
        threading.Thread(target=_use, args=(port, token, photo, number, think_seconds, stop, times))
        for number in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield times
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _copied(path: Path, folder: Path) -> Path:
    """A copy of the day, which stays as it is, so that every benchmark begins with the same."""
    copy = folder / "day.db"
    shutil.copyfile(path, copy)
    return copy


@contextmanager
def _server(path: Path) -> Iterator[tuple[int, str]]:
    """The page's server in a process of its own; files of its own lie beside the database."""
    folder = path.parent
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


def _use(
    port: int, token: str, photo: bytes, number: int, think_seconds: float, stop: threading.Event, times: _Times
) -> None:
    """One user: opens pages of run 1, one after the other."""
    rng = np.random.default_rng(number)
    login = _log_in(port, token, photo)
    ids, crop = _people(port, login)
    while not stop.wait(rng.exponential(think_seconds)):
        what, path = _request(int(rng.integers(0, KINDS)), rng, ids, crop)
        began = time.perf_counter()
        try:
            status, content = _asked(port, path, login)
        except OSError as error:  # no answer within REQUEST_SECONDS, on a machine that has too much to do
            status, content = 0, str(error).encode()
        times.add(what, time.perf_counter() - began, "" if status == HTTPStatus.OK else content[:200].decode())


def _first_requests(port: int, token: str, photo: bytes) -> dict[str, float]:
    """Milliseconds of the first request of each kind, which reads the day or opens a model."""
    rng, login = np.random.default_rng(0), _log_in(port, token, photo)
    began = time.perf_counter()
    ids, crop = _people(port, login)
    reading = time.perf_counter() - began
    found: dict[str, float] = {}
    for kind in range(KINDS):
        what, path = _request(kind, rng, ids, crop)
        began = time.perf_counter()
        _asked(port, path, login)
        found[what] = 1000 * (time.perf_counter() - began + (reading if kind == TIMELINE else 0.0))
    return found


def _people(port: int, login: _Login) -> tuple[list[int], dict[str, int]]:
    """Identities of run 1, and a stored crop."""
    found = json.loads(_asked(port, "/api/timeline?run=1&limit=2000", login)[1])
    ids = [one["identity"] for one in found["identities"]]
    return ids, json.loads(_asked(port, f"/api/identities/{ids[0]}?run=1", login)[1])["tracklets"][0]["crops"][0]


def _log_in(port: int, token: str, photo: bytes) -> _Login:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)) as server:
        server.request("GET", f"/login?token={token}")
        answer = server.getresponse()
        answer.read()
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        server.request("GET", "/api/session", headers={"cookie": cookie})
        return _Login(cookie, json.loads(server.getresponse().read())["csrf"], photo)


def _asked(port: int, path: str, login: _Login) -> tuple[int, bytes]:
    """Status and content of an answer, over a new connection: the server ends those that are idle."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)) as server:
        if path == PHOTO_PATH:  # the upload, and the search that follows it
            origin = f"http://127.0.0.1:{port}"
            server.request("POST", path, login.photo, {
                "cookie": login.cookie, "origin": origin, "x-csrf-token": login.csrf, "content-type": "image/jpeg"})
            answer = server.getresponse()
            content = answer.read()
            if answer.status != HTTPStatus.OK:
                return answer.status, content
            path = f"/api/search?run=1&photo={json.loads(content)['photo']}&person=0"
        server.request("GET", path, headers={"cookie": login.cookie})
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
        PHOTO: ("search by a photo", PHOTO_PATH),
    }[kind]
