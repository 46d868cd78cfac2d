"""Supervise features and prototypes by the learnt text features: stage 2 of the CLIP text supervision.

The text term of CLIP-ReID (Li, Sun, Li, AAAI 2023, section 3.3) [CLIP-ReID], and the
transfer of text into the prototype space, whose form is our reading [abstract: "transferred into the prototype
space"; form ours].
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError
from .losses import classification_loss, without_donors

LABEL_SMOOTHING = 0.1  # [CLIP-ReID]
PROJECTION_STD = 0.001  # of the first f_proj: logits start near 0, so cross-entropy starts at log C


class TextLosses(NamedTuple):
    """Both terms, not yet weighted by λ_t and λ_p.

    Attributes:
        text: a scalar, CE_ls(f_proj Tᵀ).
        prototype: a scalar in [0, 2], mean_k(1 - cos(W_k, A t_k)).
    """

    text: Tensor
    prototype: Tensor


def text_cross_entropy(
    projected: Tensor, text: Tensor, labels: Tensor, smoothing: float = LABEL_SMOOTHING, donors: Tensor | None = None
) -> Tensor:
    """CE_ls(f_proj Tᵀ): classify images by the text features of the identities, with smoothed labels [CLIP-ReID].

    mean_i [ (1 - ε)·(-log p_i,y) + ε·mean_k(-log p_ik) ]; a donor's class has probability 0 and no share of ε.

    Args:
        projected: f_proj, float (N, d).
        text: T, float (C, d).
        labels: y, int64 (N,) in [0, C).
        smoothing: ε.
        donors: int64 (N,), the identity pasted into each crop, which is ignored, or -1; as `without_donors`.

    Returns:
        A scalar, in float32.
    """
    with torch.autocast(projected.device.type, enabled=False):
        logits = projected.float() @ text.float().T  # (N, C)
    if donors is not None:
        logits = without_donors(logits, labels, donors)
    return classification_loss(logits, labels, smoothing)


def prototype_transfer_loss(prototypes: Tensor, adapted: Tensor) -> Tensor:
    """mean_k(1 - cos(W_k, A t_k)): the angle between prototypes and adapted text features [ours].

    Args:
        prototypes: W, float (K, D).
        adapted: A t_k, float (K, D).

    Returns:
        A scalar in [0, 2], in float32.
    """
    return (1 - functional.cosine_similarity(prototypes.float(), adapted.float(), dim=1)).mean()


class TextSupervision(nn.Module):
    """T with both projections; needed in training only.

    Attributes:
        text: T, float32 (C, d), a buffer: fixed in stage 2 [CLIP-ReID].
        projection: f_proj, D → d.
        adapter: A, d → D.
    """

    text: Tensor

    def __init__(self, text: Tensor, dimensions: int, projection: Tensor | None = None) -> None:
        """Store T and initialise the projections.

        Args:
            text: T, float (C, d), from `learn_prompts`.
            dimensions: D, of features and prototypes.
            projection: initial f_proj, float (D, d): CLIP's own (`visual.proj`) if the backbone is its image tower, as
                in CLIP-ReID; None for random numbers near 0 [ours].

        Raises:
            TrainingError: T is not (C, d) or not finite, or `projection` is not (D, d).
        """
        super().__init__()
        if text.ndim != 2 or not len(text) or not bool(text.isfinite().all()):
            raise TrainingError(f"CLIP stage 2: expected finite text features (C, d), got {tuple(text.shape)}")
        width = text.shape[1]
        if projection is not None and projection.shape != (dimensions, width):
            expected, got = (dimensions, width), tuple(projection.shape)
            raise TrainingError(f"CLIP stage 2: projection: expected {expected}, got {got}")
        self.register_buffer("text", text.detach().float().clone())
        self.projection = nn.Linear(dimensions, width, bias=False)
        self.adapter = nn.Linear(width, dimensions, bias=False)
        nn.init.orthogonal_(self.adapter.weight)  # keeps the angles between text features where D ≥ d [ours]
        if projection is None:
            nn.init.normal_(self.projection.weight, std=PROJECTION_STD)
        else:
            with torch.no_grad():
                self.projection.weight.copy_(projection.T)

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        prototypes: Tensor,
        rows: Tensor | None = None,
        donors: Tensor | None = None,
    ) -> TextLosses:
        """Compute both terms, over all identities or over those sampled in this step.

        Args:
            features: f, float (N, D).
            labels: int64 (N,), indices into `prototypes`, [0, S).
            prototypes: W, float (S, D).
            rows: int64 (S,), the identities of the prototypes; None if they are all, in order.
            donors: int64 (N,), index into `prototypes` of the identity pasted into each crop, or -1.

        Raises:
            TrainingError: the numbers of text features and prototypes differ.
        """
        text = self.text if rows is None else self.text[rows]  # (S, d)
        if len(text) != len(prototypes):
            raise TrainingError(f"CLIP stage 2: {len(text)} text features for {len(prototypes)} prototypes")
        return TextLosses(
            text_cross_entropy(self.projection(features), text, labels, donors=donors),
            prototype_transfer_loss(prototypes, self.adapter(text)),
        )
