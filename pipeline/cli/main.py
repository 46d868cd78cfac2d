"""The `reidpipe` command and its main subcommands, run and check; heavy libraries are imported on first use."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..credentials import CleanLogRecord, without_credentials
from ..errors import INTERRUPTED_EXIT_CODE, SourceError
from .benchmarks.speed import bench_command
from .calibrate import calibrate_command
from .ending.command_error import CommandError
from .ending.exit_codes import Commands
from .ending.signals import stop_on_interrupt
from .evaluate import evaluate_command, sweep_command
from .identities.correct import identities_group
from .identities.explain import explain_link_command
from .identities.link import check_identities, link_command
from .identities.search import search_command
from .models.detector import (
    evaluate_detector_command,
    export_detector_command,
    thin_detector_command,
    train_detector_command,
)
from .models.evaluate import evaluate_reid_command, explain_group
from .models.train import (
    ablate_command,
    export_model_command,
    fit_discriminant_command,
    leave_one_out_command,
    train_command,
)
from .options import FILE, FOLDER, as_json_option, force_option, run_option, trust_weights_option
from .printing import by_camera, coloured, print_json, table_of, terminal
from .results.prune import prune_command
from .results.render import render_command
from .results.serve import serve_command
from .results.tables import export_group, runs_command

if TYPE_CHECKING:
    from ..run import Outcome
    from ..running.check import CheckReport


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("reidpipe"), prog_name="reidpipe")
def main() -> None:
    """Find, track and re-identify people across cameras.

    Exit codes: 0 success, 1 other error, 2 invalid command line, config or input, 3 a camera failed,
    4 unusable weights, 5 unusable database, 6 unwritable output, 70 a bug in reidpipe, 130 interrupted.
    """
    logging.setLogRecordFactory(CleanLogRecord)


@main.command("run")
@click.option("--cameras", "config_path", type=FILE, required=True, help="config file, e.g. configs/store.yaml")
@click.option("--resume", is_flag=True, help="continue the newest run of this config if it has not reached its end")
@click.option("--quiet", is_flag=True, help="print errors only")
@trust_weights_option
@as_json_option
def run_command(config_path: Path, resume: bool, quiet: bool, trust_weights: bool, as_json: bool) -> None:
    """Detect, track and link people across all cameras.

    All results are stored in the database that the config names.
    """
    from rich.console import Console

    from ..config.loader import load_config
    from ..sources.isolation.isolated_source import start_decoders

    config = load_config(config_path)
    if config.sources.isolate:
        start_decoders()
    from ..listener import Silent  # the longest imports, while that process starts
    from ..run import run_pipeline
    from .progress import Display

    with stop_on_interrupt() as stop:
        if quiet or as_json:
            outcome = run_pipeline(config, Silent(), stop, trust_weights, resume)
        else:
            with Display(Console(stderr=True)) as display:
                outcome = run_pipeline(config, display, stop, trust_weights, resume)
    if outcome.start == "ended" and not quiet:
        click.echo(f"reidpipe: run {outcome.run} has reached its end: there is nothing to resume", err=True)
    if as_json:
        print_json(outcome)
    elif not quiet:
        _print_outcome(outcome, config.database)
    if outcome.resumable:
        click.echo(f"reidpipe: run {outcome.run} can be continued: add --resume to the same command", err=True)
    if outcome.interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    broken = [(report.camera, report.error) for report in outcome.cameras if report.status != "complete"]
    if broken:
        raise SourceError(by_camera(broken))


def _print_outcome(outcome: Outcome, database: str) -> None:
    colours = {"complete": "green", "partial": "yellow"}
    table = table_of(
        f"run {outcome.run}: {outcome.status}, {outcome.seconds:.0f} s",
        ("camera", "status", "decoded", "analysed", "thinned", "dropped", "damaged"),
        [
            (
                one.camera,
                coloured(one.status, colours.get(one.status, "red")),
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
        f"identities: {outcome.identities}, tracklets: {outcome.tracklets} ({outcome.undecided} undecided), "
        f"observations: {outcome.observations}"
    )
    console.print(f"database: {without_credentials(database)}", soft_wrap=True)


@main.command("check")
@click.argument("config_path", metavar="[FILE]", type=FILE, required=False)
@click.option("--database", help="check that no identity of a stored run violates a constraint")
@run_option
@click.option("--draw", "drawn", type=FOLDER, metavar="FOLDER",
              help="draw the floor grid into the first frame of each camera with a homography, and into the floor plan")
@force_option
@trust_weights_option
@as_json_option
def check_command(
    config_path: Path | None,
    database: str | None,
    run: int | None,
    drawn: Path | None,
    force: bool,
    trust_weights: bool,
    as_json: bool,
) -> None:
    """Validate a config and open every camera's source.

    With --database: prove that no identity is twice in one camera at a time, in two places, or away for too long.
    """
    from ..output.floors import draw_floors
    from ..running.check import check_config

    if (config_path is None) == (database is None):
        raise click.UsageError("Give either FILE or --database.")
    if database is not None:
        return check_identities(database, run, as_json)
    assert config_path is not None  # by the check above
    if drawn is not None:
        draw_floors(config_path, drawn, force)
    report = check_config(config_path, trust_weights)
    if as_json:
        print_json({"ok": report.ok, "cameras": report.cameras, "arithmetic": report.arithmetic,
                    "problems": report.problems})
    else:
        _print_check(report, config_path)
    if report.ok:
        return None
    cameras = by_camera([(one.camera, one.error) for one in report.cameras if one.error])
    exit_code = report.errors[0].exit_code if report.errors else SourceError.exit_code
    raise CommandError("; ".join(filter(None, (*report.problems, cameras))), exit_code)


def _print_check(report: CheckReport, config_path: Path) -> None:
    from ..stages.embed import TERMS

    console = terminal()
    console.print(
        table_of(
            str(config_path),
            ("camera", "status", "kind", "size", "fps", "seconds", "frames", "start time"),
            [
                (
                    one.camera,
                    coloured(one.status, "green" if one.status == "ok" else "red"),
                    one.kind,
                    f"{one.width}x{one.height}" if one.width else "?",
                    f"{one.fps:.2f}" if one.fps else "?",
                    "?" if one.duration_seconds is None else f"{one.duration_seconds:.1f}",
                    "?" if one.frame_count is None else one.frame_count,
                    one.start_time,
                )
                for one in report.cameras
            ],
        )
    )
    if report.arithmetic:
        models = ", ".join(f"{model} in {arithmetic}" for model, arithmetic in report.arithmetic.items())
        console.print(f"networks compute on this machine: {models}")
    weights = report.config.appearance.weights
    if weights in TERMS:
        console.print(f"appearance model {weights}: {TERMS[weights]}")


for _command in (
    bench_command,
    export_group,
    render_command,
    evaluate_command,
    sweep_command,
    calibrate_command,
    link_command,
    identities_group,
    serve_command,
    runs_command,
    prune_command,
    train_command,
    ablate_command,
    leave_one_out_command,
    fit_discriminant_command,
    evaluate_reid_command,
    explain_group,
    search_command,
    export_model_command,
    train_detector_command,
    thin_detector_command,
    export_detector_command,
    evaluate_detector_command,
):
    main.add_command(_command)
explain_group.add_command(explain_link_command)
