"""End commands cleanly on Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, SIGTERM or SIGHUP sets, so that a run shuts down cleanly; the second quits."""
    stop = threading.Event()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo("reidpipe: stopping and saving results; press Ctrl-C again to quit at once", err=True)

    with _handling(interrupted, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield stop


@contextmanager
def endings_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C in any command, so that no partial file stays behind."""
    with _handling(signal.default_int_handler, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def _handling(handler: Handler, *numbers: int) -> Iterator[None]:
    """Handle signals by one function; SIGHUP not if it is ignored, as under nohup.

    A program that calls commands in another thread keeps its own handlers: only the main thread may set them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _write_nowhere(terminals)
        handler(number, frame)

    before = {number: signal.getsignal(number) for number in numbers}
    if before.get(signal.SIGHUP) == signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _write_nowhere(terminals: list[int]) -> None:
    """Discard what is written to a terminal that was closed: it would be an error, and end the run."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in terminals:
        os.dup2(nowhere, number)
    os.close(nowhere)
