"""Users of the review page, for its benchmarks: a server in a process of its own, and threads that open its pages."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import numpy as np

from ...errors import OutputError
from .stored_day import FIRST_SECONDS

REQUEST_SECONDS = 60.0
TOKEN_BYTES = 24
KINDS, TIMELINE, PHOTO = 10, 1, 9  # of requests
PHOTO_PATH = "/api/search/photo"
END_SECONDS = 30.0  # for which the server may take to end
USER_TIME, SYSTEM_TIME = 11, 12  # places in /proc/PID/stat after the name
MAIN = "from reidpipe.pipeline.cli.main import main; main()"


@dataclass(frozen=True, slots=True)
class Login:
    """A user's cookie and token for writing, and the photo that they search for, a JPEG file."""

    cookie: str
    csrf: str
    photo: bytes


@dataclass(slots=True)
class Times:
    """Seconds and problems of requests, by their kind."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, seconds: float, problem: str) -> None:
        """Note a request."""
        with self.lock:
            self.seconds.setdefault(what, []).append(seconds)
            if problem:
                self.errors.setdefault(what, []).append(problem)


@contextmanager
def users_at(port: int, token: str, photo: bytes, users: int, think_seconds: float) -> Iterator[Times]:
    """Users who look until the end."""
    times, stop = Times(), threading.Event()
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


def copied(path: Path, folder: Path) -> Path:
    """A copy of the day, which stays as it is, so that every benchmark begins with the same."""
    copy = folder / "day.db"
    shutil.copyfile(path, copy)
    return copy


@contextmanager
def served(path: Path) -> Iterator[tuple[int, str, int]]:
    """The page's server in a process of its own: port, token and process id; its files lie beside the database.

    Its messages go to a file: nobody reads a pipe, and a server that waits for room in one answers nobody.
    """
    folder = path.parent
    token = os.urandom(TOKEN_BYTES).hex()
    (folder / "token").write_text(token)
    command = [sys.executable, "-c", MAIN, "serve", "--database", str(path), "--port", "0", "--token-file",
               str(folder / "token"), "--cache", str(folder / "cache")]
    with (
        (folder / "server.log").open("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            line = server.stdout.readline() if server.stdout else ""
            found = re.search(r":(\d+)/", line)
            if found is None:
                log.seek(0)
                raise OutputError(f"the page's server does not start: {log.read().strip()}")
            yield int(found[1]), token, server.pid
        finally:
            server.terminate()
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _use(
    port: int, token: str, photo: bytes, number: int, think_seconds: float, stop: threading.Event, times: Times
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


def first_requests(port: int, token: str, photo: bytes) -> dict[str, float]:
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


def _people(port: int, login: Login) -> tuple[list[int], dict[str, int]]:
    """Identities of run 1, and a stored crop."""
    found = json.loads(_asked(port, "/api/timeline?run=1&limit=2000", login)[1])
    ids = [one["identity"] for one in found["identities"]]
    return ids, json.loads(_asked(port, f"/api/identities/{ids[0]}?run=1", login)[1])["tracklets"][0]["crops"][0]


def _log_in(port: int, token: str, photo: bytes) -> Login:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)) as server:
        server.request("GET", f"/login?token={token}")
        answer = server.getresponse()
        answer.read()
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        server.request("GET", "/api/session", headers={"cookie": cookie})
        return Login(cookie, json.loads(server.getresponse().read())["csrf"], photo)


def _asked(port: int, path: str, login: Login) -> tuple[int, bytes]:
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


def cpu_seconds(process: int) -> float:
    """Processor time that a process has taken, on Linux; not a number elsewhere."""
    try:
        values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(values[USER_TIME]) + int(values[SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")
