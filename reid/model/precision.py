"""Learn the precision of each embedding dim from how well it agrees across unoccluded crops of the same person.

A Gaussian per dim, as in Shi and Jain, "Probabilistic Face Embeddings", ICCV 2019, models how far a dim deviates from
its mean over unoccluded crops of the same person; the precision of that Gaussian is read as a mask [ours].  Large
values deviate more than small ones even in reliable dims, so deviations are compared within bins of magnitude: a mask
of 0.5 means "the mean deviation of values of this magnitude".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_LOG_PRECISION = 2.0  # relative precision stays within e⁻² and e²: no dim is ever certain
SHARPNESS = 2.0  # slope of the mask over the log precision; 1 was worse on held-out identities, 4 no better
BINS = 8  # of magnitude
BIN_WIDTH = 0.5  # where the mean square of a value is 1
MOMENTUM = 0.99  # share of the running means that the next batch keeps
DEVIATION_FLOOR = 0.02  # added to the running means, so that an empty bin is not divided by


def precision_mask(precision: Tensor) -> Tensor:
    """The log precision of each dim relative to the mean one, float (D,) → its mask, float (D,) from 0.018 to 0.982."""
    return torch.sigmoid(SHARPNESS * precision.clamp(-MAX_LOG_PRECISION, MAX_LOG_PRECISION))


def squared_deviations(neck: Tensor, labels: Tensor, unoccluded: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance, dim by dim, from the mean of the other unoccluded crops of the same person in this batch.

    Args:
        neck: float32 (N, D).
        labels: int64 (N,), identities.
        unoccluded: bool (N,).

    Returns:
        The squared distances, of unit-length embeddings times D, float32 (N, D); and which rows have another unoccluded
        crop to be compared with, bool (N,).  All other rows are 0.
    """
    embedding = functional.normalize(neck.float())  # (N, D)
    others = (labels[:, None] == labels[None, :]) & unoccluded[None, :]  # (N, N)
    others = others & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    count = others.sum(1)  # (N,)
    mean = others.float() @ embedding / count.clamp_min(1)[:, None]  # (N, D)
    comparable = count > 0
    squared = (embedding - mean).square() * embedding.shape[1] * comparable[:, None]  # (N, D)
    return squared, comparable


class MeanDeviation(nn.Module):
    """Mean squared deviation of values of each magnitude, as running sums over past batches."""

    sums: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(BINS))
        self.register_buffer("counts", torch.zeros(BINS))

    @torch.no_grad()
    def forward(self, neck: Tensor, squared: Tensor, comparable: Tensor) -> Tensor:
        """Add a batch to the sums and return the mean squared deviation expected of each of its values.

        Args:
            neck: float32 (N, D).
            squared: float32 (N, D), from `squared_deviations`.
            comparable: bool (N,), which rows count.

        Returns:
            float32 (N, D).
        """
        values = functional.normalize(neck.float()) * neck.shape[1] ** 0.5  # (N, D), mean square 1
        bins = (values.abs() / BIN_WIDTH).clamp_max(BINS - 1).nan_to_num().long()  # (N, D); the loss reports NaN
        rows = comparable[:, None].expand_as(bins).float() / bins.numel()
        self.sums.mul_(MOMENTUM).index_add_(0, bins.flatten(), (squared * rows).flatten())
        self.counts.mul_(MOMENTUM).index_add_(0, bins.flatten(), rows.flatten())
        mean = self.sums / self.counts.clamp_min(1e-12) + DEVIATION_FLOOR  # (8,)
        return mean[bins]


def precision_loss(precision: Tensor, squared: Tensor, comparable: Tensor, expected: Tensor) -> Tensor:
    """Negative log-likelihood of the deviations, without its constant.

    ½ (d²/v · eᶻ - z), which is least where eᶻ = v/d².

    Args:
        precision: z, float32 (D,), logarithms.
        squared: d², float32 (N, D), from `squared_deviations`.
        comparable: bool (N,), which rows count.
        expected: v, float32 (N, D), from `MeanDeviation`.

    Returns:
        A scalar; 0 where no row counts.
    """
    likelihood = 0.5 * (squared / expected * precision.exp() - precision)  # (N, D)
    rows = comparable.float()
    return (likelihood.mean(1) * rows).sum() / rows.sum().clamp_min(1)
