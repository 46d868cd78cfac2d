"""Closed or full standard streams, and signals: no command is ended by its messages, and none leaves parts of files."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.storage.store import Store

from ...media import write_video
from ...networks import write_detector, write_embedder
from ...stored_runs import boxes, camera, small_run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and devices of a POSIX system")

PROGRAM = [sys.executable, "-c", "from reidpipe.pipeline.cli.main import main; main()"]


def shell(redirections, *arguments, **options):
    """Run a command as a shell does with redirections."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", *PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.fixture
def config(tmp_path):
    write_video(tmp_path / "a.mp4", 10, size=(64, 64))
    models = {"detector": {"weights": str(write_detector(tmp_path / "person.onnx", [[32, 32, 20, 40, 0.9]]))},
              "appearance": {"weights": str(write_embedder(tmp_path / "appearance.onnx"))}}
    path = tmp_path / "store.yaml"
    path.write_text(yaml.safe_dump({"cameras": {"a": {"source": "a.mp4"}}, "database": "x.db", **models}))
    return path


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_goes_on_without_its_messages(redirections, config, tmp_path):
    if "full" in redirections and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = shell(redirections, "run", "--cameras", config)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("select status, (select count(*) from frames) from runs").fetchall() == [
            ("complete", 10)]
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_reader_of_messages_that_has_ended_does_not_end_the_run(config, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, "run", "--cameras", str(config)], stdout=subprocess.DEVNULL, stderr=writing,
                          check=False, timeout=120)
    os.close(writing)
    assert done.returncode == 0


@pytest.mark.parametrize("redirections", ["2>/dev/full", "2>&-", ">&-"])
def test_errors_keep_their_exit_code_without_messages(redirections, tmp_path):
    done = shell(redirections, "runs", "--database", tmp_path / "none.db")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert shell(redirections, "runs", "--nonsense").returncode == 2


def test_results_that_nobody_reads_are_no_error(tmp_path):
    small_run(tmp_path / "a.db")
    done = shell(">&-", "runs", "--database", tmp_path / "a.db")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_ended_leaves_no_part_behind(number, tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        for frame in range(40_000):
            run.add_observations(boxes(frame, [1, 2, 3, 4]))
    process = subprocess.Popen(
        [*PROGRAM, "export", "trajectories", str(tmp_path / "a.csv"), "--database", str(tmp_path / "a.db")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.part")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (130, "reidpipe: interrupted\n")
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".part", ".csv")]


def test_commands_run_in_any_thread_of_another_program(tmp_path):
    small_run(tmp_path / "a.db")
    codes = []
    thread = threading.Thread(target=lambda: codes.append(
        CliRunner().invoke(main, ["runs", "--database", str(tmp_path / "a.db")]).exit_code))
    thread.start()
    thread.join()
    assert codes == [0]
