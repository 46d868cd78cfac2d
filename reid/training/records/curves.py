"""Draw training curves: every loss above, held-out mAP below, over the epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...disk.files import write_chart
from .log import EpochRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 10, 9, 100
DASHES = {"masked": "-", "plain": "--", "permuted": ":"}


def draw_curves(records: Sequence[EpochRecord], path: Path) -> None:
    """Draw a run as PNG, written atomically; without records nothing is written."""
    if not records:
        return
    from matplotlib.figure import Figure  # heavy; used this way it needs no display

    figure = Figure((WIDTH_INCHES, HEIGHT_INCHES), DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_losses(above, records)
    _draw_scores(below, records)
    below.set_xlabel("epoch")
    write_chart(path, figure)


def _draw_losses(axes: "Axes", records: Sequence[EpochRecord]) -> None:
    for name in sorted({name for record in records for name in record["losses"]}):
        points = [(record["epoch"] + 1, record["losses"][name]) for record in records if name in record["losses"]]
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    skipped = sum(record["skipped"] for record in records)
    axes.set(ylabel="loss, mean of the epoch", yscale="log", title=f"losses ({skipped} steps skipped)")
    axes.grid(alpha=0.3)
    _legend(axes)


def _draw_scores(axes: "Axes", records: Sequence[EpochRecord]) -> None:
    evaluated = [record for record in records if record["held_out"]]
    held_out = evaluated[0]["held_out"] if evaluated else {}
    sets = [(folder, query) for folder, queries in held_out.items() for query in queries]
    for colour, (folder, query) in enumerate(sets):
        for metric, dashes in DASHES.items():
            points = [
                (record["epoch"] + 1, 100 * record["held_out"][folder][query][metric]["mean_average_precision"])
                for record in evaluated
            ]
            label = f"{folder}, {query}, {metric}"
            axes.plot(*zip(*points, strict=True), dashes, color=f"C{colour}", marker=".", label=label)
    axes.set(ylabel="mAP, %", title="held-out identities" if sets else "no identities held out, or not evaluated yet")
    axes.grid(alpha=0.3)
    _legend(axes)


def _legend(axes: "Axes") -> None:
    if axes.lines:
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
