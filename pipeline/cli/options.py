"""Options and arguments that many commands take, and what they name: paths, numbers, the database."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import ConfigError, OutputError

if TYPE_CHECKING:
    from ...reid.disk.guard import Guard
    from ..storage.store import Store

Decorated = TypeVar("Decorated", bound=Callable[..., object])


class _Path(click.Path):
    """A path; a NUL character, which only a program can pass, is refused."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path, or a usage error."""
        if "\0" in os.fspath(value):
            self.fail("a path cannot contain a NUL character.", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(dir_okay=False, path_type=Path)
FOLDER = _Path(file_okay=False, path_type=Path)
ANY_PATH = _Path(path_type=Path)
LARGEST_RUN = 2**31 - 1  # of the database's numbers
DEFAULT_DATABASE = "reidpipe.db"


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
