"""Run commands of reidpipe in this process."""

from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main


def reidpipe(*arguments):
    """A command's result: exit code and output."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
