"""The command that links a stored run again: link."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from ....reid.wording import counted
from ...errors import ConfigError
from ..ending.command_error import CommandError
from ..options import database_options, linking_setting, open_store
from ..printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ...relinking.relink import Relinked
    from ...relinking.violations import Violation

CHANGES_SHOWN = 20


@click.command("link")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="a key of `linking`; repeatable")
@click.option("--dry-run", is_flag=True, help="show what would change, and change nothing")
@click.option("--list", "listed", is_flag=True, help="list the run's sets of links")
@click.option("--use", "used", type=click.IntRange(1), metavar="SET", help="let results show this set of links")
@database_options
def link_command(
    settings: tuple[str, ...],
    dry_run: bool,
    listed: bool,
    used: int | None,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Link a stored run again with other settings.

    Needs no footage. The links become a new set, which all results then show; earlier sets are kept.
    """
    from ...relinking.relink import relink
    from ...storage.link_sets import list_link_sets, select_link_set

    if (listed or used is not None) and (settings or dry_run or (listed and used is not None)):
        raise ConfigError("give one of --list, --use or new settings")
    values = dict(map(_key_and_value, settings))
    with open_store(database, config_path) as store:
        if used is not None:
            select_link_set(store, run, used)
        if listed or used is not None:
            sets = list_link_sets(store, run)
            if as_json:
                return print_json(sets)
            terminal().print(table_of(
                "sets of links", ("set", "shown", "created", "identities", "links", "settings"),
                [(one.number, "yes" if one.selected else "", one.created, one.identities, one.links, one.config)
                 for one in sets]))
            return None
        found = relink(store, run, values, dry_run)
    if as_json:
        return print_json(found)
    return _print_relinked(found)


def _key_and_value(text: str) -> tuple[str, object]:
    """A key of `linking`, and its value as text, or a list or mapping as YAML."""
    key, value = linking_setting(text, "KEY=VALUE, such as false_link_rate=0.3")
    if value.lstrip()[:1] not in ("[", "{"):
        return key, value
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f'--set: {key}: expected a list or mapping as in YAML, got "{value}"') from error


def _print_relinked(found: Relinked) -> None:
    console = terminal()
    rows = [("becomes one", ", ".join(map(str, old)), str(number)) for number, old in found.joined]
    rows += [("is divided", str(number), ", ".join(map(str, new))) for number, new in found.divided]
    if rows:
        console.print(table_of(
            f"run {found.run}: what changes", ("change", "identities before", "identities after"),
            rows[:CHANGES_SHOWN]))
    if len(rows) > CHANGES_SHOWN:
        console.print(f"and {len(rows) - CHANGES_SHOWN} more changes (--json lists all)")
    stored = "nothing was stored" if found.link_set is None else f"stored as set {found.link_set} of links"
    console.print(
        f"run {found.run}: {found.after} identities of {found.tracklets} tracklets, {found.before} before; {stored}")


def check_identities(database: str, run: int | None, as_json: bool) -> None:
    """Report identities of a stored run that violate a constraint.

    Raises:
        CommandError: there are any.
    """
    from ...relinking.violations import find_violations

    with open_store(database, None) as store:
        found = find_violations(store, run)
    if as_json:
        print_json({"ok": not found, "violations": found})
    else:
        _print_violations(found)
    if found:
        raise CommandError(f"{counted(len(found), 'violation')} of constraints: link the run again, or undo the "
                           "correction that made it", 1)


def _print_violations(found: list[Violation]) -> None:
    if not found:
        terminal().print("no identity violates a constraint")
        return
    terminal().print(table_of(
        "violations", ("identity", "what", "tracklet", "other tracklet"),
        [(one.identity, one.what, *(f"{camera}, track {track}" for camera, track in (one.one, one.other)))
         for one in found]))
