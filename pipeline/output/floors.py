"""Show the floor of each camera of a config: the grid of metres in its first frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ...reid.disk.files import is_png_by, make_folder, write_png
from ...reid.disk.guard import MARK
from ..config.floor_plan import read_floor_plan
from ..config.loader import load_config
from ..errors import ConfigError
from ..pictures.picture_file import decode_picture
from ..running.inputs import guard_of_config
from ..running.prepare import open_cameras
from ..sources import opening
from ..sources.opening import Source
from ..types import Frame, Image
from .floor_grid import FAR_SHARE, draw_floor_grid

PLAN_NAME = "floor_plan"
SOURCES_LOG = opening.__name__.rpartition(".")[0]


def draw_floors(path: Path, folder: Path, force: bool = False) -> list[Path]:
    """Draw the floor grid into the first frame of every camera with a homography, as CAMERA.png, and into the plan.

    Args:
        path: the config file.
        folder: created if missing.
        force: replace files that are no earlier drawings, too.

    Raises:
        ConfigError: the config is wrong, its plan cannot be read, or it has neither a plan nor a homography.
        SourceError: no camera's footage can be opened.
        OutputError: `folder` cannot be written, or holds other files of these names.
    """
    config = load_config(path)
    floors = {name: camera.pixels_to_floor for name, camera in config.cameras.items()}
    plan = read_floor_plan(config.floor_plan)
    if plan is None and not any(floors.values()):
        raise ConfigError(f"{path}: no camera has a homography or floor_points: there is no floor to draw")
    guard, written = guard_of_config(config, [path], force), list[Path]()

    def draw(name: str, image: Image, floor: list[list[float]], far_share: float) -> None:
        target = folder / f"{name}.png"
        guard.check(target, lambda one: is_png_by(one, MARK))
        make_folder(folder)
        write_png(target, draw_floor_grid(image, np.array(floor), far_share))
        written.append(target)

    if plan is not None:
        name = PLAN_NAME
        while name in floors:  # a camera may have that name
            name += "_"
        draw(name, decode_picture(plan.image, max(plan.width, plan.height)).image, plan.pixels_to_floor, 0.0)
    for name, source in open_cameras(config)[0].items():
        floor = floors[name]
        frame = None if floor is None else _first_frame(source)
        if frame is not None and floor is not None:
            draw(name, frame.image, floor, FAR_SHARE)
    return written


def _first_frame(source: Source) -> Frame | None:
    log = logging.getLogger(SOURCES_LOG)
    level = log.level
    log.setLevel(logging.ERROR)  # the rest is left unread on purpose, which is no problem of the footage
    try:
        frames = source.frames(threading.Event())
        frame = next(frames, None)
        if isinstance(frames, Generator):
            frames.close()
    finally:
        log.setLevel(level)
    return frame
