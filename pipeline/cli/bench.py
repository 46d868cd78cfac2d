"""Benchmark commands: the whole pipeline, search in a gallery, linking of a long day."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from .bench_quiet import quiet_command
from .common import (
    ANY_PATH,
    DEFAULT_DATABASE,
    FILE,
    FOLDER,
    CommandError,
    as_json_option,
    database_option,
    deprecated_option,
    force_option,
    print_json,
    run_option,
    table_of,
    terminal,
    trust_weights_option,
)

if TYPE_CHECKING:
    from ..evaluation.bench import Benchmark



@click.group("bench", invoke_without_command=True)
@click.option("--cameras", "config_path", type=FILE, help="config whose cameras and settings are used")
@click.option("--rounds", type=click.IntRange(1, 1000), default=3, show_default=True, help="measurements of each kind")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    help="also measure `ultralytics track` with these weights (.pt is exported to OpenVINO); repeatable",
)
@deprecated_option("--peer", "peer", "--baseline")
@click.option("--float", "with_float", is_flag=True, help="also measure the pipeline with the float detector")
@click.option("--before", type=FOLDER, help="also measure other code: a git worktree with its own .venv")
@click.option("--twice", is_flag=True, help="also measure peak memory with the footage played twice")
@click.option(
    "--scale", type=click.IntRange(1, 256), multiple=True, help="also measure this number of cameras; repeatable"
)
@click.option("--threads", type=click.IntRange(1, 1024), multiple=True, help="also measure these threads; repeatable")
@click.option("--frames", type=click.IntRange(64, 10**9), help="that every pass ends after  [default: all]")
@click.option("--chart", type=ANY_PATH, help="PNG to draw: the time of a frame, by stages")
@click.option(
    "--compare", type=FILE, help="JSON of an earlier benchmark; fails if a ratio is a tenth lower than there"
)
@force_option
@trust_weights_option
@as_json_option
@click.pass_context
def bench_command(
    context: click.Context,
    config_path: Path | None,
    rounds: int,
    baselines: tuple[str, ...],
    peer: str | None,
    with_float: bool,
    before: Path | None,
    twice: bool,
    scale: tuple[int, ...],
    threads: tuple[int, ...],
    frames: int | None,
    chart: Path | None,
    compare: Path | None,
    force: bool,
    trust_weights: bool,
    as_json: bool,
) -> None:
    """Measure speed and peak memory of the whole pipeline.

    Frames/s are compared with a bare loop that only decodes and detects. Memory is that of all processes of a run.
    """
    if context.invoked_subcommand is not None:
        return
    if config_path is None:
        raise click.UsageError("Missing option '--cameras'.")
    from ...reid.files import is_png_by, make_folder
    from ...reid.guard import MARK
    from ..config.loader import load_config
    from ..evaluation.bench import Plan, benchmark_pipeline
    from ..evaluation.bench_chart import draw_benchmark
    from ..evaluation.bench_compare import fallen_ratios, read_ratios
    from ..inputs import guard_of_config

    config = load_config(config_path)
    if chart is not None:
        inputs = [config_path, *([compare] if compare else []), *map(Path, baselines)]
        guard_of_config(config, inputs, force).check(chart, lambda path: is_png_by(path, MARK))
        make_folder(chart.parent)
    earlier = None if compare is None else read_ratios(compare)
    given = (*baselines, *([peer] if peer else []))
    plan = Plan(rounds, frames, with_float, before, given, twice, scale, threads, trust_weights)
    result = benchmark_pipeline(config, plan)
    if chart is not None:
        draw_benchmark(result, chart)
    if as_json:
        print_json(result)
    else:
        _print_benchmark(result)
    fallen = [] if earlier is None else fallen_ratios(earlier, result.ratios)
    if fallen:
        raise CommandError("; ".join(fallen), exit_code=1)


def _print_benchmark(result: Benchmark) -> None:
    console = terminal()
    measured = [one for row in result.rounds for one in row]
    stages = sorted({stage for one in measured for stage in one.stage_seconds})
    rows = []
    for one in measured:
        busy = sum(one.stage_seconds.values()) or 1
        shares = [f"{100 * one.stage_seconds.get(stage, 0) / busy:.1f} %" for stage in stages]
        rows.append((one.what, one.frames, f"{one.frames_per_second:.1f}", f"{one.peak_mib:.0f}", *shares))
    title = "speed, peak memory, and each stage's share of the busy time of all threads"
    console.print(table_of(title, ("measured", "frames", "frames/s", "peak MiB", *stages), rows))
    for what, ratio in result.ratios.items():
        console.print(f"pipeline / {what}: {ratio:.2f}")
    console.print(f"first frame after: {median(row[0].first_frame_seconds for row in result.rounds):.1f} s")
    if result.peak_growth is not None:
        console.print(f"peak memory, footage played twice / once: {result.peak_growth:.3f}")
    if result.scaling:
        rows = [(one.cameras, one.threads, f"{one.frames_per_second:.1f}", f"{one.peak_mib:.0f}")
                for one in result.scaling]
        console.print(table_of("other numbers", ("cameras", "threads", "frames/s", "peak MiB"), rows))


bench_command.add_command(quiet_command)


@bench_command.command("search")
@click.option(
    "--sizes",
    type=click.IntRange(10, 10**9),
    multiple=True,
    help="gallery rows; repeatable  [default: 10000 100000 1000000]",
)
@click.option("--dimensions", type=click.IntRange(8, 65_536), default=512, show_default=True, help="of an embedding")
@click.option("--queries", type=click.IntRange(1, 100_000), default=8, show_default=True, help="queries per search")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="measurements of each kind")
@click.option("--threads", type=click.IntRange(1, 1024), help="of FAISS and of PyTorch  [default: all cores]")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="of the synthetic identities"
)
@as_json_option
def search_command(
    sizes: tuple[int, ...],
    dimensions: int,
    queries: int,
    rounds: int,
    threads: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compare gallery search with FAISS's IndexFlatIP.

    Synthetic galleries are searched exactly and approximately (fast).
    A million rows of 512 dims take 8 GiB of memory.
    """
    from ...reid.search.bench import bench_search

    found = bench_search(sizes or (10_000, 100_000, 1_000_000), dimensions, queries, rounds, threads, seed)
    if as_json:
        return print_json(found)
    terminal().print(
        table_of(
            f"{queries} queries per search, {dimensions} dims; in brackets: time relative to IndexFlatIP",
            ("rows", "IndexFlatIP", "exact", "fast", "recall@10", "index build"),
            [
                (
                    f"{one.rows:,}",
                    f"{1000 * one.flat_seconds:.1f} ms",
                    f"{1000 * one.exact_seconds:.1f} ms ({one.exact_of_flat:.2f} x)",
                    f"{1000 * one.fast_seconds:.1f} ms ({one.fast_of_flat:.2f} x)",
                    f"{one.recall_at_10:.3f}",
                    f"{one.build_seconds:.1f} s",
                )
                for one in found
            ],
        )
    )
    return None


