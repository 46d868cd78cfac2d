"""The command that shows how sure the links of a run are: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from .options import ANY_PATH, FILE, database_options, force_option, open_store, prepare_png
from .printing import print_json, table_of, terminal

if TYPE_CHECKING:
    from ..config.linking import CalibrationConfig
    from ..evaluation.linking.calibration import Assessment
    from ..storage.store import Store


@click.command("calibrate")
@click.option("--truth", type=ANY_PATH, help="ground truth as of `evaluate`: shows how often links are right")
@click.option("--fit", "fitted", is_flag=True, help="print the weights that ground truth gives, or, without it, "
              "persons' answers about links")
@click.option(
    "--also",
    type=(FILE, ANY_PATH),
    multiple=True,
    metavar="DATABASE TRUTH",
    help="fit to the newest run of this database, too; repeatable",
)
@click.option("--out", type=FILE, help="draw distributions and reliability into this PNG")
@force_option
@database_options
def calibrate_command(
    truth: Path | None,
    fitted: bool,
    also: tuple[tuple[Path, Path], ...],
    out: Path | None,
    force: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Show how sure the links of a stored run are.

    Needs no footage and changes nothing in the database.
    """
    from ...reid.wording import counted
    from ..evaluation.linking.calibration import assess, fit, read_decisions
    from ..running.inputs import guard_of_run
    from ..storage.runs import run_number

    if also and (truth is None or not fitted):
        raise ConfigError("--also: is for a fit to several runs with ground truth: give --fit and --truth")
    with open_store(database, config_path) as store:
        number = run_number(store, run)
        if out is not None:
            inputs = [path for path in (truth, config_path) if path is not None]
            prepare_png(out, guard_of_run(store, number, inputs, force))
        found = assess(store, number, truth)
        decisions = [read_decisions(store, number, truth)] if fitted and truth is not None else []
        answered = _fit_to_answers(store, number) if fitted and truth is None else None
    for path, its_truth in also:
        with open_store(str(path), None) as store:
            decisions.append(read_decisions(store, None, its_truth))
    weights = fit(decisions) if decisions else None if answered is None else answered[0]
    if out is not None:
        from ..evaluation.linking.calibration_chart import draw_calibration

        draw_calibration(found, out)
    if as_json:
        return print_json(_assessment_json(found, weights))
    _print_assessment(found)
    if weights is not None:
        fitted_to = ", ".join(f"{name}: {value:.2f}" for name, value in weights.model_dump().items())
        basis = counted(len(decisions), "run") if answered is None else answered[1]
        terminal().print(f"fitted to {basis}: linking.calibration: {{{fitted_to}}}")
    return None


def _assessment_json(found: Assessment, weights: CalibrationConfig | None) -> dict[str, object]:
    return {
        "run": found.run,
        "false_link_rate": found.false_link_rate,
        "needed_similarity": found.needed_similarity,
        "missed_looks": found.missed_looks,
        "false_looks": found.false_looks,
        "reliability": found.reliability,
        "fitted": None if weights is None else weights.model_dump(),
    }


def _fit_to_answers(store: Store, run: int) -> tuple[CalibrationConfig, str]:
    """The calibration that persons' answers give, and what they are."""
    from ..evaluation.linking.answers import adjusted, read_answers
    from ..relinking.relink import shown_linking

    answers = read_answers(store, run)
    weights, scale, shift = adjusted(answers, shown_linking(store, run).calibration)
    return weights, (
        f"{len(answers.right)} answers, {int(answers.right.sum())} of them for the link (Brier score "
        f"{answers.brier():.3f} before, {answers.brier(scale, shift):.3f} after)")


def _print_assessment(found: Assessment) -> None:
    console = terminal()
    console.print(
        f"run {found.run}: a link needs a probability of {1 - found.false_link_rate:g}; by appearance alone, a "
        f"similarity of {found.needed_similarity:.2f}"
    )
    for share, count, what in (
        (
            found.missed_looks,
            len(found.looks.one_person),
            "pairs of a tracklet's crops, seconds apart, are below it",
        ),
        (found.false_looks, len(found.looks.two_people), "pairs of people seen at once in one camera are above it"),
    ):
        if share is not None:
            console.print(f"{100 * share:.1f} % of {count} {what}")
    reliability = found.reliability
    if reliability is None:
        return
    console.print(
        table_of(
            "decisions by their stated probability, in %",
            ("decisions", "stated", "right"),
            [(count, f"{100 * stated:.1f}", f"{100 * right:.1f}") for count, stated, right in reliability.bins],
        )
    )
    console.print(
        f"{reliability.decisions} decisions: calibration error {100 * reliability.error:.1f} %, Brier score "
        f"{reliability.brier:.3f}"
    )
    if reliability.stated is not None and reliability.found is not None:
        console.print(
            f"{reliability.links} of them are sure enough for a link: {100 * reliability.found:.1f} % of these are "
            f"false, {100 * reliability.stated:.1f} % were stated"
        )
