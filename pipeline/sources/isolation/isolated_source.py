"""Read one camera's footage in a process of its own: a crash inside a decoder then ends one camera, not the run.

Footage is untrusted, and decoders are large C programs. A server process without threads (`decoder.py`) is started once
and forks one decoder per camera. Control messages are JSON on a Unix socket, never pickles, so that a decoder that was
taken over cannot execute code here; frames travel through shared memory whose size only this side sets.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from ...config.cameras import CameraConfig, SourcesConfig
from ...errors import SourceError
from ...memory import ONE_PICTURE_AFTER_THE_OTHER
from ...types import Frame, Image, Place
from ..counts import FootageCounts
from ..quiet import QuietScene
from .messages import SLOTS, DisconnectedError, Header, Link, Message, Opened, Progress, in_order
from .pictures import PictureMemory

WAIT_SECONDS = 0.2  # between two checks of the stop event
DAMAGED = "its decoder sent damaged data"  # as one does that hostile footage has taken over

# The decoder's modules come from where this process found them, whatever its own start would set up.
START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from reidpipe.pipeline.sources.isolation.decoder import serve
serve(int(sys.argv[2]))
"""

Answer = TypeVar("Answer", bound=BaseModel)


class DecoderServer:
    """The process that forks decoders; it ends with this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if os.environ.get("REIDPIPE_DEBUG") else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C and a closed terminal concern the run, which then ends its decoders
                # Forking allows no threads.
                env=os.environ | ONE_PICTURE_AFTER_THE_OTHER | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self._control = ours

    @property
    def is_alive(self) -> bool:
        """Whether it can fork decoders."""
        return self._process.poll() is None

    def connect(self) -> Link:
        """Fork a decoder.

        Raises:
            OSError: the server has ended.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
        return Link(ours)

    def close(self) -> None:
        """End the server and its decoders."""
        self._control.close()
        self._process.wait()


