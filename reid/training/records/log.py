"""The log of a training run: one line of JSON per epoch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import numpy as np

from ...disk.files import append_text, write_text
from ...evaluation.metrics import RankingScores

Scores = dict[str, dict[str, dict[str, RankingScores]]]  # folder, clean or occluded, metric
PlainScores = dict[str, dict[str, dict[str, dict[str, float]]]]  # the same, ready for JSON


class EpochRecord(TypedDict):
    """One epoch.

    Attributes:
        epoch: from 0.
        losses: the mean of every term over the epoch's steps; empty if all were skipped.
        skipped: number of steps skipped because their loss was not finite.
        learning_rate: of the last step.
        seconds: duration, evaluation included.
        held_out: scores of held-out identities; empty if this epoch was not evaluated.
    """

    epoch: int
    losses: dict[str, float]
    skipped: int
    learning_rate: float
    seconds: float
    held_out: PlainScores


class TrainingLog:
    """log.jsonl of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def records(self) -> list[EpochRecord]:
        """Every epoch so far, oldest first; an incomplete last line of an interrupted run is left out."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def append(self, record: EpochRecord) -> None:
        """Add a line."""
        append_text(self.path, json.dumps(record) + "\n")

    def cut(self, epoch: int) -> None:
        """Drop `epoch` and all later ones: a resumed run trains them again."""
        kept = [record for record in self.records() if record["epoch"] < epoch]
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))


def mean_masked_score(scores: Scores) -> float:
    """Mean masked mAP over folders, clean and occluded: the metric in use, on held-out identities."""
    tables = [table for folder in scores.values() for table in folder.values()]
    return float(np.mean([table["masked"].mean_average_precision for table in tables]))


def plain_scores(scores: Scores) -> PlainScores:
    """The same as dicts of numbers."""
    return {
        folder: {query: {metric: asdict(one) for metric, one in table.items()} for query, table in tables.items()}
        for folder, tables in scores.items()
    }
