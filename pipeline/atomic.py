"""How is a result file written, so that nobody ever finds half of one?  Beside its place, then moved there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the place of `path` if the block ends well, else it is removed.

    Raises:
        OutputError: the folder is missing or unwritable, the disk is full, or `path` is not an ordinary file.
    """
    target = path.expanduser().resolve()  # a link stays a link
    if target.exists() and not target.is_file():
        raise OutputError(f"{path} is not a file: give another path")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist: create it, or give another path")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