@bench_command.command("linking")
@click.option("--truth", type=ANY_PATH, required=True, help="ground truth of the run, folder with CAMERA.csv")
@click.option("--tracklets", type=click.IntRange(100, 10**7), default=180_000, show_default=True, help="of the day")
@click.option("--people", type=click.IntRange(10, 10**6), default=6000, show_default=True, help="of the day")
@click.option("--hours", type=click.FloatRange(0.1, 1000), default=24.0, show_default=True, help="length of the day")
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
@database_option
@run_option
@as_json_option
def linking_command(
    truth: Path,
    tracklets: int,
    people: int,
    hours: float,
    part: int,
    crowd: int,
    seed: int,
    database: str | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Measure time, memory and accuracy of linking a long day.

    People are synthetic: they look, vary and walk as those of a stored run.
    """
    from ..config.schema import LinkingConfig
    from ..evaluation.linking_bench import Day, benchmark_linking

    day = Day(tracklets, people, hours, part, crowd, seed)
    found = benchmark_linking(database or DEFAULT_DATABASE, truth, run, LinkingConfig(), day)
    if as_json:
        return print_json(found)
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
    return None


@bench_command.command("page")
@click.option("--truth", type=ANY_PATH, required=True, help="ground truth of the run, folder with CAMERA.csv")
@click.option("--day", type=ANY_PATH, required=True, help="database of the synthetic day; made if it does not exist")
@click.option("--tracklets", type=click.IntRange(100, 10**7), default=60_000, show_default=True, help="of the day")
@click.option("--people", type=click.IntRange(10, 10**6), default=2000, show_default=True, help="of the day")
@click.option("--hours", type=click.FloatRange(0.1, 1000), default=8.0, show_default=True, help="length of the day")
@click.option("--users", type=click.IntRange(1, 1000), default=20, show_default=True, help="at once")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="for how long they look")
@click.option("--think", type=click.FloatRange(0.01), default=2.0, show_default=True, help="mean pause between two "
              "requests of a user in seconds")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="of the synthetic people")
@database_option
@run_option
@as_json_option
def page_command(
    truth: Path, day: Path, tracklets: int, people: int, hours: float, users: int, seconds: float, think: float,
    seed: int, database: str | None, run: int | None, as_json: bool,
) -> None:
    """Measure how fast the review page answers many users while a run writes.

    The day is stored once: synthetic people who look, vary and walk as those of a stored run.
    """
    try:
        from ..web.bench import PageDay, benchmark_page, store_day
    except ImportError as error:
        raise ConfigError(f"the page needs a package that is not installed ({error.name}): "
                          "pip install 'reidpipe[web]'") from error

    if not day.exists():
        store_day(day, database or DEFAULT_DATABASE, truth, run, PageDay(tracklets, people, hours, seed))
    found = benchmark_page(day, users, seconds, think)
    if as_json:
        return print_json(found)
    return terminal().print(
        table_of(
            f"{found.users} users at once, {found.tracklets:,} tracklets of {found.people:,} people, a database of "
            f"{found.database_mib:.0f} MiB, while a run writes {found.written_per_second:.0f} frames per second",
            ("request", "first", "requests", "errors", "p50", "p95", "slowest"),
            [
                (one.what, f"{one.first_ms:.0f} ms", one.requests, one.errors,
                 *(f"{ms:.0f} ms" for ms in (one.p50_ms, one.p95_ms, one.most_ms)))
                for one in found.routes
            ],
        )
    )
