"""Commands that make appearance models: train, ablate, leave-one-out, export-model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..options import FILE, FOLDER, force_option
from ..printing import terminal

if TYPE_CHECKING:
    from .progress import TrainingDisplay


@click.command("train")
@click.option("--config", "recipe", type=FILE, required=True, help="training recipe, see configs/train")
@click.option("--out", type=FOLDER, required=True, help="folder for checkpoints and the log")
@click.option("--resume", is_flag=True, help="continue from the last checkpoint in the output folder")
@force_option
def train_command(recipe: Path, out: Path, resume: bool, force: bool) -> None:
    """Train an appearance model."""
    from ....reid.training.train import train

    with _training_display() as display:
        checkpoint = train(recipe, out, resume, [display], force)
    click.echo(f"checkpoint: {checkpoint}")


@click.command("ablate")
@click.option("--config", "recipe", type=FILE, required=True, help="training recipe of the full method")
@click.option("--out", type=FOLDER, required=True, help="folder for all runs and the table; finished runs are kept")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="training runs per part, each with another seed",
)
@click.option(
    "--part", "parts", multiple=True, help="switch off only this part; repeatable  [default: every part in turn]"
)
@force_option
def ablate_command(recipe: Path, out: Path, seeds: int, parts: tuple[str, ...], force: bool) -> None:
    """Train with one part of the method off at a time.

    The table compares every variant with the full method, on held-out people.
    """
    from ....reid.training.studies.ablation import run_ablation, table

    with _training_display() as display:
        rows = run_ablation(recipe, out, seeds, parts, [display], display.headline, force)
    click.echo(table(rows))


@click.command("leave-one-out")
@click.option("--config", "recipe", type=FILE, required=True, help="training recipe with a section leave_one_out")
@click.option("--out", type=FOLDER, required=True, help="folder for all runs and the table; finished runs are kept")
@force_option
def leave_one_out_command(recipe: Path, out: Path, force: bool) -> None:
    """Train without each data set in turn, and test on it.

    The tests choose how much of the start's weights to keep. The weights of all runs are averaged.
    """
    from ....reid.training.studies.leave_one_out import run_leave_one_out, table

    with _training_display() as display:
        rows = run_leave_one_out(recipe, out, [display], display.headline, force)
    click.echo(table(rows))


@click.command("fit-discriminant")
@click.argument("checkpoint", type=FILE)
@click.option("--config", "recipe", type=FILE, required=True, help="recipe with a section discriminant")
@click.option("--out", type=FILE, required=True, help="checkpoint to write")
@force_option
def fit_discriminant_command(checkpoint: Path, recipe: Path, out: Path, force: bool) -> None:
    """Fit the last layer of a CHECKPOINT to people.

    The linear map, computed in closed form, brings out what tells the people of the recipe's training folders apart.
    """
    from ....reid.training.fit_discriminant import fit_checkpoint

    fit_checkpoint(checkpoint, recipe, out, force)
    click.echo(f"checkpoint: {out}")


@contextmanager
def _training_display() -> Iterator[TrainingDisplay]:
    """Show progress and log messages of a training on the terminal."""
    import logging

    from rich.logging import RichHandler

    from .progress import TrainingDisplay

    console = terminal()
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("reidpipe").setLevel(logging.INFO)
    with TrainingDisplay(console) as display:
        yield display


@click.command("export-model")
@click.argument("checkpoint", type=FILE)
@click.argument("out", type=FILE)
@click.option(
    "--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True, help="of the weights"
)
@click.option(
    "--int8", "calibration", type=FOLDER,
    help="measure on the crops in this folder how to compute with 8-bit integers, too")
@force_option
def export_model_command(
    checkpoint: Path, out: Path, precision: Literal["fp32", "fp16"], calibration: Path | None, force: bool
) -> None:
    """Export a trained CHECKPOINT as ONNX to OUT.

    The exported model is checked against the checkpoint. With --int8, CHECKPOINT may be an exported model.
    """
    from ....reid.export import export

    if calibration is not None and precision != "fp32":
        raise click.UsageError("--int8 and --precision fp16 cannot be combined")
    export(checkpoint, out, precision, calibration, force)
    click.echo(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")
