"""Every error of a command, foreseen or not, ends as one line and a documented exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ...errors import CRASH_EXIT_CODE, INTERRUPTED_EXIT_CODE, OutputError, ReidpipeError
from .command_error import CommandError
from .crash import report_crash, wants_traceback
from .signals import endings_as_interrupt
from .streams import discard, usable_streams


class Commands(click.Group):
    """A group of commands that end with an exit code instead of a traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - whatever click passes
        """Run the command line; the texts of --help, too, may meet a full disk."""
        with usable_streams():
            try:
                return super().main(*args, **extra)
            except OSError as error:
                CommandError(_discard_output(error), OutputError.exit_code).show()
                sys.exit(OutputError.exit_code)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the name of a command."""
        with _usage_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run one command; click shows the errors that this raises."""
        try:
            try:
                with endings_as_interrupt(), _usage_in_one_line():
                    return super().invoke(ctx)
            finally:
                _flush_output()
        except ReidpipeError as error:
            raise CommandError(error, error.exit_code) from error
        except BrokenPipeError:  # `reidpipe runs | head`: click ends without a message
            raise
        except OSError as error:  # the last resort, e.g. a folder that vanished while in use
            place = f"{error.filename} cannot be used" if error.filename else "an output cannot be written"
            message = f"{place}: {error.strerror or error}: use another path"
            raise CommandError(message, OutputError.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise CommandError("interrupted", INTERRUPTED_EXIT_CODE) from interrupt
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
            raise
        except BaseException as error:  # the process's outermost handler; panics of Rust libraries are no Exceptions
            if wants_traceback():
                raise
            raise CommandError(report_crash(error), CRASH_EXIT_CODE) from error


@contextmanager
def _usage_in_one_line() -> Iterator[None]:
    """Report a wrong command line as all other errors; click itself prints four lines, beginning with the usage."""
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):  # a group without a command shows its help
        raise
    except click.UsageError as error:
        command = "reidpipe" if error.ctx is None else error.ctx.command_path
        text = " ".join(error.format_message().split())
        stop = "" if text.endswith((".", "?")) else "."
        raise CommandError(f"{text}{stop} See `{command} --help`", error.exit_code) from error


def _flush_output() -> None:
    """Report a full disk while an exit code can still be set.

    Raises:
        OutputError: standard output cannot be written.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(_discard_output(error)) from error


def _discard_output(error: OSError) -> str:
    """Give up standard output, where the interpreter would fail again at its end; returns the message about it."""
    discard(sys.stdout)
    return f"standard output cannot be written: {error.strerror}"
