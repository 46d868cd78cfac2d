"""Commands that judge an appearance model: evaluate-reid."""

from __future__ import annotations

from pathlib import Path

import click

from .cli_reid import FOLDER, told
from .cli_tools import FILE, as_json_option, print_json, table_of, terminal


@click.command("evaluate-reid")
@click.option("--weights", type=FILE, help="an exported model; the bundled one by default")
@click.option("--data", type=FOLDER, required=True, help="a folder in Market-1501's layout: query, bounding_box_test")
@as_json_option
def evaluate_reid(weights: Path | None, data: Path, as_json: bool) -> None:
    """Score an appearance model by Market-1501's protocol: plain, masked, and with masks permuted."""
    from .. import reid
    from ..reid.evaluation import evaluate_folder

    with told():
        scores = evaluate_folder(reid.Embedder(weights or reid.SHIPPED_WEIGHTS), data)
    if as_json:
        return print_json(scores)
    terminal().print(
        table_of(
            str(data),
            ("similarity", "mAP", "rank-1", "rank-5", "rank-10"),
            [
                (
                    way,
                    *(f"{100 * share:.1f}" for share in (one.mean_average_precision, one.rank1, one.rank5, one.rank10)),
                )
                for way, one in scores.items()
            ],
        )
    )
    return None
