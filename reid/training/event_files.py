"""How does TensorBoard see a run?  As event files, written where the recipe says `tensorboard: true`."""

from pathlib import Path

from ..errors import RecipeError
from .log import EpochRecord


class EventFiles:
    """Losses and scores of every epoch, in TensorBoard's own format; a `train.Listener`."""

    def __init__(self, folder: Path) -> None:
        """Raises RecipeError where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RecipeError("tensorboard: true needs TensorBoard: pip install 'reidpipe[train]'") from error
        self._writer = SummaryWriter(str(folder))

    def began(self, epoch: int, epochs: int, steps: int) -> None:
        """Nothing to write yet."""

    def stepped(self, losses: dict[str, float] | None) -> None:
        """Nothing to write yet."""

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
