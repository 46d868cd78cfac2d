"""A wrong command line is one line on standard error that names what is wrong and where help is."""

import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main


@pytest.mark.parametrize(("arguments", "line"), [
    pytest.param("--verbose", "'--version'? See `reidpipe --help`", id="option of reidpipe"),
    pytest.param("ruin", "No such command 'ruin'", id="command"),
    pytest.param("run", "Missing option '--cameras'. See `reidpipe run --help`", id="option left out"),
    pytest.param("export trajectories", "Missing argument 'OUT'. See `reidpipe export trajectories --help`",
                 id="argument left out"),
    pytest.param("identities show abc", "'abc' is not a valid integer range. See `reidpipe identities show --help`",
                 id="value"),
    pytest.param("identities rename 1 --by", "Option '--by' requires an argument", id="value left out"),
    pytest.param("check", "Give either FILE or --database. See `reidpipe check --help`", id="neither"),
    pytest.param("bench linking", "Missing option '--truth'. See `reidpipe bench linking --help`", id="in a group"),
])
def test_a_wrong_command_line_is_one_line(arguments, line):
    done = CliRunner().invoke(main, arguments.split(), prog_name="reidpipe")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("reidpipe: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


@pytest.mark.parametrize("arguments", [[], ["identities"], ["export"]], ids=["reidpipe", "identities", "export"])
def test_a_group_without_a_command_shows_its_help(arguments):
    done = CliRunner().invoke(main, arguments, prog_name="reidpipe")
    assert "Commands:" in done.output
