"""Commands that score people's tracks and identities: evaluate and sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...reid.wording import counted
from ..errors import ConfigError
from .options import (
    ANY_PATH,
    FILE,
    database_options,
    force_option,
    linking_setting,
    min_visible_option,
    open_store,
    prepare_png,
)
from .printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ..evaluation.linking.sweep import Point, Sweep
    from ..evaluation.tracking import Evaluation

MIXED_SHOWN = 5

truth_option = click.option(
    "--truth",
    type=ANY_PATH,
    required=True,
    help="folder with CAMERA.csv, or CAMERA.txt in MOTChallenge text; a file for a single camera",
)
labelled_only_option = click.option(
    "--labelled-only", is_flag=True, help="ground truth is incomplete: ignore boxes that match none of it"
)


@click.command("evaluate")
@truth_option
@click.option("--results", type=ANY_PATH, help="score MOTChallenge text, not a run: a file or a folder with CAMERA.txt")
@min_visible_option
@labelled_only_option
@database_options
def evaluate_command(
    truth: Path,
    results: Path | None,
    min_visible: float,
    labelled_only: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Score a run, or result files, against ground truth.

    MOTA, IDF1 and HOTA per camera; identities over all cameras, and where they are lost.
    """
    from ..evaluation.tracking import evaluate_files, evaluate_run

    if results is not None:
        if database is not None or config_path is not None or run is not None:
            raise ConfigError("--results: give either files or a run of a database, not both")
        found = evaluate_files(results, truth, min_visible, labelled_only)
    else:
        with open_store(database, config_path) as store:
            found = evaluate_run(store, truth, run, min_visible, labelled_only)
    if as_json:
        print_json(found)
    else:
        _print_evaluation(found, "files" if results is not None else f"run {found.run}")


def _print_evaluation(found: Evaluation, what: str) -> None:
    console = terminal()
    console.print(table_of(
        f"{what}: tracks, scores in %; ground truth at least {100 * found.min_visible:.0f} % visible",
        ("camera", "MOTA", "IDF1", "HOTA", "DetA", "AssA", "LocA", "switches", "fragments"),
        [(one.camera, *map(_percent, (one.mota, one.tracking_idf1, one.tracking_hota, one.tracking_deta,
                                      one.tracking_assa, one.tracking_loca)), one.switches, one.fragments)
         for one in found.cameras]))
    console.print(table_of(
        "tracklets and identities within a camera",
        ("camera", "people", "their boxes", "tracklets", "purity", "identity IDF1"),
        [(one.camera, one.people, one.truth_boxes, one.tracklets, *map(_percent, (one.purity, one.identity_idf1)))
         for one in found.cameras]))
    meanings = ("detection: perfect identities on these boxes", "tracklets: perfect linking of these tracklets",
                "linking: as it is")
    console.print(table_of(
        "identities over all cameras: where they are lost, in %",
        ("stage", "IDF1", "lost here", "IDP", "IDR", "AssA"),
        [(meaning, *map(_percent, (one.idf1, one.lost, one.idp, one.idr, one.assa)))
         for meaning, one in zip(meanings, found.decomposition, strict=True)]))
    links, tracklets = found.links, found.tracklets
    console.print(
        f"cross-camera IDF1 {_percent(found.cross_idf1)} (IDP {_percent(found.cross_idp)}, IDR "
        f"{_percent(found.cross_idr)}), {found.identities} identities for {found.people} people in the ground truth")
    console.print(
        f"links: {links.false} of {links.links} are false, {links.missed} of {links.needed} are missed; "
        f"identities: purity {_percent(links.purity)}, completeness {_percent(links.completeness)}")
    console.print(
        f"tracklets: {tracklets.tracklets}, mean purity {_percent(tracklets.purity)}, {tracklets.below} below 80; "
        f"{links.without_identity} without identity, {tracklets.nobody} more show nobody")
    for one in tracklets.mixed[:MIXED_SHOWN]:
        console.print(f"  {one.camera}, track {one.track}: {one.boxes} boxes, {_shares(one.people)}")
    if found.without_truth:
        console.print(f"no ground truth for: {', '.join(found.without_truth)}")


