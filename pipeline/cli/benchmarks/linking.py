"""`reidpipe bench linking`: linking of a long day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import ANY_PATH, NumberRange, database_name, database_options
from ..printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ...bench.linking import LinkingBenchmark


@click.command("linking")
@click.option("--truth", type=ANY_PATH, required=True, help="ground truth of the run, folder with CAMERA.csv")
@click.option("--tracklets", type=click.IntRange(100, 10**7), default=180_000, show_default=True, help="of the day")
@click.option("--people", type=click.IntRange(10, 10**6), default=6000, show_default=True, help="of the day")
@click.option("--hours", type=NumberRange(0.1, 1000), default=24.0, show_default=True, help="length of the day")
@click.option(
    "--part",
    type=click.IntRange(0, 4000),
    default=1000,
    show_default=True,
    help="tracklets that are also linked with all of them at hand, for comparison",
)
@click.option(
    "--crowd",
    type=click.IntRange(0, 10**6),
    default=100_000,
    show_default=True,
    help="identities that can come back, for another measurement of the time per tracklet; 0: none",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="of the synthetic people")
@database_options
def linking_command(
    truth: Path,
    tracklets: int,
    people: int,
    hours: float,
    part: int,
    crowd: int,
    seed: int,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Measure time, memory and accuracy of linking a long day.

    People are synthetic: they look, vary and walk as those of a stored run, that of reidpipe.db if no option names
    another. The default day takes a quarter of an hour; fewer --tracklets take less.
    """
    from ...bench.linking import Day, benchmark_linking
    from ...config.linking import LinkingConfig

    day = Day(tracklets, people, hours, part, crowd, seed)
    found = benchmark_linking(database_name(database, config_path), truth, run, LinkingConfig(), day)
    if as_json:
        return print_json(found)
    return _print_benchmark(found)


def _print_benchmark(found: LinkingBenchmark) -> None:
    console = terminal()
    console.print(
        table_of(
            f"{found.tracklets:,} tracklets of {found.people:,} people in {found.hours:g} h",
            ("hour", "tracklets", "seconds", "CPU seconds", "CPU ms per tracklet", "recent", "identities kept"),
            [
                (
                    one.hour,
                    one.tracklets,
                    f"{one.wall_seconds:.1f}",
                    f"{one.cpu_seconds:.1f}",
                    f"{1000 * one.cpu_seconds / max(one.tracklets, 1):.2f}",
                    one.recent,
                    one.known,
                )
                for one in found.hourly
            ],
        )
    )
    console.print(
        table_of(
            "identities against the truth, in %",
            ("tracklets", "number", "people", "identities", "pair precision", "pair recall", "IDF1"),
            [
                (
                    one.what,
                    one.tracklets,
                    one.people,
                    one.identities,
                    *(f"{100 * share:.1f}" for share in (one.precision, one.recall, one.idf1)),
                )
                for one in found.accuracy
            ],
        )
    )
    console.print(
        f"linking: {found.wall_seconds:.0f} s, {found.cpu_seconds:.0f} CPU seconds; peak: {found.peak_mib:.0f} MiB"
    )
    if found.last_of_second is not None:
        console.print(f"CPU time per tracklet, last hour / second hour: {found.last_of_second:.2f}")
    if found.crowd is not None:
        console.print(
            f"with {found.crowd.identities:,} identities that can come back: {found.crowd.wall_ms:.2f} ms "
            f"({found.crowd.cpu_ms:.2f} ms of CPU time) per tracklet"
        )
