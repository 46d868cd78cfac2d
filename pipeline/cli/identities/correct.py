"""The group `identities`: list, show, merge, split, apart, rename, forget, undo, history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import CorrectionError
from ..options import database_options, open_store
from ..printing import print_json, table_of, terminal
from .options import IDENTITY, Clock, author, decision_options, tracklet_key

if TYPE_CHECKING:
    from ...corrections.history import Correction
    from ...storage.store import Store


@click.group("identities")
def identities_group() -> None:
    """List the people of a run, and correct who is who.

    Corrections are kept with who made them, when and why; they hold when the run is linked again, and can be undone.
    """


@identities_group.command("list")
@database_options
def list_command(database: str | None, config_path: Path | None, run: int | None, as_json: bool) -> None:
    """List the identities of a run."""
    from ...corrections.identities import list_identities
    from ...storage.times import iso_time

    with open_store(database, config_path) as store:
        found = list_identities(store, run)
        if as_json:
            return print_json(found)
        return terminal().print(table_of(
            "identities",
            ("identity", "name", "first seen", "last seen", "tracklets", "observations", "cameras", "corrected"),
            [(one.identity, one.name or "", iso_time(one.first_seconds), iso_time(one.last_seconds), one.tracklets,
              one.observations, ", ".join(one.cameras), "yes" if one.corrected else "") for one in found]))


@identities_group.command("show")
@click.argument("identity", type=IDENTITY)
@database_options
def show_command(identity: int, database: str | None, config_path: Path | None, run: int | None, as_json: bool) -> None:
    """List the tracklets of IDENTITY, with the evidence of their links."""
    from ....reid.similarity import informative_share
    from ...corrections.identities import identity_names, identity_tracklets
    from ...storage.times import iso_time

    with open_store(database, config_path) as store:
        found = identity_tracklets(store, run, identity)
        name = identity_names(store, run).get(identity)
        if as_json:
            return print_json({"identity": identity, "name": name, "tracklets": [one._asdict() for one in found]})
        return terminal().print(table_of(
            f"identity {identity}{f', {name}' if name else ''}",
            ("tracklet", "first seen", "last seen", "observations", "probability", "similarity", "shared mask",
             "seconds since seen", "by"),
            [(f"{one.camera}:{one.track}", iso_time(one.first_seconds), iso_time(one.last_seconds), one.observations,
              _rounded(one.probability, 3), _rounded(one.similarity, 3),
              _rounded(informative_share(one.shared_mask), 2), _rounded(one.gap_seconds, 1), one.by) for one in found]))


@identities_group.command("merge")
@click.argument("one", type=IDENTITY)
@click.argument("other", type=IDENTITY)
@click.option("--anyway", is_flag=True, help="even if one camera sees both at the same time")
@decision_options
def merge_command(
    one: int, other: int, anyway: bool, who: str | None, why: str,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Decide that ONE and OTHER are one person, who keeps the lower number."""
    from ...corrections.decisions import merge

    with open_store(database, config_path) as store:
        _print_correction(merge(store, run, one, other, author(who), why, anyway), as_json)


@identities_group.command("split")
@click.argument("identity", type=IDENTITY)
@click.option("--track", "tracks", multiple=True, metavar="CAMERA:TRACK", help="a tracklet that leaves; repeatable")
@click.option("--from", "begin", metavar="TIME", help="or: all tracklets that begin then or later leave")
@decision_options
def split_command(
    identity: int,
    tracks: tuple[str, ...],
    begin: str | None,
    who: str | None,
    why: str,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Decide that a part of IDENTITY is another person, who becomes a new identity.

    A TIME is a date and time such as 2026-03-02T09:00:30Z, a time of the run's first day (UTC), or seconds since 1970.
    """
    from ...corrections.decisions import split

    keys = [tracklet_key(one) for one in tracks]
    with open_store(database, config_path) as store:
        seconds = None if begin is None else Clock.of_run(store, run).seconds(begin)
        _print_correction(split(store, run, identity, author(who), why, keys, seconds), as_json)


@identities_group.command("apart")
@click.argument("one", type=IDENTITY)
@click.argument("other", type=IDENTITY)
@decision_options
def apart_command(
    one: int, other: int, who: str | None, why: str,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Decide that ONE and OTHER are different people, whatever a later linking finds."""
    from ...corrections.decisions import not_the_same

    with open_store(database, config_path) as store:
        _print_correction(not_the_same(store, run, one, other, author(who), why), as_json)


@identities_group.command("rename")
@click.argument("identity", type=IDENTITY)
@click.argument("name")
@decision_options
def rename_command(
    identity: int, name: str, who: str | None, why: str,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Call IDENTITY by a NAME; "" takes the name away."""
    from ...corrections.decisions import rename

    with open_store(database, config_path) as store:
        _print_correction(rename(store, run, identity, name, author(who), why), as_json)


@identities_group.command("forget")
@click.argument("identity", type=IDENTITY)
@click.option("--yes", is_flag=True, help="do not ask; needed where there is no terminal")
@decision_options
def forget_command(
    identity: int, yes: bool, who: str | None, why: str,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Delete all that is stored about IDENTITY, for good.

    Tracklets, boxes, pictures, embeddings, links and the name go, and an SQLite file is rewritten without them. Footage
    and what was exported before are not touched.
    """
    from ...corrections.forgetting import forget

    with open_store(database, config_path) as store:
        if not yes:
            _confirm(store, run, identity)
        found = forget(store, run, identity, author(who), why)
    if as_json:
        return print_json(found)
    return click.echo(
        f"correction {found.correction.number}: {found.correction.what}: {found.tracklets} tracklets, "
        f"{found.observations} boxes, {found.crops} pictures and {found.appearances} embeddings deleted for good")


@identities_group.command("undo")
@click.argument("correction", type=IDENTITY, required=False)
@decision_options
def undo_command(
    correction: int | None, who: str | None, why: str,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Undo a CORRECTION by its number; by default, the last one that holds. An undo can itself be undone."""
    from ...corrections.decisions import undo

    with open_store(database, config_path) as store:
        _print_correction(undo(store, run, author(who), why, correction), as_json)


@identities_group.command("history")
@database_options
def history_command(database: str | None, config_path: Path | None, run: int | None, as_json: bool) -> None:
    """List all corrections of a run, the newest first."""
    from ...corrections.history import history

    with open_store(database, config_path) as store:
        found = history(store, run)
    if as_json:
        return print_json(found)
    if not found:
        return click.echo("no corrections")
    terminal().print(table_of(
        "corrections", ("correction", "when", "who", "what", "why", "undone by"),
        [(one.number, one.created, one.who, one.what, one.why, one.undone_by or "") for one in found]))
    return None


def _print_correction(found: Correction, as_json: bool) -> None:
    if as_json:
        return print_json(found)
    return click.echo(f"correction {found.number}: {found.what}")


def _confirm(store: Store, run: int | None, identity: int) -> None:
    """Ask before deleting.

    Raises:
        CorrectionError: there is nobody to ask, or the answer is no.
    """
    from ...corrections.identities import identity_tracklets

    count = len(identity_tracklets(store, run, identity))
    if not sys.stdin.isatty():
        raise CorrectionError("forget deletes for good and there is no terminal to ask at: give --yes")
    if not click.confirm(f"Delete identity {identity} with {count} tracklets for good?", err=True):
        raise CorrectionError("nothing was deleted")


def _rounded(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"
