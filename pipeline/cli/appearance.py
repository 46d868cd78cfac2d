"""Commands of the appearance model: train, ablate, export-model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from .common import FILE, terminal

if TYPE_CHECKING:
    from .training_progress import TrainingDisplay

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--config", "recipe", type=FILE, required=True, help="a training recipe, e.g. of configs/train")
@click.option("--out", type=FOLDER, required=True, help="where checkpoints and the log go")
@click.option("--resume", is_flag=True, help="go on from the last checkpoint in OUT")
def train(recipe: Path, out: Path, resume: bool) -> None:
    """Train an appearance model."""
    from ...reid.training.train import train as train_model

    with _shown() as display:
        checkpoint = train_model(recipe, out, resume, [display])
    click.echo(f"checkpoint: {checkpoint}")


@click.command()
@click.option("--config", "recipe", type=FILE, required=True, help="the whole method, e.g. of configs/train")
@click.option("--out", type=FOLDER, required=True, help="where all runs and the table go; runs done before are kept")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="trainings per part")
@click.option("--part", "parts", multiple=True, help="switch off this part only (repeatable); all by default")
def ablate(recipe: Path, out: Path, seeds: int, parts: tuple[str, ...]) -> None:
    """Train with one part of the method off at a time, and tell what each is worth."""
    from ...reid.training.ablation import ablate as train_all
    from ...reid.training.ablation import table

    with _shown() as display:
        rows = train_all(recipe, out, seeds, parts, [display], display.headline)
    click.echo(table(rows))


@contextmanager
def _shown() -> Iterator[TrainingDisplay]:
    """Training on the terminal: progress, and what the log says."""
    import logging

    from rich.logging import RichHandler

    from .training_progress import TrainingDisplay

    console = terminal()
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("reidpipe").setLevel(logging.INFO)
    with TrainingDisplay(console) as display:
        yield display


@click.command("export-model")
@click.argument("checkpoint", type=FILE)
@click.argument("out", type=FILE)
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--int8", "calibration", type=FOLDER, help="quantise to 8 bits, with ranges from this folder of crops")
def export_model(checkpoint: Path, out: Path, precision: Literal["fp32", "fp16"], calibration: Path | None) -> None:
    """Write a trained CHECKPOINT as ONNX to OUT, and check that both give the same."""
    from ...reid.export import export

    if calibration is not None and precision != "fp32":
        raise click.UsageError("--int8 and --precision fp16 exclude each other")
    export(checkpoint, out, "int8" if calibration else precision, calibration)
    click.echo(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")
