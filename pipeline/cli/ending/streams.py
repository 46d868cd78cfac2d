"""Standard streams that end no command: closed ones are replaced, and messages that nothing takes are discarded."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast


@contextmanager
def usable_streams() -> Iterator[None]:
    """Make the standard streams usable, whatever the caller connected or closed.

    A closed stream discards what is written to it. Standard error discards what it cannot write: a full disk behind
    messages, or a reader of them that has ended, must not end a run of hours. Letters that an encoding lacks are
    printed as escapes: names of cameras and files may hold any.
    """
    _occupy_closed_numbers()
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # Typed as always there; but they are None if they were closed when the interpreter started.
        output, messages = (cast(TextIO, stream or nowhere) for stream in before)
        for stream in (output, messages):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        sys.stdout, sys.stderr = output, cast(TextIO, _Messages(messages))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def discard(stream: TextIO) -> None:
    """Send to nowhere what is still to be written to a stream, where the interpreter would fail again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Messages:
    """A text stream whose failures are not raised; see `usable_streams`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            discard(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush what can be written."""
        try:
            self._stream.flush()
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the stream's own
        return getattr(self._stream, name)


def _occupy_closed_numbers() -> None:
    """Keep the numbers of closed streams from the next file that is opened: libraries print into whatever has them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
