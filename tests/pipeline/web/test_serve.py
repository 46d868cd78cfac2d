"""The command that serves the page."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main


def serve(path, *arguments):
    done = CliRunner().invoke(main, ["serve", "--database", str(path), *arguments])
    assert len(done.output.strip().splitlines()) == 1, done.output
    return done.exit_code, done.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "store.example"])
def test_other_machines_are_not_let_in_without_a_token(path, host):
    code, message = serve(path, "--host", host)
    assert (code, "give --token-file" in message) == (2, True), message


def test_a_short_token_is_refused(path, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    code, message = serve(path, "--host", "0.0.0.0", "--token-file", str(tmp_path / "token"))
    assert (code, "at least 16 characters" in message, "secret" in message) == (2, True, False), message


def test_a_port_in_use_is_one_line(path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, message = serve(path, "--port", str(other.getsockname()[1]))
    assert (code, "give another --host or --port" in message) == (6, True), message
