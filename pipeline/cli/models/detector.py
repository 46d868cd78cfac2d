"""Commands of the person detector: train-detector, thin-detector, export-detector, evaluate-detector."""

from __future__ import annotations

from pathlib import Path

import click

from ....reid.disk.files import failing_as
from ...errors import ConfigError
from ..options import (
    ANY_PATH,
    FILE,
    FOLDER,
    NumberRange,
    as_json_option,
    force_option,
    min_visible_option,
    trust_weights_option,
)
from ..printing import print_json, table_of, terminal


@click.command("train-detector")
@click.option(
    "--weights", type=FILE, required=True, help="COCO detector of ultralytics (.pt); needs --trust-weights"
)
@click.option("--scenes", type=FOLDER, multiple=True, help="rendered images/ with YOLO labels/; repeatable")
@click.option(
    "--footage", type=ANY_PATH, multiple=True, help="video, or folder of .jpg, that the start weights label; repeatable"
)
@click.option("--every", type=click.IntRange(1, 10**6), default=10, show_default=True, help="use every N-th frame")
@click.option("--out", type=FOLDER, required=True, help="folder for labels, checkpoints and person.onnx")
@click.option("--epochs", type=click.IntRange(1, 10_000), default=3, show_default=True, help="of training")
@click.option(
    "--learning-rate", type=NumberRange(0, 1, min_open=True), default=3e-4, show_default=True, help="highest"
)
@click.option("--start-from", type=FILE, help="person.pt of an earlier training, to go on from it")
@click.option(
    "--keep-backbone", type=NumberRange(0, 1),
    help="mix so much of the start weights' backbone into that of --start-from, and train only the rest",
)
@force_option
@trust_weights_option
def train_detector_command(
    weights: Path,
    scenes: tuple[Path, ...],
    footage: tuple[Path, ...],
    every: int,
    out: Path,
    epochs: int,
    learning_rate: float,
    start_from: Path | None,
    keep_backbone: float | None,
    force: bool,
    trust_weights: bool,
) -> None:
    """Fine-tune a person detector and export it as ONNX."""
    import logging

    from ...detector.train import train_detector

    for path in (weights, *([start_from] if start_from else []), *scenes):
        _check_readable(path)
    _check_footage(footage)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    exported = train_detector(
        weights, scenes, footage, out, every, epochs, learning_rate=learning_rate, start_from=start_from,
        kept_backbone=keep_backbone, force=force, trust_weights=trust_weights,
    )
    click.echo(f"{exported}: {exported.stat().st_size / 2**20:.1f} MiB")


@click.command("thin-detector")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--footage", type=ANY_PATH, multiple=True, required=True, help="video, or folder of .jpg; repeatable")
@click.option("--every", type=click.IntRange(1, 10**6), default=10, show_default=True, help="use every N-th frame")
@click.option("--channels", type=click.IntRange(1, 1024), default=32, show_default=True, help="inside the new head")
@click.option("--steps", type=click.IntRange(1, 10**6), default=2000, show_default=True, help="of 16 images")
@force_option
def thin_detector_command(
    weights: Path, out: Path, footage: tuple[Path, ...], every: int, channels: int, steps: int, force: bool
) -> None:
    """Give an ONNX detector a thinner, faster head.

    It learns from the head that WEIGHTS has, which must be that of a YOLOv8. Needs no labels, but footage with people
    as the detector will see them.
    """
    import logging

    from ...detector.thinning import thin_detector

    _check_footage(footage)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    written = thin_detector(weights, footage, out, channels, every, steps, force=force)
    click.echo(f"{written}: {written.stat().st_size / 2**20:.1f} MiB")


@click.command("export-detector")
@click.argument("weights", type=FILE)
@click.argument("out", type=FOLDER)
@click.option("--int8", is_flag=True, required=True, help="quantise to 8-bit integers; needs the extra `int8`")
@click.option("--calibrate", "footage", type=FILE, multiple=True, required=True, help="a camera's video; repeatable")
@click.option("--image-size", type=click.IntRange(32, 4096), default=640, show_default=True, help="long side in pixels")
@force_option
def export_detector_command(
    weights: Path, out: Path, int8: bool, footage: tuple[Path, ...], image_size: int, force: bool
) -> None:
    """Quantise an ONNX detector: WEIGHTS to the folder OUT.

    OUT must end in _openvino_model; give it as `detector.weights`.
    """
    from ...detector.quantise import quantise_detector

    for path in footage:
        with failing_as(ConfigError, path):
            if not path.is_file():
                raise ConfigError(f"{path} does not exist")
    written = quantise_detector(weights, footage, out, image_size, force)
    size = written.stat().st_size + written.with_suffix(".bin").stat().st_size
    click.echo(f"{out}: {size / 2**20:.1f} MiB")


@click.command("evaluate-detector")
@click.option("--cameras", "config_path", type=FILE, required=True, help="config of the detector and the cameras")
@click.option("--truth", type=FOLDER, help="score AP50 against ground truth in this folder")
@click.option("--reference", help="score the agreement with these weights of another detector")
@min_visible_option
@trust_weights_option
@as_json_option
def evaluate_detector_command(
    config_path: Path,
    truth: Path | None,
    reference: str | None,
    min_visible: float,
    trust_weights: bool,
    as_json: bool,
) -> None:
    """Score a config's person detector.

    Either against ground truth, or by its agreement with another detector.
    """
    from ...config.loader import load_config
    from ...evaluation.detector import score_against_truth, score_agreement

    config = load_config(config_path)
    if (truth is None) == (reference is None):
        raise ConfigError("expected either --truth or --reference")
    if truth is not None:
        scores = score_against_truth(config, truth, min_visible, trust_weights)
        if as_json:
            return print_json(scores)
        table = table_of(
            f"ground truth at least {100 * min_visible:.0f} % visible",
            ("camera", "truth boxes", "AP50", "recall at confidence 0.25"),
            [(one.camera, one.people, f"{one.average_precision:.3f}", f"{one.recall:.3f}") for one in scores],
        )
        return terminal().print(table)
    agreement = score_agreement(config, str(reference), trust_weights)
    if as_json:
        return print_json(agreement)
    table = table_of(
        f"agreement with {reference}",
        ("camera", "reference boxes", "found", "false boxes", "false boxes of the reference"),
        [
            (one.camera, one.reference_boxes, f"{100 * one.found:.1f} %", one.false_boxes, one.reference_false_boxes)
            for one in agreement
        ],
    )
    return terminal().print(table)


def _check_footage(footage: tuple[Path, ...]) -> None:
    """Refuse what is neither a file nor a folder of .jpg."""
    for path in footage:
        _check_readable(path)
        if path.is_dir() and all(one.suffix != ".jpg" for one in path.iterdir()):
            raise ConfigError(f"{path} holds no .jpg: give a video, or a folder of photos")


def _check_readable(path: Path) -> None:
    with failing_as(ConfigError, path):
        if not path.exists():
            raise ConfigError(f"{path} does not exist")
        if path.is_dir():
            list(path.iterdir())
        else:
            path.open("rb").close()
