"""Progress of a training on the terminal: a bar for the running epoch, and a line for each finished one."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from ....reid.training.records.log import EpochRecord


class TrainingDisplay:
    """A listener of `reid.training.train`. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def headline(self, line: str) -> None:
        """Print which training run starts."""
        self._progress.console.print(line, style="bold", markup=False, highlight=False, soft_wrap=True)

    def began(self, epoch: int, epochs: int, steps: int) -> None:
        """Start the bar of an epoch."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"epoch {epoch + 1} of {epochs}", total=steps, losses="")

    def stepped(self, losses: dict[str, float] | None) -> None:
        """Advance the bar, and show the step's losses."""
        if self._task is not None:
            shown = "skipped" if losses is None else _listed(losses)
            self._progress.update(self._task, advance=1, losses=shown)

    def ended(self, record: EpochRecord) -> None:
        """Print the epoch's mean losses and held-out scores."""
        parts = [f"epoch {record['epoch'] + 1}: {_listed(record['losses'])}"]
        if record["skipped"]:
            parts.append(f"{record['skipped']} steps skipped")
        for folder, tables in record["held_out"].items():
            for query, table in tables.items():
                scores = " / ".join(f"{name} {100 * one['mean_average_precision']:.1f}" for name, one in table.items())
                parts.append(f"{folder} {query} mAP: {scores}")
        self._progress.console.print("; ".join(parts), highlight=False, soft_wrap=True, markup=False)


def _listed(losses: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in losses.items())
