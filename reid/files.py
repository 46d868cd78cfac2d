"""Read images and write files: the one image reader and the one atomic writer of the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ImageError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read one image file, rotated as its EXIF orientation says.

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        ImageError: the file is missing, unreadable, empty, truncated or not an image; the message begins with the path.
    """
    import cv2  # imported late, as the command line needs only the writer at start
    import numpy as np

    try:
        encoded = path.read_bytes()  # cv2.imread cannot open every file name on every system
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such image") from error
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error
    if not encoded:
        raise ImageError(f"{path}: is empty (0 bytes)")
    # OpenCV before 5 fills the missing part of a truncated JPEG with grey and reports no error.
    cut = encoded.startswith(JPEG_START) and encoded.find(JPEG_END, encoded.rfind(JPEG_SCAN)) < 0
    try:
        image = None if cut else cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{path}: is not an image, or a damaged one") from error
    if image is None:
        raise ImageError(f"{path}: is {'cut off' if cut else 'not an image, or a damaged one'}")
    return np.ascontiguousarray(image, np.uint8)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: completely or not at all.

    Yields:
        A temporary path in the same folder.  When the block succeeds, the file written there is flushed to the disk
        and replaces `path`; otherwise it is removed and `path` stays as it was.

    Raises:
        OutputError: the folder is missing or unwritable, the disk is full, or `path` is not a regular file.
    """
    target = path.expanduser().resolve()  # a symbolic link stays one; the file that it points to is replaced
    if target.exists() and not target.is_file():
        raise OutputError(f"{path} is not a file: give another path")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist: create it, or give another path")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)  # so that the new directory entry, too, survives a power cut
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; raises as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: Path) -> None:
    """Create a folder and its parents, if they do not exist.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created: {error.strerror}: give another path") from error


def _flush(path: Path) -> None:
    """Flush a file, or where the system allows it a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
