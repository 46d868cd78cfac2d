"""`reidpipe bench`: the whole pipeline, and the group of the other benchmarks."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..ending.command_error import CommandError
from ..options import (
    ANY_PATH,
    FILE,
    FOLDER,
    as_json_option,
    deprecated_option,
    force_option,
    prepare_png,
    trust_weights_option,
)
from ..printing import print_json, table_of, terminal
from .linking import linking_command
from .page import page_command
from .quiet import quiet_command
from .search import search_command

if TYPE_CHECKING:
    from ...bench.speed.benchmark import Benchmark


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
        _refuse_options_of(context, context.invoked_subcommand)
        return
    if config_path is None:
        raise click.UsageError("Missing option '--cameras'.")
    from ...bench.speed.benchmark import Plan, benchmark_pipeline
    from ...bench.speed.chart import draw_benchmark
    from ...bench.speed.compare import fallen_ratios, read_ratios
    from ...config.loader import load_config
    from ...running.inputs import guard_of_config

    config = load_config(config_path)
    if chart is not None:
        inputs = [config_path, *([compare] if compare else []), *map(Path, baselines)]
        prepare_png(chart, guard_of_config(config, inputs, force))
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


def _refuse_options_of(context: click.Context, command: str) -> None:
    """Refuse what was given before the name of another benchmark, which would not see it.

    Raises:
        UsageError: there is such an option.
    """
    for option in context.command.params:
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} stands before {command}, which does not see it: give the options "
                                   f"of {command} behind its name")


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


for _command in (linking_command, page_command, quiet_command, search_command):
    bench_command.add_command(_command)
