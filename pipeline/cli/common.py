"""What all commands of the command line share: options, tables, JSON, and how a mishap is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from ..errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..storage.store import Store

FILE = click.Path(dir_okay=False, path_type=Path)
DEFAULT_DATABASE = "reidpipe.db"
PIPE_COLUMNS = 200

as_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON on standard output instead")
run_option = click.option("--run", "run", type=click.IntRange(1), help="the run's number; the newest by default")
database_option = click.option(
    "--database", help=f"an SQLite file or SQLAlchemy URL; {DEFAULT_DATABASE} in this folder by default"
)
cameras_option = click.option("--cameras", "config_path", type=FILE, help="take the database that this config names")


class CommandError(click.ClickException):
    """A mishap with an exit code of its own, told in one line."""

    def __init__(self, error: Exception | str, exit_code: int) -> None:
        super().__init__(str(error))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class, to be set like this

    def show(self, file: IO[str] | None = None) -> None:
        """Print the line to standard error."""
        click.echo(f"reidpipe: {self.message}", err=True, file=file)


def open_store(database: str | None, config_path: Path | None) -> Store:
    """The database that the options name, for reading.

    Raises:
        ConfigError: both options were given, or the config is bad.
        StoreError: there is no such database.
    """
    from ..config.loader import load_config
    from ..storage.store import Store

    if database is not None and config_path is not None:
        raise ConfigError("give either --database or --cameras, not both")
    if config_path is not None:
        database = load_config(config_path).database
    return Store.open(database or DEFAULT_DATABASE)


def print_json(result: object) -> None:
    """One JSON value on standard output; dataclasses become objects, paths text."""
    click.echo(json.dumps(result, default=_plain, indent=2))


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def terminal() -> Console:
    """Standard output; where it is no terminal, tables are as wide as they need to be."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_COLUMNS)


def table_of(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for the terminal; the first column and words are left-aligned, figures right-aligned."""
    from rich.table import Table

    lines = [[str(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left")
    for column, heading in enumerate(headings):
        figures = all(line[column][:1].isdigit() or line[column] in ("?", "-") for line in lines)
        table.add_column(heading, justify="right" if figures and lines and column else "left")
    for line in lines:
        table.add_row(*line)
    return table
