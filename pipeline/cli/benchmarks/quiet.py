"""`reidpipe bench quiet`: what is saved and lost where quiet frames are not searched."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import ANY_PATH, FILE, NumberRange, as_json_option, trust_weights_option
from ..printing import print_json, table_of, terminal

VARIATIONS = ("plain", "light", "flicker", "rain", "noise", "dark", "compressed", "pauses")  # of `varied`


@click.command("quiet")
@click.option("--cameras", "config_path", type=FILE, required=True, help="config whose cameras and settings are used")
@click.option("--truth", type=ANY_PATH, help="ground truth, folder with CAMERA.csv, to score the tracks")
@click.option(
    "--vary",
    type=click.Choice(VARIATIONS),
    multiple=True,
    default=("plain",),
    show_default=True,
    help="how the footage is changed; repeatable. pauses: an empty scene is played in between",
)
@click.option("--frames", type=click.IntRange(1, 10**9), help="of each camera, at most  [default: all]")
@click.option(
    "--pause-seconds",
    type=NumberRange(0, 3600),
    default=45.0,
    show_default=True,
    help="length of each pause, after every five seconds of footage",
)
@trust_weights_option
@as_json_option
def quiet_command(
    config_path: Path,
    truth: Path | None,
    vary: tuple[str, ...],
    frames: int | None,
    pause_seconds: float,
    trust_weights: bool,
    as_json: bool,
) -> None:
    """Measure who is lost where quiet frames are not searched.

    Every frame is searched, and compared with what detector.quiet_seconds would have found.
    """
    from ...bench.quiet.benchmark import bench_quiet
    from ...config.loader import load_config

    found = bench_quiet(load_config(config_path), truth, vary, frames, pause_seconds, trust_weights)
    if as_json:
        return print_json(found)

    def share(part: float | None, whole: float = 1.0) -> str:
        return "-" if part is None or not whole else f"{100 * part / whole:.2f}"

    terminal().print(
        table_of(
            "detection in quiet footage, in %; agreement: IDF1 against the tracks of full detection",
            ("camera", "footage", "frames", "searched", "people", "recall", "IDF1 full", "IDF1 quiet", "agreement"),
            [
                (one.camera, one.variation, one.frames, share(one.searched, one.frames), one.people,
                 share(one.people - one.lost, one.people), share(one.idf1_full), share(one.idf1_quiet),
                 share(one.agreement))
                for one in found
            ],
        )
    )
    return None