class _Servers:
    """Keeps one server per process, as `multiprocessing` does: starting one takes half a second, a fork 10 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: DecoderServer | None = None
        self._owner = 0

    def connect(self) -> Link:
        return self.running().connect()

    def running(self) -> DecoderServer:
        with self._lock:
            if self._server is None or self._owner != os.getpid() or not self._server.is_alive:
                self._server, self._owner = DecoderServer(), os.getpid()
            return self._server


@cache
def _servers() -> _Servers:
    return _Servers()


def start_decoders() -> None:
    """Start the process that forks decoders, before it is needed: it takes half a second, beside other preparations."""
    with suppress(OSError):  # reported when a camera is opened
        _servers().running()


def _connected(camera: str) -> Link:
    try:
        return _servers().connect()
    except OSError as error:
        raise SourceError(
            f"camera {camera}: no process for its decoder can be started ({error.strerror}): "
            "end other programs, or set sources.isolate: false"
        ) from error


class IsolatedSource:
    """One camera's footage, decoded in another process; see `Source`. It can be read once.

    Args:
        camera, config, settings: as of `open_source`.
        pictures: where its pictures lie.

    Raises:
        SourceError: the footage cannot be opened, or not within `stall_seconds`, or the decoder crashed.
    """

    def __init__(
        self, camera: str, config: CameraConfig, settings: SourcesConfig, pictures: PictureMemory
    ) -> None:
        self.camera, self._pictures = camera, pictures
        self.counts = FootageCounts(camera)
        self._link = _connected(camera)
        request = {"camera": camera, "config": config.model_dump(mode="json")}
        opened = _answer(self._link, request, Opened, camera, settings)
        self.width, self.height, self.fps = opened.width, opened.height, opened.fps
        self.start_seconds = opened.start_seconds
        self.frame_count, self.duration_seconds = opened.frame_count, opened.duration_seconds
        self._place: Place | None = None

    def continue_after(self, place: Place) -> None:
        """Leave out the frames up to a place; see `Source.continue_after`."""
        self._place = place

    def frames(self, stop: threading.Event, quiet: QuietScene | None = None) -> Iterator[Frame]:
        """Receive the decoded frames; damage and crashes are counted, never raised.

        Args:
            stop: once set, no further frame is yielded.
            quiet: see `Source.frames`.
        """
        reached_end = False
        moment, seconds = -math.inf, 0.0
        image: Image | None = None  # of the last frame that was not quiet
        try:
            slots = self._shared_memory(quiet)  # (SLOTS, H, W, 3)
            while not stop.is_set():
                try:
                    message = self._link.receive(WAIT_SECONDS)
                    progress = None if message is None or "died" in message else in_order(message, moment)
                except TimeoutError:
                    continue
                except ValueError:
                    self.counts.break_off(f"{DAMAGED} after {seconds:.1f} s of footage")
                    return
                if progress is None:
                    self.counts.break_off(f"{_death(message)} after {seconds:.1f} s of footage")
                    return
                _relog(progress)
                if progress.counts is not None:
                    self.counts.mirror(progress.counts.model_dump())
                if progress.frame is not None:
                    index, moment, slot = progress.frame
                    seconds = moment - self.start_seconds
                    if slot is not None:
                        image = self._pictures.copy(slots[slot])
                        with suppress(DisconnectedError):  # it may have ended; what it sent before is still to be read
                            self._link.send({"free": slot})
                    assert image is not None  # the first frame has one
                    place = Place(index, self.counts.state(), progress.inside)
                    yield Frame(self.camera, index, moment, image, place, quiet=slot is None)
                reached_end = progress.ended
                if reached_end:
                    return
        finally:
            self._link.close()
            self.counts.finish(reached_end=reached_end, seconds=seconds)

    def _shared_memory(self, quiet: QuietScene | None) -> Image:
        size = SLOTS * self.height * self.width * 3
        file = os.memfd_create(f"reidpipe-{os.getpid()}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(file, size)
            # A decoder that shrank it would end this process as soon as it reads.
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            memory = mmap.mmap(file, size)
            with suppress(DisconnectedError):
                after = None if self._place is None else asdict(self._place)
                look = None if quiet is None else [quiet.look_seconds, quiet.restart_seconds]
                self._link.send({"read": True, "after": after, "quiet": look}, file)
        finally:
            os.close(file)
        return np.frombuffer(memory, np.uint8).reshape(SLOTS, self.height, self.width, 3)


def isolated_problems(files: Sequence[Path], settings: SourcesConfig) -> list[str]:
    """One line per video file whose header cannot be read, found by another process; see `unreadable`."""
    link = _connected("")
    try:
        problems: list[str] = []
        for path in files:
            try:
                problem = _answer(link, {"header_of": str(path)}, Header, "", settings).problem
            except SourceError as error:
                link.close()
                link = _connected("")
                problems.append(f"{path}: {error}")
                continue
            if problem:
                problems.append(problem)
        return problems
    finally:
        link.close()


def _answer(link: Link, request: Message, kind: type[Answer], camera: str, settings: SourcesConfig) -> Answer:
    """What the decoder answers to a request.

    Raises:
        SourceError: it refuses, crashes, answers no such thing, or takes longer than `stall_seconds`.
    """
    name = f"camera {camera}: " if camera else ""
    try:
        with suppress(DisconnectedError):  # the server then says how the decoder ended
            link.send(request)
        while True:
            message = link.receive(settings.stall_seconds)
            if message is None or "died" in message:
                problem = f"{name}{_death(message)} when the footage was opened"
                break
            if "refused" in message:
                problem = " ".join(str(message["refused"]).split())
                break
            if "log" not in message:
                return kind.model_validate(message)
            _relog(Progress.model_validate(message))
    except TimeoutError:
        problem = (f"{name}cannot be opened within {settings.stall_seconds:g} s: check the file and its disk, "
                   "or raise sources.stall_seconds")
    except ValueError:
        problem = f"{name}{DAMAGED} when the footage was opened"
    link.close()
    raise SourceError(problem)


def _relog(progress: Progress) -> None:
    for name, level, text in progress.log:
        logging.getLogger(name).log(level, "%s", text)


def _death(message: Message | None) -> str:
    """How a decoder ended, from the server's last message."""
    died = message["died"] if message else 0
    number = -died if isinstance(died, int) else 0
    if number == signal.SIGKILL:
        return "its decoder was killed, probably because memory ran out,"
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    return f"its decoder crashed ({name})" if name else "its decoder ended"
