"""Read images and write files: the one image reader and the one atomic writer of the project."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ImageError, OutputError, ReidpipeError
from .guard import MARK, real_path

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

PNG_START, PNG_HEADER_BYTES = b"\x89PNG\r\n\x1a\n", 33  # the signature and the first chunk
PNG_MAKER, PNG_HEAD_BYTES = "Software", 4096  # keyword of the PNG specification; text comes before the pixels
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


class Modes(NamedTuple):
    """Permissions of the files and folders that this program makes, whatever the umask."""

    file: int
    folder: int


MODES = {"owner": Modes(0o600, 0o700), "group": Modes(0o660, 0o770), "everyone": Modes(0o664, 0o775)}
OWNER = MODES["owner"]  # results show who was where and when


@contextmanager
def replacing(path: Path, modes: Modes = OWNER) -> Iterator[Path]:
    """Write a file atomically: completely or not at all.

    Yields:
        A temporary path in the same folder, an empty file that only its owner can read.  When the block succeeds, the
        file written there is flushed to the disk and replaces `path`; otherwise it is removed and `path` stays as it
        was.

    Raises:
        OutputError: the folder is missing or unwritable, the disk is full, or `path` is not a regular file.
    """
    target = real_path(path)  # a symbolic link stays one; the file that it points to is replaced
    temporary = _temporary_beside(path, target)
    try:
        yield temporary
        temporary.chmod(modes.file)
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)  # so that the new directory entry, too, survives a power cut
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(path: Path, target: Path) -> Path:
    try:
        if target.is_symlink() or (target.exists() and not target.is_file()):  # a link here is one of a loop
            raise OutputError(f"{path} is not a file: give another path")
        if not target.parent.is_dir():
            raise OutputError(f"{path}: its folder does not exist: create it, or give another path")
        handle, name = tempfile.mkstemp(".part", ".", target.parent)  # of mode 0600 and with a name nobody can guess
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    os.close(handle)
    return Path(name)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; raises as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_text(path: Path, text: str) -> None:
    """Append to a UTF-8 text file, which is made if it does not exist."""
    with open(path, "a", encoding="utf-8", opener=_private) as file:
        file.write(text)


def write_new(path: Path, content: bytes) -> None:
    """Write a file into a folder that is not complete yet, without flushing it to the disk."""
    with open(path, "wb", opener=_private) as file:
        file.write(content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER.file)


def make_folder(path: Path, modes: Modes = OWNER, parents: bool = True) -> None:
    """Create a folder, and with `parents` those around it, if they do not exist.

    Raises:
        OutputError: it cannot be created.
    """
    folder = path.expanduser()
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        if len(missing) > 1 and not parents:
            raise OutputError(f"{path} cannot be created: there is no folder {folder.parent}: give another path")
        for one in reversed(missing):
            if not one.exists():  # `new/..` exists once `new` does
                one.mkdir(modes.folder)
                one.chmod(modes.folder)  # whatever the umask took away
        folder.mkdir(exist_ok=True)  # fails if it is a file
    except OSError as error:
        raise OutputError(f"{path}: cannot be created: {error.strerror}: give another path") from error


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an image, uint8 (H, W, 3) BGR, as PNG that names this program as its maker.

    Raises:
        OutputError: the image is too large for PNG, or as `replacing` does.
    """
    import cv2

    encoded, content = cv2.imencode(".png", picture)
    if not encoded:
        raise OutputError(f"{path}: an image of {picture.shape[1]} x {picture.shape[0]} pixels cannot be encoded")
    png = content.tobytes()
    text = b"tEXt" + f"{PNG_MAKER}\0{MARK}".encode("ascii")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    with replacing(path) as temporary:
        temporary.write_bytes(png[:PNG_HEADER_BYTES] + chunk + png[PNG_HEADER_BYTES:])


def write_chart(path: Path, figure: Figure) -> None:
    """Write a figure of matplotlib as PNG that names this program as its maker.

    Raises:
        OutputError: as `replacing` does.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={PNG_MAKER: MARK})


def is_png_by(path: Path, *makers: str) -> bool:
    """Whether a file is a PNG that names one of these programs as its maker."""
    with path.open("rb") as file:
        head = file.read(PNG_HEAD_BYTES)
    return head.startswith(PNG_START) and any(f"{PNG_MAKER}\0{maker}".encode("latin-1") in head for maker in makers)


@contextmanager
def failing_as(kind: type[ReidpipeError], path: Path) -> Iterator[None]:
    """Raise an OSError of the block, such as a folder that is closed to this user, as an error of a kind of ours."""
    try:
        yield
    except OSError as error:
        raise kind(f"{error.filename or path}: {error.strerror or error}") from error


def _flush(path: Path) -> None:
    """Flush a file, or where the system allows it a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
