"""Messages between a camera and its decoder: JSON on a Unix socket, checked, as it may have been taken over.

A decoder that sends anything else ends its own camera, like one that crashes.
"""

from __future__ import annotations

import json
import math
import socket
import threading
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ...types import CameraStatus
from ..timestamps import HIGHEST_FPS, LOWEST_FPS

SLOTS = 1  # frames in shared memory; the decoder holds the next one, and puts it there as soon as this one is copied
MESSAGE_BYTES = 1 << 18  # larger than any message; Unix sockets take about 200 KiB at once
LARGEST_SIDE_PX = 1 << 16  # of a frame
PLACE_LENGTH = 2000  # characters
MOST_FRAMES = 1 << 53  # what every database and every JSON reader can hold
LATEST_SECONDS = 4e10  # of a frame: the year 3237

Message = dict[str, Any]
Side = Annotated[int, Field(gt=0, lt=LARGEST_SIDE_PX)]
Count = Annotated[int, Field(ge=0, le=MOST_FRAMES)]
Seconds = Annotated[float, Field(ge=-LATEST_SECONDS, le=LATEST_SECONDS)]
Slot = Annotated[int, Field(ge=0, lt=SLOTS)]
Line = Annotated[str, BeforeValidator(lambda text: " ".join(str(text).split()))]


class _Checked(BaseModel):
    """A message from a decoder."""

    model_config = ConfigDict(allow_inf_nan=False)


class Opened(_Checked):
    """What the footage is; see `Source`."""

    width: Side
    height: Side
    fps: float = Field(ge=LOWEST_FPS, le=HIGHEST_FPS)
    start_seconds: Seconds
    frame_count: Count | None
    duration_seconds: float | None = Field(ge=0)


class Header(_Checked):
    """What is wrong with a file's header; empty if nothing is."""

    problem: Line


class Counts(_Checked):
    """The counts so far; see `FootageCounts`."""

    decoded: Count
    thinned: Count
    damaged: Count
    status: CameraStatus
    problems: list[Line]
    broken_off: bool


class Progress(_Checked):
    """One message while the footage is read.

    Attributes:
        frame: its index, its UTC epoch seconds, and where it lies in shared memory; None for a quiet frame.
        inside: of the frame's `Place`.
        counts: the counts so far.
        log: logger, level and text of what the decoder logged.
        ended: whether the footage is read to its end.
    """

    frame: tuple[Count, Seconds, Slot | None] | None = None
    inside: Annotated[str, Field(max_length=PLACE_LENGTH)] = ""
    counts: Counts | None = None
    log: list[tuple[str, int, Line]] = []
    ended: bool = False


def in_order(message: Message, after_seconds: float) -> Progress:
    """A message of the reading, checked.

    Raises:
        ValueError: it is none, its frame is not later than the one before, or quiet without one before.
    """
    progress = Progress.model_validate(message)
    if progress.frame is not None:
        _, seconds, slot = progress.frame
        if not seconds > after_seconds:
            raise ValueError("frames must follow each other in time")
        if slot is None and after_seconds == -math.inf:
            raise ValueError("the first frame must have a picture")
    return progress


class DisconnectedError(Exception):
    """The other end of a link is closed."""


class Link:
    """One end of the connection between a camera and its decoder; every message is one JSON object."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Message, file: int | None = None) -> None:
        """Send a message, with an open file if given.

        Raises:
            DisconnectedError: the other end is closed.
        """
        content = json.dumps(message).encode()
        with self._sending:
            self._connection.settimeout(None)
            try:
                socket.send_fds(self._connection, [content], [] if file is None else [file])
            except OSError as error:
                raise DisconnectedError from error

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next message; None if the other end is closed.

        Raises:
            TimeoutError: none came in time.
            ValueError: it is not JSON, or not an object.
        """
        return self.receive_with_file(timeout_seconds)[0]

    def receive_with_file(self, timeout_seconds: float | None = None) -> tuple[Message | None, int]:
        """The next message, and the file that came with it, -1 without one; as `receive`."""
        self._connection.settimeout(timeout_seconds)
        try:
            content, files, _, _ = socket.recv_fds(self._connection, MESSAGE_BYTES, 1)
        except ConnectionResetError:  # once, if the other end closed with messages unread; its own come after it
            return self.receive_with_file(timeout_seconds)
        return (_object(content) if content else None), (files[0] if files else -1)

    def close(self) -> None:
        """Close this end; a decoder at the other end is killed."""
        self._connection.close()


def _object(content: bytes) -> Message:
    try:
        message = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(message, dict):
        raise ValueError("expected a JSON object")
    return message
