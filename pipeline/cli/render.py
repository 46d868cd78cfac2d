"""The command that turns results into videos: render."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SourceError
from .common import as_json_option, cameras_option, database_option, open_store, print_json, run_option, table_of

if TYPE_CHECKING:
    from ..output.render import Rendering


@click.command()
@click.option("--out", "folder", type=click.Path(path_type=Path), required=True, help="the folder for the videos")
@click.option("--camera", "only", multiple=True, metavar="NAME", help="only this camera; may be given several times")
@click.option("--no-mosaic", is_flag=True, help="leave out the video of all cameras side by side")
@click.option("--quiet", is_flag=True, help="show nothing but errors")
@database_option
@cameras_option
@run_option
@as_json_option
def render(
    folder: Path,
    only: tuple[str, ...],
    no_mosaic: bool,
    quiet: bool,
    database: str | None,
    config_path: Path | None,
    run: int | None,
    as_json: bool,
) -> None:
    """Draw boxes, identities and paths into a run's footage: a video per camera, and one of all in step."""
    from rich.console import Console

    from ..output.render import render as draw
    from .progress import Display

    with _ended_in_order(), open_store(database, config_path) as store:
        if quiet or as_json:
            rendering = draw(store, folder, run, only, not no_mosaic)
        else:
            with Display(Console(stderr=True)) as display:
                rendering = draw(store, folder, run, only, not no_mosaic, display)
    if as_json:
        print_json(rendering)
    elif not quiet:
        _print_rendering(rendering)
    troubles = [camera.error for camera in rendering.cameras if camera.error]
    if troubles:
        raise SourceError("; ".join(troubles))


def _print_rendering(rendering: Rendering) -> None:
    from rich.console import Console

    rows: list[tuple[object, ...]] = [
        (camera.camera, camera.frames, camera.path or "[red]failed[/]") for camera in rendering.cameras
    ]
    if rendering.mosaic:
        rows.append(("all", rendering.mosaic_frames, rendering.mosaic))
    Console().print(
        table_of(f"run {rendering.run}: rendered in {rendering.seconds:.0f} s", ("camera", "frames", "video"), rows)
    )


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that no half-written file stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
