"""Commands that read a run's stored results: runs, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ..options import (
    ANY_PATH,
    as_json_option,
    cameras_option,
    database_option,
    database_options,
    force_option,
    open_store,
)
from ..printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ...output.export import Format


@click.command("runs")
@database_option
@cameras_option
@as_json_option
def runs_command(database: str | None, config_path: Path | None, as_json: bool) -> None:
    """List the runs in a database."""
    from ...storage.runs import list_runs

    with open_store(database, config_path) as store:
        found = list_runs(store)
    if as_json:
        return print_json(found)
    terminal().print(
        table_of(
            "runs",
            ("run", "status", "started", "cameras", "identities", "tracklets", "observations"),
            [
                (one.run, one.status, one.started, one.cameras, one.people, one.tracklets, one.observations)
                for one in found
            ],
        )
    )
    return None


@click.group("export")
def export_group() -> None:
    """Export results to files."""


@export_group.command("trajectories")
@click.argument("out", type=ANY_PATH)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet", "mot", "json"]),
    default="csv",
    show_default=True,
    help="mot: MOTChallenge text, one file per camera",
)
@click.option("--summary", is_flag=True, help="one row per visit instead of one per box")
@force_option
@database_options
def trajectories_command(
    out: Path,
    file_format: str,
    summary: bool,
    force: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Write who was where and when to OUT.

    OUT is a file, or a folder with --format mot.
    """
    from ...output.export import export_trajectories

    with open_store(database, config_path) as store:
        inputs = [] if config_path is None else [config_path]
        rows = export_trajectories(store, out, cast("Format", file_format), run, summary, inputs, force)
    if as_json:
        return print_json({"path": out, "rows": rows})
    return click.echo(f"{out}: {rows} {'visits' if summary else 'boxes'}")
