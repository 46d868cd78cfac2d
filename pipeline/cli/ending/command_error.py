"""The error that ends a command: one line on standard error, and an exit code of its own."""

from __future__ import annotations

from typing import IO

import click

from ...credentials import without_credentials


class CommandError(click.ClickException):
    """An error with an exit code of its own, reported in one line."""

    def __init__(self, error: Exception | str, exit_code: int) -> None:
        super().__init__(str(error))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class, to be set like this

    def show(self, file: IO[str] | None = None) -> None:
        """Print the error to standard error."""
        click.echo(f"reidpipe: {without_credentials(self.message)}", err=True, file=file)
