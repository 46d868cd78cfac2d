"""Progress of a run or a rendering on the terminal, one line per camera."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ..credentials import without_credentials
from ..sources.opening import Source
from ..types import CameraReport, Frame
from .printing import coloured

REFRESH_SECONDS = 0.25  # per camera


class Display:
    """A run listener that shows position, rate, people in view and time left. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[position]}"),
            TextColumn("{task.fields[rate]:5.1f} fps"),
            TextColumn("{task.fields[people]:2d} people"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._start_seconds: dict[str, float] = {}
        self._frames: dict[str, int] = {}
        self._latest: dict[str, tuple[Frame, int]] = {}
        self._shown: dict[str, float] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for name in self._latest:
            self._show(name)
        self._progress.stop()

    def opened(self, sources: Mapping[str, Source], reports: Mapping[str, CameraReport]) -> None:
        """Add a line for every camera, and print the errors of those that failed."""
        for name, report in reports.items():
            error = without_credentials(report.error)
            self._progress.console.print(
                coloured(name, "red"), f": {error}", sep="", markup=False, highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        for name, source in sources.items():
            self._start_seconds[name] = source.start_seconds
            self._frames[name] = 0
            self._tasks[name] = self._progress.add_task(
                name, total=source.frame_count, position="00:00", rate=0.0, people=0
            )

    def analysed(self, frame: Frame, people: int) -> None:
        """Advance a camera's line."""
        name, now = frame.camera, time.monotonic()
        self._frames[name] += 1
        self._latest[name] = frame, people
        if now - self._shown.get(name, 0.0) >= REFRESH_SECONDS:
            self._shown[name] = now
            self._show(name)

    def _show(self, name: str) -> None:
        frame, people = self._latest[name]
        minutes, seconds = divmod(int(frame.seconds - self._start_seconds[name]), 60)
        self._progress.update(
            self._tasks[name],
            completed=frame.index + 1,
            position=f"{minutes:02d}:{seconds:02d}",
            rate=self._frames[name] / max(time.monotonic() - self._began, 1e-3),
            people=people,
        )
