"""The command that deletes old results: prune."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import ConfigError
from ..options import NumberRange, as_json_option, cameras_option, database_option, open_store
from ..printing import print_json

LONGEST_DAYS = 36_500
KINDS = ("crops", "appearances", "observations")
DAYS = NumberRange(0, LONGEST_DAYS)


@click.command("prune")
@click.option("--crops", type=DAYS, help="delete pictures of people older than this many days")
@click.option("--appearances", type=DAYS, help="delete embeddings and masks older than this many days")
@click.option("--observations", type=DAYS, help="delete boxes older than this many days")
@click.option("--dry-run", is_flag=True, help="only print how much would be deleted")
@database_option
@cameras_option
@as_json_option
def prune_command(
    crops: float | None,
    appearances: float | None,
    observations: float | None,
    dry_run: bool,
    database: str | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Delete old pictures, embeddings and boxes.

    Their room is given back to the disk. Without limits on the command line, those of the config's `retention` section
    are used.
    """
    from ...config.loader import load_config
    from ...config.schema import RetentionConfig
    from ...storage.prune import prune_database

    configured = RetentionConfig() if config_path is None else load_config(config_path).retention
    given = {"crops_days": crops, "appearances_days": appearances, "observations_days": observations}
    retention = configured.model_copy(update={name: days for name, days in given.items() if days is not None})
    if all(days is None for days in retention.model_dump().values()):
        raise ConfigError("nothing to delete: give --crops, --appearances or --observations with a number of days, "
                          "or --cameras with a config that has a retention section")
    with open_store(database, config_path) as store:
        pruned = prune_database(store, retention, dry_run=dry_run)
        name = store.name
    if as_json:
        return print_json(pruned)
    counts = ", ".join(f"{getattr(pruned, kind)} {kind}" for kind in KINDS)
    if dry_run:
        return click.echo(f"{name}: {counts} would be deleted")
    return click.echo(f"{name}: {counts} deleted, {pruned.freed_bytes / 2**20:.1f} MiB given back")
