"""Draw a benchmark: milliseconds per frame by stage, ours beside the baselines."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from ....reid.disk.files import write_chart
from .benchmark import Benchmark

WIDTH_INCHES, ROW_INCHES, DOTS_PER_INCH = 10, 0.55, 110
REST = "everything"  # of measurements that know no stages


def draw_benchmark(result: Benchmark, path: Path) -> None:
    """Draw a benchmark as PNG, written atomically: one bar per kind of measurement, the median over the rounds.

    A bar is as long as a frame takes; its parts are the stages' shares of the busy time.
    """
    from matplotlib.figure import Figure  # heavy; used this way it needs no display

    turns = list(zip(*result.rounds, strict=True))  # of each kind
    figure = Figure((WIDTH_INCHES, 1.6 + ROW_INCHES * len(turns)), DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    stages = sorted({stage for turn in turns for stage in turn[0].stage_seconds})
    colours = {stage: f"C{number}" for number, stage in enumerate([*stages, REST])}
    drawn: set[str] = set()
    for row, turn in enumerate(turns):
        length = 1000 / median(one.frames_per_second for one in turn)  # ms
        parts = turn[0].stage_seconds or {REST: 1.0}
        left = 0.0
        for stage, seconds in sorted(parts.items()):
            width = length * seconds / sum(parts.values())
            axes.barh(row, width, left=left, color=colours[stage], label=None if stage in drawn else stage)
            drawn.add(stage)
            left += width
        axes.text(left, row, f" {length:.1f} ms, {median(one.peak_mib for one in turn):.0f} MiB", va="center")
    axes.set_yticks(range(len(turns)), [turn[0].what for turn in turns])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("ms per frame, divided by each stage's share of the busy time")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=len(drawn), frameon=False)
    write_chart(path, figure)
