"""The command line: `python -m sample_videos COMMAND`."""

from __future__ import annotations

from pathlib import Path

import click

_OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
_SEED = click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same pictures.")


@click.group(help=__doc__)
def main() -> None:
    """Group of commands."""


@main.command()
@_OUT
@_SEED
@click.option("--count", type=int, default=100, show_default=True, help="Frames.")
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first frame.")
def scenes(out: Path, seed: int, count: int, first: int) -> None:
    """Single frames of other stores with YOLO labels, to train a detector."""
    from .data_sets.scenes import write_scenes

    written = sum(1 for _ in write_scenes(out, seed, count, first))
    click.echo(f"{written} frames written to {out}, {count - written} were there")


@main.command()
@_OUT
@_SEED
@click.option("--identities", type=int, default=100, show_default=True, help="People.")
@click.option("--per-identity", type=int, default=16, show_default=True, help="Crops of each.")
@click.option("--first", type=int, default=1, show_default=True, help="Number of the first person.")
def crops(out: Path, seed: int, identities: int, per_identity: int, first: int) -> None:
    """Single people, 256x128, in Market-1501 naming, to train re-identification."""
    from .data_sets.crops import write_crops

    written = sum(1 for _ in write_crops(out, seed, identities, per_identity, first))
    click.echo(f"{written} crops written to {out}, {identities * per_identity - written} were there")


@main.command()
@_OUT
@click.option(
    "--videos", type=click.Path(path_type=Path, exists=True), default=Path("sample_videos"), show_default=True
)
@click.option("--whole", is_flag=True, help="Leave out whom the border of the picture cuts off.")
def cut(out: Path, videos: Path, whole: bool) -> None:
    """The sample store's people, cut out by the ground truth: a re-identification test set in Market-1501 naming."""
    from .data_sets.cut import cut_people

    click.echo(f"{sum(1 for _ in cut_people(videos, out, whole))} crops written to {out}")


def _report(name: str, frame: int) -> None:
    if frame % 50 == 0:
        click.echo(f"{name}: frame {frame}")


@main.command()
@_OUT
@_SEED
@click.option("--cameras", default="", help="Which, by comma.  [default: all of the store]")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Length of the film.")
def video(out: Path, seed: int, cameras: str, seconds: float) -> None:
    """A store's videos, their truth and a config: seed 1 is the sample store, every other seed another store."""
    from .filming.film import shoot
    from .filming.productions import SAMPLE_SEED, sample
    from .other_stores.seeded_store import other_store

    try:
        production = (sample(seed) if seed == SAMPLE_SEED else other_store(seed)).shortened(seconds)
    except ValueError as error:
        raise click.UsageError(f"--seed {seed}: {error}") from error
    names = cameras.split(",") if cameras else list(production.shots)
    if unknown := [name for name in names if name not in production.shots]:
        raise click.UsageError(f"--cameras {unknown[0]}: the store of seed {seed} has {', '.join(production.shots)}")
    shoot(production, out, names, _report)


@main.command()
@_OUT
@_SEED
def tiny(out: Path, seed: int) -> None:
    """The small pair of videos that the tests use."""
    from .filming import productions
    from .filming.film import shoot

    shoot(productions.tiny(seed), out, ["left", "right"], _report)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG file to write.")
def plan(out: Path) -> None:
    """The sample store from above, which its config shows under the paths of people."""
    from .stores.plan_picture import write_plan
    from .stores.store import SAMPLE

    click.echo(write_plan(SAMPLE, out))


@main.command("detector_recall")
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, help="YOLO weights.")
@click.option("--confidence", type=float, default=0.25, show_default=True)
@click.option("--size", type=int, default=640, show_default=True, help="Network input, pixels.")
@click.option("--every", type=int, default=10, show_default=True, help="Use every n-th video frame.")
def detector_recall(folder: Path, weights: Path, confidence: float, size: int, every: int) -> None:
    """Recall of an off-the-shelf detector on people at least half visible, in a folder of videos or scenes."""
    from .measuring.detector_recall import recall_of_scenes, recall_of_video, yolo

    detect = yolo(weights, confidence, size)
    if (folder / "images").exists():
        results = {"scenes": recall_of_scenes(folder, detect)}
    else:
        results = {
            path.stem: recall_of_video(folder, path.stem, detect, every) for path in sorted(folder.glob("*.mp4"))
        }
    for name, (hits, people, strays) in results.items():
        click.echo(f"{name}: found {hits} of {people} ({hits / max(people, 1):.1%}), {strays} boxes match nobody")


@main.command("trackers")
@click.argument("config", type=click.Path(path_type=Path, exists=True))
@click.argument("truth", type=click.Path(path_type=Path, exists=True))
def trackers(config: Path, truth: Path) -> None:
    """All trackers on one store: its config and its folder of ground truth."""
    from dataclasses import astuple, fields

    from .measuring.tracker_comparison import Row, compare_trackers

    click.echo("| " + " | ".join(field.name for field in fields(Row)) + " |")
    click.echo("|---" * len(fields(Row)) + "|")
    for row in compare_trackers(config, truth):
        cells = [f"{value:.3f}" if isinstance(value, float) and value <= 1 else f"{value:.0f}"
                 if isinstance(value, float) else str(value) for value in astuple(row)]
        click.echo("| " + " | ".join(cells) + " |")


@main.command("long")
@_OUT
@click.option("--config", type=click.Path(path_type=Path, exists=True), default=Path("configs/store.yaml"),
              show_default=True)
@click.option("--truth", type=click.Path(path_type=Path, exists=True), default=Path("sample_videos/truth"),
              show_default=True)
@click.option("--hours", type=click.FloatRange(min=0.1, max=240), default=8.0, show_default=True)
@click.option("--every", type=click.FloatRange(min=60), default=1200.0, show_default=True,
              help="Seconds from one repetition of the clips to the next; nothing is recorded in between.")
def long_run(out: Path, config: Path, truth: Path, hours: float, every: float) -> None:
    """Run hours of footage, the clips of a config repeated, and draw what every hour costs."""
    from .measuring.long_run import measure_run, write_long_footage

    for name in write_long_footage(config, truth, out, hours, every):
        click.echo(f"{name} written")
    result = measure_run(out / "store.yaml", out)
    click.echo(f"{result['frames']} frames in {result['seconds']:.0f} s, {result['identities']} identities; "
               f"see {out / 'long_run.png'}")


if __name__ == "__main__":
    main()
