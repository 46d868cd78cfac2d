"""The command line: `reidpipe --help`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ..errors import INTERRUPTED_EXIT_CODE, ConfigError, OutputError, ReidpipeError, SourceError
from .appearance import ablate, export_model, train
from .appearance_evaluation import evaluate_reid, explain
from .bench import bench
from .common import FILE, CommandError, as_json_option, print_json, table_of, terminal
from .detector import evaluate_detector, train_detector
from .render import render
from .results import evaluate, export, runs

if TYPE_CHECKING:
    from ..run import Outcome


class _Commands(click.Group):
    """Commands whose known mishaps end with a line and a documented exit code instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ReidpipeError as error:
            raise CommandError(error, error.exit_code) from error
        except OSError as error:  # what no stage expects: the disk is full, a folder vanished
            place = f"{error.filename} cannot be used" if error.filename else "a result cannot be written"
            message = f"{place}: {error.strerror or error}: give another path"
            raise CommandError(message, OutputError.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise CommandError("interrupted", INTERRUPTED_EXIT_CODE) from interrupt


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
@as_json_option
def run(config_path: Path, quiet: bool, as_json: bool) -> None:
    """Find, follow and link the people of all cameras; keep everything in the database."""
    from rich.console import Console

    from ..config.loader import load_config
    from ..listener import Silent
    from ..run import run as run_job
    from .progress import Display

    config = load_config(config_path)
    with _stop_on_interrupt() as stop:
        if quiet or as_json:
            outcome = run_job(config, config.model_dump_json(), Silent(), stop)
        else:
            with Display(Console(stderr=True)) as display:
                outcome = run_job(config, config.model_dump_json(), display, stop)
    if as_json:
        print_json(outcome)
    elif not quiet:
        _print_outcome(outcome, config.database)
    if outcome.interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    broken = [report for report in outcome.cameras if report.status != "complete"]
    if broken:
        raise SourceError("; ".join(report.error for report in broken))


def _print_outcome(outcome: Outcome, database: str) -> None:
    colours = {"complete": "green", "partial": "yellow"}
    table = table_of(
        f"run {outcome.run}: {outcome.status}, {outcome.seconds:.0f} s",
        ("camera", "status", "decoded", "analysed", "thinned", "dropped", "damaged"),
        [
            (
                one.camera,
                f"[{colours.get(one.status, 'red')}]{one.status}[/]",
                one.decoded,
                one.analysed,
                one.thinned,
                one.dropped,
                one.damaged,
            )
            for one in outcome.cameras
        ],
    )
    console = terminal()
    console.print(table)
    console.print(
        f"[bold]{outcome.identities}[/] people in {outcome.tracklets} tracklets, {outcome.observations} observations",
    )
    console.print(f"database: {database}", soft_wrap=True)


@main.command()
@click.argument("config_path", metavar="FILE", type=FILE)
@as_json_option
def check(config_path: Path, as_json: bool) -> None:
    """Validate a config and open every source, without running anything."""
    from ..check import check_config

    report = check_config(config_path)
    if as_json:
        print_json({"ok": report.ok, "cameras": report.cameras, "problems": report.problems})
    else:
        terminal().print(
            table_of(
                str(config_path),
                ("camera", "status", "kind", "size", "fps", "seconds", "frames", "starts"),
                [
                    (
                        one.camera,
                        "[green]ok[/]" if one.status == "ok" else f"[red]{one.status}[/]",
                        one.kind,
                        f"{one.width}x{one.height}",
                        f"{one.fps:.2f}",
                        "?" if one.duration_seconds is None else f"{one.duration_seconds:.1f}",
                        "?" if one.frame_count is None else one.frame_count,
                        one.start_time,
                    )
                    for one in report.cameras
                ],
            )
        )
    if report.problems:
        raise ConfigError("; ".join(report.problems))
    if not report.ok:
        raise SourceError("; ".join(camera.error for camera in report.cameras if camera.error))


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


for _command in (
    bench,
    export,
    render,
    evaluate,
    runs,
    train,
    ablate,
    evaluate_reid,
    explain,
    export_model,
    train_detector,
    evaluate_detector,
):
    main.add_command(_command)
