"""Draw a sweep: IDF1 above, identities and wrong links below, over the settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ....reid.disk.files import write_chart
from .sweep import Point, Sweep, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 11, 7, 110
CEILINGS = (("tracklets_idf1", "--", "perfect linking of these tracklets"),
            ("detection_idf1", ":", "perfect identities on these boxes"))


def draw_sweep(sweep: Sweep, path: Path) -> None:
    """Draw a sweep as PNG, written atomically.

    The horizontal axis is the key with the most values; every combination of the other keys is a line.
    """
    from matplotlib.figure import Figure  # heavy; used this way it needs no display

    figure = Figure((WIDTH_INCHES, HEIGHT_INCHES), DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    values = {key: list(dict.fromkeys(point.setting[key] for point in sweep.points)) for key in sweep.current.setting}
    key = max(values, key=lambda name: len(values[name]))
    others = [name for name in values if name != key]
    lines = {
        _named(zip(others, combination, strict=True)): group
        for combination, group in _grouped(sweep.points, others)}
    places = _Places(values[key], sweep.current.setting[key])
    _draw_scores(above, sweep, lines, key, places)
    _draw_links(below, sweep, lines, key, places)
    below.set_xlabel(f"linking.{key}")
    if places.names:
        below.set_xticks(range(len(places.names)), places.names)
    write_chart(path, figure)


class _Places:
    """Where values lie on the horizontal axis: numbers where they are, words in a row."""

    def __init__(self, values: Sequence[Value], current: Value) -> None:
        words = any(isinstance(value, str) for value in values)
        self.names = [str(value) for value in dict.fromkeys([*values, current])] if words else []

    def of(self, value: Value) -> float:
        return float(self.names.index(str(value)) if self.names else value)


def _grouped(points: Sequence[Point], keys: Sequence[str]) -> list[tuple[tuple[Value, ...], list[Point]]]:
    """The points of every combination of some keys, in order."""

    def combination(point: Point) -> tuple[Value, ...]:
        return tuple(point.setting[key] for key in keys)

    order = {one: place for place, one in enumerate(dict.fromkeys(map(combination, points)))}
    together = sorted(points, key=lambda point: order[combination(point)])
    return [(one, list(group)) for one, group in groupby(together, key=combination)]


def _draw_scores(axes: Axes, sweep: Sweep, lines: dict[str, list[Point]], key: str, places: _Places) -> None:
    for attribute, dashes, label in CEILINGS:
        ceiling = getattr(sweep, attribute)
        if ceiling is not None:
            axes.axhline(100 * ceiling, color="grey", linestyle=dashes, label=f"{label}: {100 * ceiling:.1f}")
    if sweep.baseline is not None:
        best = _percent(sweep.baseline)
        axes.axhline(best, color="C2", linestyle="-.", label=f"baseline at its best threshold: {best:.1f}")
    for number, (label, points) in enumerate(lines.items()):
        width = 1.5 + (len(lines) - 1 - number)  # lines that coincide remain visible
        axes.plot([places.of(one.setting[key]) for one in points], [_percent(one) for one in points], marker=".",
                  linewidth=width, label=label or "linked again")
    for point, marker, size, fill, name in (
        (sweep.best, "*", 14, "gold", "best"), (sweep.current, "o", 20, "none", "this run's setting"),
    ):
        setting = _named(point.setting.items())
        axes.plot(places.of(point.setting[key]), _percent(point), marker, markersize=size, markerfacecolor=fill,
                  color="black", linestyle="none", label=f"{name}: {_percent(point):.1f} with\n{setting}")
    axes.set(ylabel="IDF1 over all cameras, %", title=f"run {sweep.run}: linking again with other settings")
    _finish(axes)


def _draw_links(axes: Axes, sweep: Sweep, lines: dict[str, list[Point]], key: str, places: _Places) -> None:
    for label, points in lines.items():
        x = [places.of(one.setting[key]) for one in points]
        axes.plot(x, [one.identities for one in points], marker=".", label=f"identities {label}".rstrip())
        if len(lines) == 1:  # more would be a tangle
            axes.plot(x, [one.false for one in points], marker=".", color="C3", label="false links")
            axes.plot(x, [one.missed for one in points], marker=".", color="C1", label="missed links")
    axes.axhline(sweep.people, color="grey", linestyle="--", label=f"people: {sweep.people}")
    axes.set(ylabel="count")
    axes.set_ylim(bottom=0)
    _finish(axes)


def _named(setting: Iterable[tuple[str, Value]]) -> str:
    return "\n".join(f"{key} {value if isinstance(value, str) else f'{value:g}'}" for key, value in setting)


def _percent(point: Point) -> float:
    return 100 * point.idf1 if point.idf1 is not None else float("nan")


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), markerscale=0.6)
