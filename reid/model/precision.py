"""How far may each dim of an embedding be trusted?  As far as it agrees with the person's other pictures.

A Gaussian per dim, as in Shi and Jain, "Probabilistic Face Embeddings", ICCV 2019, says how far a dim is from what
whole crops of the same person say; its precision is read as a mask [ours].  Large values are farther off than small
ones even where all is well, so a dim is compared with dims of its own size: a mask of 0.5 says "as usual for such a
value".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST_LOGIT = 2.0  # the precision stays within e⁻² and e² of the usual one: no dim is ever certain
SHARPNESS = 2.0  # of the mask, in the precision's logarithm; 1 did worse on held-out people, 4 no better
SIZES = 8  # how many sizes of values are told apart
SIZE_STEP = 0.5  # their width, where the mean square of a value is 1
MEMORY = 0.99  # share of what is usual that the next batch keeps
LEAST_DEVIATION = 0.02  # keeps a size that never came up clear of division by 0


def mask_of(precision: Tensor) -> Tensor:
    """The logarithm of each dim's precision, relative to the usual one, float (D,) → its mask, 0.018 to 0.982."""
    return torch.sigmoid(SHARPNESS * precision.clamp(-LARGEST_LOGIT, LARGEST_LOGIT))


def deviations(neck: Tensor, labels: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance, dim by dim, from the mean of the whole crops of the same person in this batch.

    Args:
        neck: float32 (N, D).
        labels: int64 (N,), who.
        whole: bool (N,), which crops are not hidden.

    Returns:
        The squared distances, of unit-length embeddings times D, float32 (N, D); and which rows have another whole crop
        to be compared with, bool (N,).  Other rows are 0.
    """
    embedding = functional.normalize(neck.float())  # (N, D)
    others = (labels[:, None] == labels[None, :]) & whole[None, :]  # (N, N)
    others = others & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    count = others.sum(1)  # (N,)
    mean = others.float() @ embedding / count.clamp_min(1)[:, None]  # (N, D)
    comparable = count > 0
    squared = (embedding - mean).square() * embedding.shape[1] * comparable[:, None]  # (N, D)
    return squared, comparable


class MeanDeviation(nn.Module):
    """How far off values of each size usually are: running sums over past batches."""

    sums: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(SIZES))
        self.register_buffer("counts", torch.zeros(SIZES))

    @torch.no_grad()
    def forward(self, neck: Tensor, squared: Tensor, comparable: Tensor) -> Tensor:
        """Take a batch in, and tell what is usual for each of its values: float32 (N, D), (N, D), (N,) → (N, D)."""
        values = functional.normalize(neck.float()) * neck.shape[1] ** 0.5  # (N, D), mean square 1
        sizes = (values.abs() / SIZE_STEP).clamp_max(SIZES - 1).nan_to_num().long()  # (N, D); NaN is told by the loss
        rows = comparable[:, None].expand_as(sizes).float() / sizes.numel()
        self.sums.mul_(MEMORY).index_add_(0, sizes.flatten(), (squared * rows).flatten())
        self.counts.mul_(MEMORY).index_add_(0, sizes.flatten(), rows.flatten())
        usual = self.sums / self.counts.clamp_min(1e-12) + LEAST_DEVIATION  # (8,)
        return usual[sizes]


def trust_loss(precision: Tensor, squared: Tensor, comparable: Tensor, usual: Tensor) -> Tensor:
    """Negative log-likelihood of the deviations, without its constant.

    ½ (d²/v · eᶻ - z); least where eᶻ = v/d².

    Args:
        precision: z, float32 (D,).
        squared: d², float32 (N, D), of `deviations`.
        comparable: bool (N,), which rows count.
        usual: v, float32 (N, D), of `MeanDeviation`.

    Returns:
        A scalar; 0 where no row counts.
    """
    likelihood = 0.5 * (squared / usual * precision.exp() - precision)  # (N, D)
    rows = comparable.float()
    return (likelihood.mean(1) * rows).sum() / rows.sum().clamp_min(1)
