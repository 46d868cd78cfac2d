"""Benchmark commands: bench (the whole pipeline) and bench search (the gallery)."""

from __future__ import annotations

from pathlib import Path

import click

from .common import FILE, as_json_option, deprecated_option, print_json, table_of, terminal, trust_weights_option


@click.group("bench", invoke_without_command=True)
@click.option("--cameras", "config_path", type=FILE, help="config whose cameras and settings are used")
@click.option("--rounds", type=click.IntRange(1, 1000), default=3, show_default=True, help="measurements of each kind")
@click.option("--baseline", help="also measure `ultralytics track` with these weights (.pt is exported to OpenVINO)")
@deprecated_option("--peer", "peer", "--baseline")
@click.option("--twice", is_flag=True, help="also measure peak memory with the footage played twice")
@trust_weights_option
@as_json_option
@click.pass_context
def bench_command(
    context: click.Context,
    config_path: Path | None,
    rounds: int,
    baseline: str | None,
    peer: str | None,
    twice: bool,
    trust_weights: bool,
    as_json: bool,
) -> None:
    """Measure speed and peak memory of the whole pipeline.

    Frames/s are compared with a bare loop that only decodes and detects.
    """
    if context.invoked_subcommand is not None:
        return None
    if config_path is None:
        raise click.UsageError("Missing option '--cameras'.")
    from ..config.loader import load_config
    from ..evaluation.bench import benchmark_pipeline

    result = benchmark_pipeline(load_config(config_path), rounds, baseline or peer, twice, trust_weights)
    if as_json:
        return print_json(result)
    console = terminal()
    stages = sorted({stage for row in result.rounds for one in row for stage in one.stage_seconds})
    console.print(
        table_of(
            "speed, peak memory, and each stage's share of the busy time of all threads",
            ("measured", "frames", "frames/s", "peak MiB", *stages),
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
        console.print(f"peak memory, footage played twice / once: {result.peak_growth:.3f}")
    return None


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
