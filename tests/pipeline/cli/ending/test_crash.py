"""Errors that nobody foresaw end in one line, a crash file without secrets, and exit code 70."""

import re
import stat
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.ending import crash
from reidpipe.pipeline.cli.main import main

SECRET = "s3cr3t"


class Panic(BaseException):
    """What libraries written in Rust raise."""


@pytest.fixture
def crashing(monkeypatch, tmp_path):
    """A command that raises any error; crash files go to a folder of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(crash.DEBUG_VARIABLE, raising=False)

    def run(error, *arguments):
        @click.command("fail")
        @click.option("--database")
        def fail(database):
            password = SECRET  # noqa: F841 - values of variables are not for the crash file
            raise error

        monkeypatch.setitem(main.commands, "fail", fail)
        monkeypatch.setattr("sys.argv", ["reidpipe", "fail", *arguments])
        return CliRunner().invoke(main, ["fail", *arguments])

    return run


ERRORS = [
    IndexError("list index out of range"), MemoryError(), RecursionError("deep"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    Panic("a library panicked"), AssertionError(), ValueError("two\nlines"), KeyError("camera"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_is_one_line_with_a_private_crash_file(crashing, tmp_path, error):
    done = crashing(error)
    assert done.exit_code == 70
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"reidpipe: unexpected error, {type(error).__name__}")
    assert "Traceback" not in done.output
    path = Path(re.search(r"\S+reidpipe-crash-\S+\.txt", line)[0])
    assert path.parent == tmp_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_text()
    assert "Traceback" in content
    assert "raise error" in content


def test_neither_the_line_nor_the_crash_file_holds_a_password(crashing, tmp_path):
    address = f"rtsp://admin:{SECRET}@10.0.0.7/stream"
    done = crashing(RuntimeError(f"cannot read {address}"), "--database", f"postgresql://bob:{SECRET}@host/db")
    (path,) = tmp_path.glob("reidpipe-crash-*")
    assert done.exit_code == 70
    assert SECRET not in done.output + path.read_text()
    assert "10.0.0.7" in path.read_text()


def test_without_a_folder_for_temporary_files_the_line_remains(crashing, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    done = crashing(IndexError("list index out of range"))
    assert done.exit_code == 70
    assert "no crash file could be written" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_developers_see_the_traceback(crashing, monkeypatch, tmp_path):
    monkeypatch.setenv(crash.DEBUG_VARIABLE, "1")
    done = crashing(IndexError("list index out of range"))
    assert isinstance(done.exception, IndexError)
    assert list(tmp_path.glob("reidpipe-crash-*")) == []


@pytest.mark.parametrize(("error", "code"), [
    (click.UsageError("no"), 2), (SystemExit(3), 3), (KeyboardInterrupt(), 130), (click.exceptions.Exit(0), 0)])
def test_expected_endings_write_no_crash_file(crashing, tmp_path, error, code):
    assert crashing(error).exit_code == code
    assert list(tmp_path.iterdir()) == []
