"""Shared by all commands: options, tables, JSON output and error reporting."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import click

from ..credentials import values_without_credentials, without_credentials
from ..errors import ConfigError, OutputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ...reid.disk.guard import Guard
    from ..storage.store import Store

Decorated = TypeVar("Decorated", bound=Callable[..., object])


class _Path(click.Path):
    """A path whose errors are one line, like all others; a NUL character, which only a program can pass, is refused."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        try:
            if "\0" in os.fspath(value):
                self.fail("a path cannot contain a NUL character", param, ctx)
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            named = "" if param is None else f"{param.get_error_hint(ctx or click.Context(click.Command(None)))}: "
            raise CommandError(f"{named}{error.message}", ConfigError.exit_code) from error


FILE = _Path(dir_okay=False, path_type=Path)
FOLDER = _Path(file_okay=False, path_type=Path)
ANY_PATH = _Path(path_type=Path)
LARGEST_RUN = 2**31 - 1  # of the database's numbers
DEFAULT_DATABASE = "reidpipe.db"
PIPE_COLUMNS = 200  # the width of a table that is not printed on a terminal


class NumberRange(click.FloatRange):
    """A number in a range; click itself lets `nan` pass, and `inf` where there is no upper end."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


as_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON instead of tables")
run_option = click.option(
    "--run", "run", type=click.IntRange(1, LARGEST_RUN), help="number of the run  [default: the newest]"
)
database_option = click.option(
    "--database", help=f"SQLite file or SQLAlchemy URL  [default: {DEFAULT_DATABASE} in the current folder]"
)
trust_weights_option = click.option(
    "--trust-weights", is_flag=True, help="load weights that can run programs, such as ultralytics' .pt"
)
cameras_option = click.option("--cameras", "config_path", type=FILE, help="use the database that this config names")
force_option = click.option(
    "--force", is_flag=True, help="replace existing files that are not earlier outputs, but never an input"
)
min_visible_option = click.option(
    "--min-visible",
    type=NumberRange(0, 1),
    default=0.3,
    show_default=True,
    help="ground truth with a smaller visible share is ignored: neither counted nor a false positive",
)


def database_options(command: Decorated) -> Decorated:
    """The options --database, --cameras, --run and --json."""
    return database_option(cameras_option(run_option(as_json_option(command))))


def deprecated_option(
    old: str, parameter: str, new: str, type: click.Path | None = None, multiple: bool = False
) -> Callable[[Decorated], Decorated]:
    """A hidden option that still works under its old name, and prints one line of warning when it is used."""

    def warn(context: click.Context, option: click.Parameter, value: object) -> object:
        if value:
            click.echo(f"reidpipe: warning: {old} is deprecated, use {new}", err=True)
        return value

    return click.option(old, parameter, type=type, multiple=multiple, hidden=True, callback=warn)


class CommandError(click.ClickException):
    """An error with an exit code of its own, reported in one line."""

    def __init__(self, error: Exception | str, exit_code: int) -> None:
        super().__init__(str(error))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class, to be set like this

    def show(self, file: IO[str] | None = None) -> None:
        """Print the error to standard error."""
        click.echo(f"reidpipe: {without_credentials(self.message)}", err=True, file=file)


@contextmanager
def open_store(database: str | None, config_path: Path | None) -> Iterator[Store]:
    """Open the database that the options name, for reading; errors that its damage causes are raised as StoreError.

    Raises:
        ConfigError: both options were given, or the config is invalid.
        StoreError: there is no such database.
    """
    from ..storage.store import Store

    with Store.open(database_name(database, config_path)) as store, store.explaining_damage():
        yield store


def database_name(database: str | None, config_path: Path | None) -> str:
    """The database that --database or --cameras names.

    Raises:
        ConfigError: both options were given, or the config is invalid.
    """
    from ..config.loader import load_config

    if database is not None and config_path is not None:
        raise ConfigError("give either --database or --cameras, not both")
    if config_path is not None:
        return load_config(config_path).database
    return DEFAULT_DATABASE if database is None else database


def linking_setting(text: str, expected: str) -> tuple[str, str]:
    """The key, without its section's name, and the value of a `--set` of the commands that link again.

    Args:
        text: as given, e.g. `linking.mode=greedy`.
        expected: what the option takes, with an example, for the message.

    Raises:
        ConfigError: there is no equals sign, or nothing behind it.
    """
    key, _, value = text.partition("=")
    if not value:
        raise ConfigError(f'--set: expected {expected}, got "{text}"')
    return key.strip().removeprefix("linking."), value


def prepare_png(path: Path, guard: Guard) -> None:
    """Check that a picture may be written, and make its folder: a bad path fails before the work, not after it.

    Raises:
        OutputError: it may not, or its name is not that of a PNG.
    """
    from ...reid.disk.files import is_png_by, make_folder
    from ...reid.disk.guard import MARK

    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: expected a file name that ends in .png")
    guard.check(path, lambda one: is_png_by(one, MARK))
    make_folder(path.parent)


def by_camera(errors: Iterable[tuple[str, str]]) -> str:
    """One line with every (camera, error)."""
    return "; ".join(f"camera {name}: {error.removeprefix(f'camera {name}: ')}" for name, error in errors)


def print_json(result: object) -> None:
    """Print one JSON value; dataclasses and sections of a config become objects, paths become strings."""
    plain = json.loads(json.dumps(result, default=_plain))
    click.echo(json.dumps(values_without_credentials(plain), indent=2))


def _plain(value: object) -> object:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def terminal() -> Console:
    """A console on standard output; redirected to a file or pipe, it does not fold wide tables."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_COLUMNS)


def table_of(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for the terminal; numbers are right-aligned, also if some are missing; the first column and text left."""
    from rich.table import Table

    lines = [[without_credentials(cell) if isinstance(cell, str) else str(cell) for cell in row] for row in rows]
    table = Table(title=without_credentials(title), title_justify="left")
    for column, heading in enumerate(headings):
        cells = [line[column] for line in lines if line[column] not in ("", "?", "-")]
        numeric = all(cell.removeprefix("-")[:1].isdigit() for cell in cells)
        table.add_column(heading, justify="right" if numeric and cells and column else "left")
    for line in lines:
        table.add_row(*line)
    return table
