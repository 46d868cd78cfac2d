"""What do the learnt sentences teach the network?  Its features to find their own, and its prototypes to resemble them.

Stage 2 of the text supervision: the text term of CLIP-ReID (Li, Sun, Li, AAAI 2023, section 3.3) [CLIP-ReID], and the
transfer of text into the prototype space, whose form is our reading [abstract: "transferred into the prototype
space"; form ours].
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError
from .losses import classification_loss, without_donors

LABEL_SMOOTHING = 0.1  # [CLIP-ReID]
FIRST_SPREAD = 0.001  # of f_proj: logits start near 0, as those of re-identification classifiers do, so CE at log C


class TextLosses(NamedTuple):
    """Both terms, before their weights λ_t and λ_p.

    text: a scalar, CE_ls(f_proj Tᵀ).
    prototype: a scalar in [0, 2], mean_k(1 - cos(W_k, A t_k)).
    """

    text: Tensor
    prototype: Tensor


def text_cross_entropy(
    projected: Tensor, text: Tensor, labels: Tensor, smoothing: float = LABEL_SMOOTHING, donors: Tensor | None = None
) -> Tensor:
    """CE_ls(f_proj Tᵀ): whose sentence does an image belong to, with smoothed labels [CLIP-ReID].

    mean_i [ (1 - ε)·(-log p_i,y) + ε·mean_k(-log p_ik) ]; a donor's class has probability 0 and no share of ε.

    Args:
        projected: f_proj, float (N, d).
        text: T, float (C, d).
        labels: y, int64 (N,) in [0, C).
        smoothing: ε.
        donors: int64 (N,), who was put into row i and shall not be compared with it, or -1; as `without_donors`.

    Returns:
        A scalar, in float32.
    """
    with torch.autocast(projected.device.type, enabled=False):
        logits = projected.float() @ text.float().T  # (N, C)
    if donors is not None:
        logits = without_donors(logits, labels, donors)
    return classification_loss(logits, labels, smoothing)


def prototype_transfer_loss(prototypes: Tensor, adapted: Tensor) -> Tensor:
    """mean_k(1 - cos(W_k, A t_k)): how far prototypes and adapted sentences point apart [ours].

    Args:
        prototypes: W, float (K, D).
        adapted: A t_k, float (K, D).

    Returns:
        A scalar in [0, 2], in float32.
    """
    return (1 - functional.cosine_similarity(prototypes.float(), adapted.float(), dim=1)).mean()


class TextSupervision(nn.Module):
    """T with both projections; for training only, and saved with the checkpoint as any module is.

    Attributes:
        text: T, float32 (C, d), a buffer: stage 2 does not change it [CLIP-ReID].
        projection: f_proj, D → d.
        adapter: A, d → D.
    """

    text: Tensor

    def __init__(self, text: Tensor, dimensions: int, projection: Tensor | None = None) -> None:
        """Keep T and draw the projections.

        Args:
            text: T, float (C, d), from `learn_prompts`.
            dimensions: D, of features and prototypes.
            projection: f_proj to start from, float (D, d): CLIP's own (`visual.proj`) if the backbone is its image
                tower, which is what CLIP-ReID does; None for random numbers near 0 [ours].

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
        nn.init.orthogonal_(self.adapter.weight)  # the sentences keep their angles where D ≥ d [ours]
        if projection is None:
            nn.init.normal_(self.projection.weight, std=FIRST_SPREAD)
        else:
            with torch.no_grad():
                self.projection.weight.copy_(projection.T)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The module whose `state_dict` this is: a resumed run needs neither CLIP nor stage 1.

        Raises:
            TrainingError: it is the state of something else.
        """
        if set(state) != {"text", "projection.weight", "adapter.weight"}:
            raise TrainingError(f"CLIP stage 2: expected text, projection, adapter as its state, got {sorted(state)}")
        restored = cls(state["text"], state["projection.weight"].shape[1])
        try:
            restored.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise TrainingError(f"CLIP stage 2: its saved parts do not fit together: {reason}") from error
        return restored

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        prototypes: Tensor,
        rows: Tensor | None = None,
        donors: Tensor | None = None,
    ) -> TextLosses:
        """Compute both terms, over all identities or over those that this step has sampled.

        Args:
            features: f, float (N, D).
            labels: int64 (N,), places in `prototypes`, [0, S).
            prototypes: W, float (S, D).
            rows: int64 (S,), which identities they are; None if they are all, in order.
            donors: int64 (N,), places in `prototypes` of those who were put into a row, or -1.
        """
        text = self.text if rows is None else self.text[rows]  # (S, d)
        if len(text) != len(prototypes):
            raise TrainingError(f"CLIP stage 2: {len(text)} sentences for {len(prototypes)} prototypes")
        return TextLosses(
            text_cross_entropy(self.projection(features), text, labels, donors=donors),
            prototype_transfer_loss(prototypes, self.adapter(text)),
        )
