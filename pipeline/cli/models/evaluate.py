"""Commands that evaluate an appearance model: evaluate-reid (mAP, CMC, speed) and explain (heat maps)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ....reid.disk.files import make_folder, write_png, write_text
from ....reid.disk.guard import Guard, begins_with
from ..options import FILE, FOLDER, as_json_option, deprecated_option, force_option, prepare_png
from ..printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ....reid.evaluation.report import QueryReport, Report


@click.command("evaluate-reid")
@click.option(
    "--data", type=FOLDER, required=True, help="a published data set, or a folder with query/ and bounding_box_test/"
)
@click.option("--layout", help="layout of the data set, e.g. cuhk03-labeled  [default: detected]")
@click.option("--weights", type=FILE, help="exported model  [default: the bundled accurate.onnx]")
@click.option(
    "--precision", type=click.Choice(["auto", "float", "int8"]), default="auto", show_default=True,
    help="int8 is faster; auto takes it where the processor and the model are made for it")
@click.option("--occluded", type=FOLDER, multiple=True, help="folder of occluded queries; repeatable")
@click.option("--occlude", "synthetic", is_flag=True, help="also score the queries under synthetic occlusion")
@click.option(
    "--oracle", "with_oracle", is_flag=True,
    help="also score the masks of an oracle that sees the occluded queries unoccluded: what a mask could gain at most")
@click.option(
    "--baseline", "baselines", type=FILE, multiple=True, help="network to compare with, .xml or .onnx; repeatable"
)
@deprecated_option("--peer", "peers", "--baseline", type=FILE, multiple=True)
@click.option("--speed", "with_speed", is_flag=True, help="also measure crops/s, relative to the first baseline")
@click.option("--page", type=FILE, help="draw example rankings into this PNG")
@click.option("--markdown", type=FILE, help="write the mAP of all query sets as a table into this file")
@force_option
@as_json_option
def evaluate_reid_command(
    data: Path,
    layout: str | None,
    weights: Path | None,
    precision: Literal["auto", "float", "int8"],
    occluded: tuple[Path, ...],
    synthetic: bool,
    with_oracle: bool,
    baselines: tuple[Path, ...],
    peers: tuple[Path, ...],
    with_speed: bool,
    page: Path | None,
    markdown: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Score an appearance model: mAP and CMC.

    By the protocol of Market-1501, with plain, masked and permuted-mask similarity.
    """
    from .... import reid
    from ....reid.evaluation.report import Task, evaluate, markdown_table

    weights = weights or reid.SHIPPED_WEIGHTS
    networks = (*baselines, *peers)
    guard = Guard([data, weights, *occluded, *networks], force=force)
    if page is not None:
        prepare_png(page, guard)
    if markdown is not None:
        guard.check(markdown, _is_table)
        make_folder(markdown.parent)
    _show_log()
    with_page = page is not None
    report = evaluate(
        Task(data, layout, weights, precision, occluded, synthetic, with_oracle, networks, with_speed, with_page)
    )
    if page is not None and report.page is not None:
        write_png(page, report.page)
    if markdown is not None:
        write_text(markdown, markdown_table(report))
    if as_json:
        print_json({name: value for name, value in vars(report).items() if name != "page"})
    else:
        _print_report(report)


class _Explain(click.Group):
    """A group in which pictures may follow at once: `explain crop.png` is `explain crops crop.png`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with the command that is meant."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["crops", *args]
        return super().parse_args(ctx, args)


@click.group("explain", cls=_Explain)
def explain_group() -> None:
    """Draw what a model sees, or why a link was made.

    Without a command's name, it is `crops`: `reidpipe explain crop.png --out maps.png`.
    """


@explain_group.command("crops")
@click.argument("images", type=FILE, nargs=-1, required=True)
@click.option("--out", type=FILE, required=True, help="PNG to write")
@click.option("--weights", type=FILE, help="exported model  [default: the bundled accurate.onnx]")
@force_option
def explain_command(images: tuple[Path, ...], out: Path, weights: Path | None, force: bool) -> None:
    """Draw where an appearance model sees the person.

    One heat map for each of the crops of people, IMAGES.
    """
    from .... import reid
    from ....reid.disk.files import read_image
    from ....reid.evaluation.evidence_map import draw_evidence_sheet

    weights = weights or reid.SHIPPED_WEIGHTS
    prepare_png(out, Guard([*images, weights], force=force))
    crops = [read_image(path) for path in images]
    evidence = reid.Embedder(weights).evidence(crops)
    write_png(out, draw_evidence_sheet(crops, evidence, [path.stem for path in images]))
    click.echo(f"evidence maps: {out}")


def _show_log() -> None:
    """Log counts, warnings and progress to standard error."""
    import logging

    logging.basicConfig(format="%(message)s")
    logging.getLogger("reidpipe").setLevel(logging.INFO)


def _print_report(report: Report) -> None:
    console = terminal()
    for one in report.queries:
        console.print(_scores_table(one))
        console.print(
            f"query masks: participation ratio {one.mask.participation_ratio:.3f}, "
            f"{100 * one.mask.between_images:.1f} % of the variance is between images"
        )
    if report.speeds:
        rows = [(one.name, f"{one.crops_per_second:.0f}", f"{one.ratio:.2f}") for one in report.speeds]
        reference = report.speeds[min(1, len(report.speeds) - 1)].name
        console.print(
            table_of("speed: batches of 8, 2 threads", ("network", "crops/s", f"relative to {reference}"), rows)
        )


def _scores_table(one: QueryReport) -> object:
    return table_of(
        f"{one.queries}: {next(iter(one.scores.values())).queries} queries",
        ("similarity", "mAP %", "rank-1 %", "rank-5 %", "rank-10 %"),
        [
            (name, *(f"{100 * share:.1f}" for share in (of.mean_average_precision, of.rank1, of.rank5, of.rank10)))
            for name, of in one.scores.items()
        ],
    )


def _is_table(path: Path) -> bool:
    return begins_with(path, "| mAP |")