def _shares(people: dict[str, int]) -> str:
    ordered = sorted(people.items(), key=lambda one: -one[1])
    return ", ".join(f"{count} of person {name}" for name, count in ordered)


@click.command("sweep")
@truth_option
@click.option("--false-link-rate", help="values: FIRST:LAST:STEP, or separated by commas  [default: 0.01 to 0.99]")
@click.option("--mode", help="modes, separated by commas")
@click.option("--set", "others", multiple=True, metavar="KEY=VALUES", help="another key of `linking`; repeatable")
@click.option("--out", type=FILE, help="draw the curve into this PNG")
@click.option("--csv", "csv_path", type=FILE, help="write all scores into this CSV file")
@force_option
@min_visible_option
@labelled_only_option
@database_options
def sweep_command(
    truth: Path,
    false_link_rate: str | None,
    mode: str | None,
    others: tuple[str, ...],
    out: Path | None,
    csv_path: Path | None,
    force: bool,
    min_visible: float,
    labelled_only: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Score a stored run linked with other settings.

    Needs no footage and changes nothing in the database.
    """
    from ...reid.disk.files import make_folder, write_text
    from ..evaluation.linking.sweep import is_sweep_csv, parse_values, sweep_csv, sweep_run
    from ..running.inputs import guard_of_run
    from ..storage.runs import run_number

    given = [(key, text) for key, text in (("false_link_rate", false_link_rate), ("mode", mode)) if text is not None]
    given += [linking_setting(text, "KEY=VALUES, such as max_gap_seconds=10,60,600") for text in others]
    grid = {key: parse_values(key, text) for key, text in given}
    inputs = [path for path in (truth, config_path) if path is not None]
    with open_store(database, config_path) as store:
        guard = guard_of_run(store, run_number(store, run), inputs, force)
        if out is not None:
            prepare_png(out, guard)
        if csv_path is not None:
            guard.check(csv_path, is_sweep_csv)
            make_folder(csv_path.parent)
        sweep = sweep_run(store, truth, grid, run, min_visible, labelled_only)
    if csv_path is not None:
        write_text(csv_path, sweep_csv(sweep))
    if out is not None:
        from ..evaluation.linking.sweep_chart import draw_sweep

        draw_sweep(sweep, out)
    if as_json:
        return print_json(sweep)
    return _print_sweep(sweep)


def _print_sweep(sweep: Sweep) -> None:
    console = terminal()
    columns = ("", *sweep.current.setting, "IDF1", "IDP", "IDR", "AssA", "identities", "false links", "missed links")
    points = sweep.points
    if all(one.setting != sweep.current.setting for one in points):
        points = [*points, sweep.current]
    console.print(table_of(
        f"run {sweep.run}: linked again with {len(sweep.points)} settings in {sweep.seconds:.1f} s; scores in %",
        columns, [_point_row(one, _marks(sweep, one)) for one in points]))
    console.print(
        f"{sweep.people} people in the ground truth; ceilings of IDF1: {_percent(sweep.tracklets_idf1)} by perfect "
        f"linking of these tracklets, {_percent(sweep.detection_idf1)} by perfect identities on these boxes")
    if sweep.baseline is not None:
        baseline = sweep.baseline
        console.print(
            "baseline (mean embeddings, agglomerative clustering, the threshold that is best for this ground truth, "
            f"{_short(baseline.setting['similarity'])}): IDF1 {_percent(baseline.idf1)}, "
            f"{baseline.identities} identities, {counted(baseline.false, 'false link')}, {baseline.missed} missed")


def _marks(sweep: Sweep, point: Point) -> str:
    named = (("this run", sweep.current), ("best", sweep.best))
    return ", ".join(name for name, one in named if one.setting == point.setting)


def _point_row(point: Point, mark: str) -> Sequence[object]:
    scores = map(_percent, (point.idf1, point.idp, point.idr, point.assa))
    return (mark, *map(_short, point.setting.values()), *scores, point.identities, point.false, point.missed)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
