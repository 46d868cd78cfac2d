"""The processes that decode untrusted footage: a server that forks one decoder per camera; see `isolated_source.py`."""

from __future__ import annotations

import gc
import logging
import mmap
import os
import resource
import select
import signal
import socket
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from ...config.cameras import CameraConfig
from ...errors import SourceError
from ...types import Place
from ..counts import FootageCounts, describe
from ..in_process import header_problem, open_here
from ..opening import Source
from ..quiet import QuietScene
from .messages import SLOTS, DisconnectedError, Link, Message

MEMORY_BYTES = 6 << 30  # address space of a decoder: 8K footage needs less than 2 GiB
PROGRESS_SECONDS = 1.0  # between two reports while no frame is due, as with `every: 1000`
KILLED_FIRST = "500"  # when memory runs out, the system ends decoders before the run that they belong to
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(control_number: int) -> None:
    """Fork a decoder for every socket that arrives, report how decoders ended, and kill those no longer wanted.

    Args:
        control_number: file descriptor of a Unix socket; when its other end closes, the server ends.
    """
    for number in ENDINGS:  # the run decides when its decoders end
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=control_number)
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # SIG_IGN would lose how they ended
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    gc.freeze()  # forked processes share what is loaded so far
    decoders: dict[int, tuple[int, socket.socket]] = {}  # file descriptor → process, our copy of its socket
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        for descriptor, _events in poll.poll():
            if descriptor == wake.fileno():
                wake.recv(4096)
                _reap(decoders, poll)
            elif descriptor == control.fileno():
                _, files, _, _ = socket.recv_fds(control, 16, 1)
                if not files:
                    return _kill(process for process, _ in decoders.values())
                connection = socket.socket(fileno=files[0])
                with suppress(OSError):  # no more processes: the closed socket says so
                    decoders[connection.fileno()] = _forked(connection, [control, wake, woken], decoders), connection
                    poll.register(connection, 0)  # only hang-ups; the messages are the decoder's
            elif descriptor in decoders:  # the run has closed its end
                poll.unregister(descriptor)
                _kill([decoders[descriptor][0]])


def _forked(
    connection: socket.socket, servers: list[socket.socket], decoders: dict[int, tuple[int, socket.socket]]
) -> int:
    """Fork a decoder that holds no socket but its own; returns its process id."""
    process = os.fork()
    if process == 0:
        signal.set_wakeup_fd(-1)
        for other in (*servers, *(copy for _, copy in decoders.values())):
            other.close()
        _decode_and_exit(connection)
    return process


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        os.kill(process, signal.SIGKILL)


def _reap(decoders: dict[int, tuple[int, socket.socket]], poll: select.poll) -> None:
    """Report the end of decoders on their sockets, as the last message."""
    while decoders:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        descriptor = next(key for key, (number, _) in decoders.items() if number == process)
        connection = decoders.pop(descriptor)[1]
        with suppress(KeyError):  # the run may have hung up first
            poll.unregister(descriptor)
        with suppress(DisconnectedError):  # nobody may listen any more
            Link(connection).send({"died": os.waitstatus_to_exitcode(status)})
        connection.close()


def _decode_and_exit(connection: socket.socket) -> None:
    """The whole life of a forked decoder."""
    with suppress(OSError):  # only a preference
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold people's pictures
    cv2.setNumThreads(1)  # other cameras and the networks fill the cores
    try:
        _decode(Link(connection))
    except DisconnectedError:  # the run has closed its end
        pass
    finally:
        os._exit(0)


class _Reporter(logging.Handler):
    """Sends log records to the run, which logs them."""

    def __init__(self, link: Link) -> None:
        super().__init__(logging.WARNING)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        self._link.send({"log": [[record.name, record.levelno, record.getMessage()]]})


def _decode(link: Link) -> None:
    logging.getLogger().handlers = [_Reporter(link)]
    request = link.receive()
    while request is not None and "header_of" in request:
        link.send({"problem": header_problem(Path(request["header_of"]))})
        request = link.receive()
    if request is None:
        return
    camera = request["camera"]
    try:
        source = open_here(camera, CameraConfig.model_validate(request["config"]))
    except SourceError as error:
        return link.send({"refused": str(error)})
    except Exception as error:  # noqa: BLE001 - the outermost loop of the process
        return link.send({"refused": f"camera {camera}: {request['config']['source']}: {describe(error)}"})
    link.send({
        "width": source.width, "height": source.height, "fps": source.fps, "start_seconds": source.start_seconds,
        "frame_count": source.frame_count, "duration_seconds": source.duration_seconds,
    })
    order, file = link.receive_with_file()
    if order is None:
        return None
    if order["after"] is not None:
        source.continue_after(Place(**order["after"]))
    threading.Thread(target=_report_progress, args=(link, source.counts), daemon=True).start()
    try:
        _send_frames(link, source, file, None if order["quiet"] is None else QuietScene(*order["quiet"]))
    except DisconnectedError:
        raise
    except Exception as error:  # noqa: BLE001 - the outermost loop of the process
        source.counts.break_off(describe(error))
    return link.send({"ended": True, "counts": source.counts.state()})


def _send_frames(link: Link, source: Source, file: int, quiet: QuietScene | None) -> None:
    memory = mmap.mmap(file, SLOTS * source.height * source.width * 3)
    slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, source.height, source.width, 3)
    free = deque(range(SLOTS))
    for frame in source.frames(threading.Event(), quiet):
        slot = None
        if not frame.quiet:
            if not free:
                released = link.receive()
                if released is None:
                    return
                free.append(released["free"])
            slot = free.popleft()
            slots[slot] = frame.image
        inside = "" if frame.place is None else frame.place.inside
        link.send({"frame": [frame.index, frame.seconds, slot], "inside": inside, "counts": source.counts.state()})
        del frame  # its picture need not be kept while the next one is made


def _report_progress(link: Link, counts: FootageCounts) -> None:
    sent: Message = {}
    pause = threading.Event()
    while not pause.wait(PROGRESS_SECONDS):
        state = counts.state()
        if state != sent:
            sent = state
            try:
                link.send({"counts": state})
            except DisconnectedError:
                return
