"""A server that is asked to end does so in a bounded time, whatever its threads wait for."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

TOKEN = "a_token_of_twenty_chars"
WAIT_SECONDS = 60.0  # far more than it takes; a server that hangs would wait for ever
SERVER = """
import sys, threading
from reidpipe.pipeline.web import jobs, serve
from reidpipe.pipeline.web.api import timeline
{patch}
serve.READ_SECONDS = 0.0
serve.END_SECONDS = {end_seconds}
from reidpipe.pipeline.cli.main import main
main(["serve", "--database", sys.argv[1], "--port", "0", "--token-file", sys.argv[2], "--cache", sys.argv[3]])
"""
A_QUERY_THAT_HANGS = "timeline.run_names = lambda store: threading.Event().wait()"
A_JOB_THAT_HANGS = """
original = jobs.Jobs.__init__
def begun(self, *arguments):
    original(self, *arguments)
    self._worker.submit(threading.Event().wait)
jobs.Jobs.__init__ = begun
"""


class Server:
    """The command as a process of its own, with some of its parts replaced."""

    asked: threading.Event

    def __init__(self, path, folder, patch, end_seconds):
        (folder / "token").write_text(TOKEN)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(patch=patch, end_seconds=end_seconds), str(path),
             str(folder / "token"), str(folder / "cache")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)/", self.process.stdout.readline())[1])

    def ask(self, address, answered):
        """Ask for something, in a thread of its own; `answered` is set by the first byte, or when the server ends."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)) as client:
            client.request("GET", f"/login?token={TOKEN}")
            login = client.getresponse()
            login.read()
            client.request("GET", address, headers={"cookie": login.getheader("set-cookie").partition(";")[0]})
            self.asked.set()
            with suppress(OSError, http.client.HTTPException):
                answer = client.getresponse()
                answer.read(1)
                answered.set()
                answer.read()

    def begin(self, address, wait_for_answer):
        self.asked, answered = threading.Event(), threading.Event()
        threading.Thread(target=self.ask, args=(address, answered), daemon=True).start()
        assert self.asked.wait(WAIT_SECONDS)
        if wait_for_answer:
            assert answered.wait(WAIT_SECONDS)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.communicate(timeout=WAIT_SECONDS)[1]


@pytest.fixture
def started(path, tmp_path):
    servers = []

    def start(patch="", end_seconds=10 * WAIT_SECONDS):
        servers.append(Server(path, tmp_path, patch, end_seconds))
        return servers[-1]

    yield start
    for one in servers:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize(("patch", "address"), [
    pytest.param(A_QUERY_THAT_HANGS, "/api/session", id="query"), pytest.param(A_JOB_THAT_HANGS, "/", id="job")])
def test_what_hangs_keeps_no_server(started, patch, address):
    server = started(patch, end_seconds=1)
    server.begin(address, wait_for_answer=patch == A_JOB_THAT_HANGS)
    message = server.end(signal.SIGTERM)
    assert "still goes on" in message
    assert server.process.returncode == 128 + signal.SIGTERM


def test_neither_watched_events_nor_a_deleted_database_keep_a_server(started, path):
    server = started()
    server.begin("/api/events", wait_for_answer=True)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    server.begin("/api/timeline", wait_for_answer=True)
    assert "still goes on" not in server.end(signal.SIGTERM)
