"""Commands of the person detector: train-detector, evaluate-detector."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ConfigError
from .common import FILE, as_json_option, print_json, table_of, terminal

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("train-detector")
@click.option("--weights", type=FILE, required=True, help="a COCO detector of ultralytics (.pt) to start from")
@click.option("--scenes", type=FOLDER, multiple=True, help="rendered scenes with images/ and labels/; repeatable")
@click.option("--footage", type=FILE, multiple=True, help="video of real people, labelled by WEIGHTS; repeatable")
@click.option("--out", type=FOLDER, required=True, help="where labels, checkpoints and person.onnx go")
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True)
def train_detector(weights: Path, scenes: tuple[Path, ...], footage: tuple[Path, ...], out: Path, epochs: int) -> None:
    """Fine-tune a detector's answer for people, and export it as ONNX."""
    import logging

    from ..train_detector import train_detector as train

    for path in (weights, *scenes, *footage):
        if not path.exists():
            raise ConfigError(f"{path} does not exist")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    made = train(weights, scenes, footage, out, epochs=epochs)
    click.echo(f"{made}: {made.stat().st_size / 2**20:.1f} MiB")


@click.command("evaluate-detector")
@click.option("--cameras", "config_path", type=FILE, required=True, help="whose detector, on whose footage")
@click.option("--truth", type=FOLDER, help="score AP50 against the ground truth in this folder")
@click.option("--reference", help="score the agreement with these weights instead")
@click.option("--min-visible", type=click.FloatRange(0, 1), default=0.3, show_default=True)
@as_json_option
def evaluate_detector(
    config_path: Path, truth: Path | None, reference: str | None, min_visible: float, as_json: bool
) -> None:
    """Score the person detector of a config."""
    from ..config.loader import load_config
    from ..evaluation.detector import score_against_truth, score_agreement

    config = load_config(config_path)
    if (truth is None) == (reference is None):
        raise ConfigError("give either --truth or --reference")
    if truth is not None:
        scores = score_against_truth(config, truth, min_visible)
        if as_json:
            return print_json(scores)
        table = table_of(
            f"people at least {100 * min_visible:.0f} % visible",
            ("camera", "people", "AP50", "recall at 0.25"),
            [(one.camera, one.people, f"{one.average_precision:.3f}", f"{one.recall:.3f}") for one in scores],
        )
        return terminal().print(table)
    agreement = score_agreement(config, str(reference))
    if as_json:
        return print_json(agreement)
    table = table_of(
        f"agreement with {reference}",
        ("camera", "its boxes", "found", "false boxes", "its false boxes"),
        [
            (one.camera, one.reference_boxes, f"{100 * one.found:.1f} %", one.false_boxes, one.reference_false_boxes)
            for one in agreement
        ],
    )
    return terminal().print(table)
