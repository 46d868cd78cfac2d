"""Commands that measure: bench (the whole pipeline), bench search (the gallery)."""

from __future__ import annotations

from pathlib import Path

import click

from .common import FILE, as_json_option, print_json, table_of, terminal


@click.group(invoke_without_command=True)
@click.option("--cameras", "config_path", type=FILE, help="the config whose footage is measured")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="how often each way is measured")
@click.option("--baseline", help="also measure ultralytics track with these weights (.pt is exported to OpenVINO)")
@click.option("--twice", is_flag=True, help="also measure peak memory with all footage given twice")
@as_json_option
@click.pass_context
def bench(
    context: click.Context, config_path: Path | None, rounds: int, baseline: str | None, twice: bool, as_json: bool
) -> None:
    """Measure frames/s and memory of the whole pipeline beside a bare decode-and-detect loop."""
    if context.invoked_subcommand is not None:
        return None
    if config_path is None:
        raise click.UsageError("Missing option '--cameras'.")
    from ..config.loader import load_config
    from ..evaluation.bench import bench as measure

    result = measure(load_config(config_path), rounds, baseline, twice)
    if as_json:
        return print_json(result)
    console = terminal()
    stages = sorted({stage for row in result.rounds for one in row for stage in one.stage_seconds})
    console.print(
        table_of(
            "stages: share of the busy time of all threads",
            ("what", "frames", "frames/s", "peak MiB", *stages),
            [
                (
                    one.what,
                    one.frames,
                    f"{one.frames_per_second:.1f}",
                    f"{one.peak_mib:.0f}",
                    *(
                        f"{100 * one.stage_seconds.get(stage, 0) / (sum(one.stage_seconds.values()) or 1):.1f} %"
                        for stage in stages
                    ),
                )
                for row in result.rounds
                for one in row
            ],
        )
    )
    console.print(f"pipeline / bare loop: {result.of_bare:.2f}")
    if result.of_baseline is not None:
        console.print(f"pipeline / baseline: {result.of_baseline:.2f}")
    if result.peak_growth is not None:
        console.print(f"peak memory, footage twice / once: {result.peak_growth:.3f}")
    return None


@bench.command("search")
@click.option(
    "--sizes", type=click.IntRange(10), multiple=True, help="gallery rows; repeat it  [default: 10000 100000 1000000]"
)
@click.option("--dimensions", type=click.IntRange(8), default=512, show_default=True, help="of one embedding")
@click.option("--queries", type=click.IntRange(1), default=8, show_default=True, help="searched at once")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="how often each way is measured")
@click.option("--threads", type=click.IntRange(1), help="for FAISS and PyTorch alike  [default: all cores]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of the made-up people")
@as_json_option
def search(
    sizes: tuple[int, ...],
    dimensions: int,
    queries: int,
    rounds: int,
    threads: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure searches of made-up galleries, exact and fast, beside FAISS's IndexFlatIP.

    A million rows of 512 dims take 8 GiB of memory.
    """
    from ...reid.search.bench import bench_search

    found = bench_search(sizes or (10_000, 100_000, 1_000_000), dimensions, queries, rounds, threads, seed)
    if as_json:
        return print_json(found)
    terminal().print(
        table_of(
            f"{queries} queries at once, {dimensions} dims; in brackets: multiples of IndexFlatIP's time",
            ("rows", "IndexFlatIP", "exact", "fast", "recall@10", "index built in"),
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
