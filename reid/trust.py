"""How far may each dim of this crop's embedding be trusted?  As far as it agrees with the person's other pictures.

The mask learns to foretell, from the crop alone, how far each dim will be from what whole crops of the same person say:
a Gaussian per dim, as in Shi and Jain, "Probabilistic Face Embeddings", ICCV 2019, whose precision is read as a mask
[ours].  With m = σ(z) the variance is v₀·e⁻ᶻ: a dim as far off as dims are on average has a mask of 0.5.
"""

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_LOGIT = 4.0  # masks stay within 0.018 and 0.982: no dim is ever certain


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


def trust_loss(mask: Tensor, squared: Tensor, comparable: Tensor, typical: Tensor) -> Tensor:
    """Negative log-likelihood of the deviations under the mask's precisions, without its constant.

    ½ (d²/v₀ · eᶻ - z) with z = logit(m); least where eᶻ = v₀/d².

    Args:
        mask: m, float32 (N, D) in (0, 1).
        squared: d², float32 (N, D), of `deviations`.
        comparable: bool (N,), which rows count.
        typical: v₀, a scalar, the mean of d² over many batches.

    Returns:
        A scalar; 0 where no row counts.
    """
    logit = torch.logit(mask.float(), 1e-6)  # (N, D)
    likelihood = 0.5 * (squared / typical * logit.exp() - logit)  # (N, D)
    rows = comparable.float()
    return (likelihood.mean(1) * rows).sum() / rows.sum().clamp_min(1)
