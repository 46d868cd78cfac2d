"""`reidpipe bench search`: search in a gallery, compared with FAISS."""

from __future__ import annotations

import click

from ..options import as_json_option
from ..printing import print_json, table_of, terminal


@click.command("search")
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
    from ....reid.search.bench import bench_search

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
