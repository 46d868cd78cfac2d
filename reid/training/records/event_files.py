"""Write TensorBoard event files, if the recipe sets `tensorboard: true`."""

from pathlib import Path

from ...errors import RecipeError
from .log import EpochRecord


class EventFiles:
    """A `train.Listener` that writes the losses and scores of every epoch."""

    def __init__(self, folder: Path) -> None:
        """Raises RecipeError if TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RecipeError("tensorboard: true needs TensorBoard: pip install 'reidpipe[train]'") from error
        self._writer = SummaryWriter(str(folder))

    def began(self, epoch: int, epochs: int, steps: int) -> None:
        """Write nothing: records are per epoch."""

    def stepped(self, losses: dict[str, float] | None) -> None:
        """Write nothing: records are per epoch."""

    def ended(self, record: EpochRecord) -> None:
        """Write one epoch, and flush it."""
        values = {f"loss/{name}": value for name, value in record["losses"].items()}
        values |= {"steps/skipped": record["skipped"], "steps/learning_rate": record["learning_rate"]}
        for folder, tables in record["held_out"].items():
            for query, table in tables.items():
                for metric, scores in table.items():
                    values[f"{folder} {query}/{metric} mAP"] = scores["mean_average_precision"]
        for name, value in values.items():
            self._writer.add_scalar(name, value, record["epoch"] + 1)
        self._writer.flush()
