"""What ends a run from outside, in a process of its own: signals, a closed terminal, crashing and hanging decoders."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..media import write_video
from ..stored_runs import rows

PROGRAM = [sys.executable, "-c", "from reidpipe.pipeline.cli.main import main; main()"]


def _some_rows(database):
    if not database.exists():
        return False
    try:
        return bool(rows(database, "select 1 from observations limit 1"))
    except sqlite3.OperationalError:  # the tables do not exist yet
        return False


@contextmanager
def started(config, database, **options):
    """A run in another process that has stored its first rows."""
    process = subprocess.Popen(
        [*PROGRAM, "run", "--cameras", str(config), "--json"],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options})
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _some_rows(database):
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def children(process):
    """(process id, parent) of all processes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found.append((int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])))
            except OSError:  # it has ended
                continue
    return sorted(one for one, parent in found if parent == process)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(("number", "words"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGSTOP, "no progress for 2 s")])
def test_a_crash_or_a_hang_in_a_decoder_ends_one_camera_and_the_rest_is_saved(store, tmp_path, number, words):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", 250, size=(160, 120))
    config = store({"a": {"source": "a.mp4"}, "b": {"source": "b.mp4"}}, sources={"stall_seconds": 2})
    with started(config, tmp_path / "people.db") as process:
        (server,) = children(process.pid)
        os.kill(children(server)[0], number)
        out, messages = process.communicate(timeout=60)
    assert process.returncode == 3, messages
    assert "Traceback" not in messages
    assert words in messages.splitlines()[-1]
    reports = {one["camera"]: one for one in json.loads(out)["cameras"]}
    assert sorted(one["status"] for one in reports.values()) == ["complete", "partial"]
    assert {one["analysed"] for one in reports.values() if one["status"] == "complete"} == {250}
    stored = dict(rows(tmp_path / "people.db", "select name, count(*) from frames f join cameras c on c.id = camera_id "
                                               "group by 1"))
    assert stored == {name: one["analysed"] for name, one in reports.items()}
    assert rows(tmp_path / "people.db", "select status from runs") == [("partial",)]
    assert children(server) == [], "no decoder stays behind"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_shuts_down_cleanly(store, tmp_path, number):
    write_video(tmp_path / "long.mp4", 2000, size=(160, 120))
    with started(store({"long": {"source": "long.mp4"}}), tmp_path / "people.db") as process:
        process.send_signal(number)
        out, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    (camera,) = json.loads(out)["cameras"]
    assert 0 < camera["analysed"] < 2000
    assert rows(tmp_path / "people.db", "select status from runs") == [("partial",)]


def test_a_closed_terminal_shuts_down_cleanly(store, tmp_path):
    """The terminal is gone when results are printed; this must not end the saving."""
    write_video(tmp_path / "long.mp4", 2000, size=(160, 120))
    config = store({"long": {"source": "long.mp4"}})
    ours, theirs = pty.openpty()
    with started(config, tmp_path / "people.db", stdout=theirs, stderr=theirs, stdin=theirs,
                 start_new_session=True) as process:
        os.close(theirs)
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # the system sends it to the session's leader if this is its terminal
        process.wait(60)
    assert process.returncode == 130
    assert rows(tmp_path / "people.db", "select status from runs") == [("partial",)]


def test_a_run_under_nohup_goes_on(store, tmp_path):
    write_video(tmp_path / "long.mp4", 300, size=(160, 120))
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with started(store({"long": {"source": "long.mp4"}}), tmp_path / "people.db", **ignoring) as process:
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert rows(tmp_path / "people.db", "select status from runs") == [("complete",)]


def test_ctrl_c_shuts_down_cleanly(store, tmp_path):
    write_video(tmp_path / "long.mp4", 2000, size=(160, 120))
    with started(store({"long": {"source": "long.mp4"}}), tmp_path / "people.db") as process:
        process.send_signal(signal.SIGINT)
        out, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "Traceback" not in messages
    (camera,) = json.loads(out)["cameras"]
    assert camera["status"] == "partial"
    assert 0 < camera["analysed"] < 2000
    assert camera["decoded"] == camera["analysed"] + camera["thinned"] + camera["dropped"]
    assert rows(tmp_path / "people.db", "select status from runs") == [("partial",)]
    (stored,) = rows(tmp_path / "people.db", "select count(*) from boxes")
    assert stored == (camera["analysed"],)
