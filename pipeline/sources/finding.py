"""Find the footage that a camera's `source` names."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...reid.wording import counted, did_you_mean, natural_order
from ..config.cameras import ADDRESS, DEVICE
from ..credentials import address_without_credentials
from ..errors import SourceError
from .image_folder import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v", ".webm", ".264", ".h264", ".265"})


@dataclass(frozen=True, slots=True)
class Footage:
    """The files that a config's `source` names.

    Attributes:
        kind: one video, images, or consecutive video segments.
        files: in reading order.
    """

    kind: Literal["video", "images", "segments"]
    files: tuple[Path, ...]


def find_footage(source: str) -> Footage:
    """The files that a `source` names.

    Raises:
        SourceError: there are none, or they cannot be read.
    """
    if ADDRESS.match(source) or DEVICE.fullmatch(source):
        raise SourceError(
            f"{address_without_credentials(source)}: live sources are not supported yet; record them and give the files"
        )
    try:
        return _files_at(source)
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror}") from error


def _files_at(source: str) -> Footage:
    path = Path(source)
    if path.is_dir():
        return _images_in(path)
    if path.exists():
        return Footage("images" if _is_image(path) else "video", (path,))
    if glob.has_magic(source):
        return _matching(source)
    if not path.parent.is_dir():
        raise SourceError(f"{source}: no such file; there is no folder {path.parent}")
    names = [entry.name for entry in path.parent.iterdir()]
    raise SourceError(f"{source}: no such file{did_you_mean(path.name, names) or '; check the path'}")


def _images_in(folder: Path) -> Footage:
    files = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    images = sorted((file for file in files if _is_image(file)), key=lambda file: natural_order(file.name))
    if images:
        return Footage("images", tuple(images))
    videos = sorted({file.suffix for file in files if file.suffix.lower() in VIDEO_SUFFIXES})
    if videos:
        raise SourceError(f"{folder}: is a folder of videos; to join them in order, give {folder}/*{videos[0]}")
    found = f"it holds {counted(len(files), 'other file')}" if files else "it is empty"
    raise SourceError(f"{folder}: is a folder without images, {found}; give a video file, or a folder of .jpg or .png")


def _matching(pattern: str) -> Footage:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
    files = [file for file in map(Path, sorted(names, key=natural_order)) if file.is_file()]
    videos = tuple(file for file in files if not _is_image(file))
    if videos:  # a recorder's preview images beside its segments are not footage
        return Footage("segments", videos)
    if files:
        return Footage("images", tuple(files))
    folder = Path(re.split(r"[*?\[]", pattern, maxsplit=1)[0] + "x").parent
    raise SourceError(f"{pattern}: matches no file{_contents(folder)}")


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    names = sorted((entry.name for entry in folder.iterdir()), key=natural_order)
    if not names:
        return f"; {folder} is empty"
    return f"; {folder} holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES
