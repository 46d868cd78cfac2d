"""The command line: `reidpipe --help`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, cast

import click

from .errors import INTERRUPTED_EXIT_CODE, ReidpipeError, SourceError

if TYPE_CHECKING:
    from .run import Outcome

FILE = click.Path(dir_okay=False, path_type=Path)


class _Told(click.ClickException):
    """A mishap with an exit code of its own, told in one line."""

    def __init__(self, error: Exception | str, exit_code: int) -> None:
        super().__init__(str(error))
        self.exit_code = exit_code

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(f"reidpipe: {self.message}", err=True, file=file)


class _Commands(click.Group):
    """Commands whose known mishaps end with a line and a documented exit code instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ReidpipeError as error:
            raise _Told(error, error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise _Told("interrupted", INTERRUPTED_EXIT_CODE) from interrupt


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("reidpipe"), prog_name="reidpipe")
def main() -> None:
    """Who went where, across cameras.

    Exit codes: 0 done, 2 bad command line or config, 3 a camera failed or broke, 4 weights, 5 database,
    6 an output cannot be written, 130 interrupted.
    """


@main.command()
@click.option("--cameras", "config_path", type=FILE, required=True, help="the config file, e.g. configs/store.yaml")
@click.option("--quiet", is_flag=True, help="show nothing but errors")
@click.option("--json", "as_json", is_flag=True, help="end with one JSON object on standard output")
def run(config_path: Path, quiet: bool, as_json: bool) -> None:
    """Find, follow and link the people of all cameras; keep everything in the database."""
    from rich.console import Console

    from .configfile import load_config
    from .progress import Display, Silent
    from .run import run as run_job

    config = load_config(config_path)
    with _stop_on_interrupt() as stop:
        if quiet or as_json:
            outcome = run_job(config, config.model_dump_json(), Silent(), stop)
        else:
            with Display(Console(stderr=True)) as display:
                outcome = run_job(config, config.model_dump_json(), display, stop)
    if as_json:
        _print_json(outcome)
    elif not quiet:
        _print_outcome(outcome, config.database)
    if outcome.interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    broken = [report for report in outcome.cameras if report.status != "complete"]
    if broken:
        raise SourceError("; ".join(report.error for report in broken))


def _print_outcome(outcome: Outcome, database: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"run {outcome.run}: {outcome.status}, {outcome.seconds:.0f} s", title_justify="left")
    for heading in ("camera", "status"):
        table.add_column(heading)
    for heading in ("decoded", "analysed", "thinned", "dropped", "damaged"):
        table.add_column(heading, justify="right")
    for report in outcome.cameras:
        counts = (report.decoded, report.analysed, report.thinned, report.dropped, report.damaged)
        colour = {"complete": "green", "partial": "yellow"}.get(report.status, "red")
        table.add_row(report.camera, f"[{colour}]{report.status}[/]", *map(str, counts))
    console = Console()
    console.print(table)
    console.print(
        f"[bold]{outcome.identities}[/] people in {outcome.tracklets} tracklets, {outcome.observations} observations",
        highlight=False,
    )
    console.print(f"database: {database}", highlight=False, soft_wrap=True)


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets, so that a run can end in order; the second one ends it."""
    stop = threading.Event()

    def interrupted(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo("reidpipe: stopping, saving what is done; press Ctrl-C again to leave at once", err=True)

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_json(result: object) -> None:
    """One JSON object, or list of objects, on standard output."""
    click.echo(json.dumps(result, default=_plain, indent=2))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    return cast("object", value.tolist() if hasattr(value, "tolist") else str(value))
