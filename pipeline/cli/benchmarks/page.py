"""`reidpipe bench page`: the review page with many users."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ...errors import ConfigError
from ..options import ANY_PATH, FILE, NumberRange, database_name, database_options, open_store
from ..printing import print_json, table_of, terminal


@click.command("page")
@click.option("--truth", type=ANY_PATH, required=True, help="ground truth of the run, folder with CAMERA.csv")
@click.option("--day", type=ANY_PATH, required=True, help="database of the synthetic day; made if it does not exist")
@click.option("--tracklets", type=click.IntRange(100, 10**7), default=60_000, show_default=True, help="of the day")
@click.option("--people", type=click.IntRange(10, 10**6), default=2000, show_default=True, help="of the day")
@click.option("--hours", type=NumberRange(0.1, 1000), default=8.0, show_default=True, help="length of the day")
@click.option("--users", type=click.IntRange(1, 1000), default=20, show_default=True, help="at once")
@click.option("--seconds", type=NumberRange(1), default=60.0, show_default=True, help="for how long they look")
@click.option("--think", type=NumberRange(0.01), default=2.0, show_default=True, help="mean pause between two "
              "requests of a user in seconds")
@click.option("--slowed", type=FILE, help="config of a run: measure how much users slow it, instead")
@click.option("--rounds", type=click.IntRange(1, 100), default=2, show_default=True, help="runs of each kind with "
              "--slowed")
@click.option("--every", type=click.IntRange(1, 1000), default=3, show_default=True, help="the runs of --slowed "
              "analyse every N-th frame")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="of the synthetic people")
@database_options
def page_command(
    truth: Path, day: Path, tracklets: int, people: int, hours: float, users: int, seconds: float, think: float,
    slowed: Path | None, rounds: int, every: int, seed: int, database: str | None, config_path: Path | None,
    run: int | None, as_json: bool,
) -> None:
    """Measure how fast the review page answers many users while a run writes.

    The day is stored once: synthetic people who look, vary and walk as those of a stored run, that of
    reidpipe.db if no option names another.
    """
    try:
        from ...bench.page.answers import benchmark_page
        from ...bench.page.slowed_run import benchmark_run
        from ...bench.page.stored_day import PageDay, photo_of, store_day
    except ImportError as error:
        raise ConfigError(f"the page needs a package that is not installed ({error.name}): "
                          "pip install 'reidpipe[web]'") from error

    stored = database_name(database, config_path)
    if not day.exists():
        store_day(day, stored, truth, run, PageDay(tracklets, people, hours, seed))
    with open_store(str(day), None):  # its benchmarks use copies, whose names would say nothing
        photo = photo_of(stored, run)
    if slowed is not None:
        speed = benchmark_run(day, slowed, photo, users, think, rounds, every)
        if as_json:
            return print_json({**asdict(speed), "share": speed.share})
        return terminal().print(table_of(
            f"a run with {users} users at the page has {100 * speed.share:.1f} % of the frames per second of one alone",
            ("frames/s alone", "with users", "requests/s", "cores of the server", "cores of the users"),
            [(f"{alone:.1f}", f"{watched:.1f}", f"{requests:.1f}", f"{server:.3f}", f"{own:.3f}")
             for alone, watched, requests, server, own in zip(
                 speed.alone, speed.watched, speed.requests, speed.server_cores, speed.users_cores, strict=True)]))
    found = benchmark_page(day, photo, users, seconds, think)
    if as_json:
        return print_json(found)
    return terminal().print(
        table_of(
            f"{found.users} users at once, {found.tracklets:,} tracklets of {found.people:,} people, a database of "
            f"{found.database_mib:.0f} MiB, while a run writes {found.written_per_second:.0f} frames per second; "
            f"the server takes {found.server_cores:.3f} of a core",
            ("request", "first", "requests", "errors", "p50", "p95", "slowest"),
            [
                (one.what, f"{one.first_ms:.0f} ms", one.requests, one.errors,
                 *(f"{ms:.0f} ms" for ms in (one.p50_ms, one.p95_ms, one.most_ms)))
                for one in found.routes
            ],
        )
    )
