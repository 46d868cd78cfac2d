"""The command `search`: who looks like the person of these pictures?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import ConfigError
from ..options import FILE, database_options, force_option, open_store, prepare_png
from ..printing import print_json, table_of, terminal
from .options import IDENTITY, Clock

if TYPE_CHECKING:
    from ....reid import Appearance
    from ...search.query import QueryPicture
    from ...search.ranking import FoundIdentity
    from ...storage.store import Store

THREADS = 2  # of the networks, for a few pictures
VISITS_SHOWN = 4  # per identity in the table; --json has all


@click.command("search")
@click.option("--image", "images", type=FILE, multiple=True, help="picture of the person; repeatable, they combine")
@click.option("--person", type=click.IntRange(1, 1000), help="which person of a picture with several, from the left")
@click.option("--identity", type=IDENTITY, help="look for who resembles this identity; combines with pictures")
@click.option("--camera", "cameras", multiple=True, help="only who was seen by this camera; repeatable")
@click.option("--time", "interval", metavar="START/END", help="only who was seen then, e.g. 09:00:10/09:00:40")
@click.option("--most", type=click.IntRange(1, 1000), default=10, show_default=True, help="identities to list")
@click.option("--sheet", type=FILE, help="PNG to draw: a row of crops for each identity")
@force_option
@database_options
def search_command(
    images: tuple[Path, ...],
    person: int | None,
    identity: int | None,
    cameras: tuple[str, ...],
    interval: str | None,
    most: int,
    sheet: Path | None,
    force: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Rank the identities of a run that look like a person.

    A picture may be a crop of the person or show a scene. Pictures of one person combine: what is hidden in one may be
    seen in another. A START or END is a date and time, a time of the run's first day (UTC), or seconds since 1970.
    """
    from ....reid.disk.files import write_png
    from ...running.inputs import guard_of_run
    from ...search.contact_sheet import draw_contact_sheet
    from ...search.ranking import Wanted, rank_identities
    from ...storage.runs import run_number

    if not images and identity is None:
        raise ConfigError("who is looked for? Give --image with a picture of the person, or --identity")
    if person is not None and not images:
        raise ConfigError("--person says which person of a picture is looked for: give --image, too")
    with open_store(database, config_path) as store:
        number = run_number(store, run)
        if sheet is not None:
            prepare_png(sheet, guard_of_run(store, number, images, force))
        times = Clock.of_run(store, number).interval(interval) if interval else (float("-inf"), float("inf"))
        pictures, query = _query(store, number, images, person, identity)
        found = rank_identities(store, number, query, Wanted(cameras, *times), identity, most)
        if sheet is not None:
            title = f"run {number}: who looks like " + (f"identity {identity}" if identity else "the query")
            write_png(sheet, draw_contact_sheet(store, number, title, pictures, found))
    if as_json:
        return print_json([_plain(one) for one in found])
    for picture in pictures:
        click.echo(f"{picture.path}: {picture.taken}", err=True)
    _print_found(found)
    if sheet is not None:
        click.echo(f"contact sheet: {sheet}")
    return None


def _query(
    store: Store, run: int, images: tuple[Path, ...], person: int | None, identity: int | None
) -> tuple[list[QueryPicture], Appearance]:
    from ....reid import concatenate
    from ...config.stages import DetectorConfig
    from ...search.query import embed_pictures, embedder_of_run, take_person
    from ...search.ranking import identity_query
    from ...stages.detection.detect import open_detector

    rows = [] if identity is None else [identity_query(store, run, identity)]
    pictures = []
    if images:
        detector = open_detector(DetectorConfig(), THREADS)
        pictures = [take_person(path, detector, person) for path in images]
        rows.append(embed_pictures(pictures, embedder_of_run(store, run, THREADS)))
    return pictures, concatenate(rows)


def _plain(one: FoundIdentity) -> dict[str, object]:
    from dataclasses import asdict

    tracklets = [{"camera": key[0], "track": key[1], "similarity": value} for key, value in one.tracklets]
    return {**asdict(one), "tracklets": tracklets}


def _print_found(found: list[FoundIdentity]) -> None:
    from ....reid.similarity import informative_share
    from ...storage.times import iso_time

    if not found:
        return click.echo("nobody was seen there and then")
    rows = []
    for rank, one in enumerate(found, 1):
        visits = [f"{visit.camera} {iso_time(visit.enter_seconds)[11:19]} to {iso_time(visit.leave_seconds)[11:19]}"
                  for visit in one.visits[:VISITS_SHOWN]]
        more = [f"and {len(one.visits) - VISITS_SHOWN} more"] if len(one.visits) > VISITS_SHOWN else []
        share = informative_share(one.shared_mask)
        rows.append((rank, one.identity, one.name or "", f"{one.probability:.3f}", f"{one.similarity:.3f}",
                     "-" if share is None else f"{share:.2f}", "\n".join(visits + more)))
    terminal().print(table_of(
        "found", ("rank", "identity", "name", "probability", "similarity", "shared mask", "visits"), rows))
    return None

