"""Draw how a run's similarities separate people, and how well stated probabilities hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ....reid.disk.files import write_chart
from ...linking.evidence.calibration import log_odds
from .calibration import Assessment, Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_INCHES, WIDTH_INCHES, DOTS_PER_INCH = 5.0, 6.5, 110  # of one panel
BARS = np.linspace(-1, 1, 41).tolist()
MOST_ODDS = 12.0
LEGEND_ROOM = 1.3  # times the tallest bar


def draw_calibration(found: Assessment, path: Path) -> None:
    """Draw an assessment as PNG, written atomically: one panel, or three with ground truth."""
    from matplotlib.figure import Figure  # heavy; used this way it needs no display

    panels = 1 if found.reliability is None else 3
    figure = Figure((panels * WIDTH_INCHES, HEIGHT_INCHES), DOTS_PER_INCH, layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    _draw_looks(axes[0], found)
    if found.reliability is not None:
        _draw_decisions(axes[1], found)
        _draw_reliability(axes[2], found.reliability)
    figure.suptitle(f"run {found.run}: how sure links are")
    write_chart(path, figure)


def _draw_looks(axes: Axes, found: Assessment) -> None:
    for similarity, label, colour in (
        (found.looks.one_person, "crops of one tracklet, seconds apart: one person", "C0"),
        (found.looks.two_people, "tracklets seen at once in one camera: two people", "C3"),
    ):
        if len(similarity):
            axes.hist(similarity, BARS, density=True, alpha=0.55, color=colour, label=f"{label} ({len(similarity)})")
    axes.axvline(found.needed_similarity, color="black", label=f"enough for a link: {found.needed_similarity:.2f}")
    axes.set(xlabel="masked similarity", ylabel="density", title="appearance alone, without ground truth")
    _leave_room(axes)
    _finish(axes)


def _draw_decisions(axes: Axes, found: Assessment) -> None:
    odds = np.clip(found.odds, -MOST_ODDS, MOST_ODDS)
    bars = np.linspace(-MOST_ODDS, MOST_ODDS, 33).tolist()
    for right, label, colour in ((True, "right", "C0"), (False, "wrong", "C3")):
        own = odds[found.right == right]
        axes.hist(own, bars, alpha=0.55, color=colour, label=f"{label} ({len(own)})")
    line = log_odds(1 - found.false_link_rate)
    axes.axvline(line, color="black", label=f"operating point: probability {1 - found.false_link_rate:.2f}")
    axes.set(xlabel="log-odds of the likeliest earlier identity", ylabel="tracklets", title="decisions")
    _leave_room(axes)
    _finish(axes)


def _draw_reliability(axes: Axes, reliability: Reliability) -> None:
    stated = [100 * one for _, one, _ in reliability.bins]
    right = [100 * one for _, _, one in reliability.bins]
    axes.plot([0, 100], [0, 100], color="grey", linestyle="--", label="perfectly calibrated")
    axes.plot(stated, right, color="C0", alpha=0.5)
    sizes = [10 + 4 * count for count, _, _ in reliability.bins]
    axes.scatter(stated, right, sizes, color="C0", label="decisions, size by number")
    for (count, _, _), x, y in zip(reliability.bins, stated, right, strict=True):
        axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(6, -10), fontsize="small")
    title = f"reliability: calibration error {100 * reliability.error:.1f} %, Brier score {reliability.brier:.3f}"
    axes.set(xlabel="stated probability, %", ylabel="right, %", title=title, xlim=(-3, 103), ylim=(-3, 106))
    _finish(axes, "lower right")


def _leave_room(axes: Axes) -> None:
    """Room above the tallest bar, so that the legend covers none."""
    axes.set_ylim(top=LEGEND_ROOM * axes.get_ylim()[1])


def _finish(axes: Axes, legend: Literal["upper left", "lower right"] = "upper left") -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc=legend)
