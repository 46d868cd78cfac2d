"""The render command: a run's results as annotated videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import SourceError
from ..options import ANY_PATH, database_options, force_option, open_store
from ..printing import by_camera, coloured, print_json, table_of, terminal

if TYPE_CHECKING:
    from ...output.video.render import Rendering


@click.command("render")
@click.option("--out", "folder", type=ANY_PATH, required=True, help="folder for the videos")
@click.option("--camera", "only", multiple=True, metavar="NAME", help="render only this camera; repeatable")
@click.option("--no-mosaic", is_flag=True, help="skip the video of all cameras side by side")
@force_option
@click.option("--quiet", is_flag=True, help="print errors only")
@database_options
def render_command(
    folder: Path,
    only: tuple[str, ...],
    no_mosaic: bool,
    force: bool,
    quiet: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Draw boxes, identities and paths into the footage.

    Writes one video per camera, and a mosaic of all cameras synchronised.
    """
    from rich.console import Console

    from ...output.video.render import render_run
    from ..progress import Display

    inputs = [] if config_path is None else [config_path]
    with open_store(database, config_path) as store:
        if quiet or as_json:
            rendering = render_run(store, folder, run, only, not no_mosaic, None, inputs, force)
        else:
            with Display(Console(stderr=True)) as display:
                rendering = render_run(store, folder, run, only, not no_mosaic, display, inputs, force)
    if as_json:
        print_json(rendering)
    elif not quiet:
        _print_rendering(rendering)
    errors = [(camera.camera, camera.error) for camera in rendering.cameras if camera.error]
    if errors:
        raise SourceError(by_camera(errors))


def _print_rendering(rendering: Rendering) -> None:
    rows: list[tuple[object, ...]] = [
        (camera.camera, camera.frames, camera.path or coloured("failed", "red")) for camera in rendering.cameras
    ]
    if rendering.mosaic:
        rows.append(("mosaic", rendering.mosaic_frames, rendering.mosaic))
    terminal().print(
        table_of(f"run {rendering.run}: rendered in {rendering.seconds:.0f} s", ("camera", "frames", "video"), rows)
    )
