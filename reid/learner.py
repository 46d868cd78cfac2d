"""What changes during training?  The model, the prototypes, and two optimisers."""

from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dataset import CropSet
from .held_out import BATCH_CROPS
from .losses import PAIR_SCALE, arcface_logits, hardest_triplet_loss, masked_cosine, masked_pair_loss
from .model import ReidModel, load_weights, normalise
from .recipe import Recipe

PLAIN_WEIGHT = MASKED_WEIGHT = 0.5  # of the two classification terms [DPM]
GRADIENT_LIMIT = 5.0  # a batch-hard triplet now and then throws one very long gradient


class LearnerState(TypedDict):
    """What a checkpoint holds of a learner."""

    width: float
    anchored: bool
    model: dict[str, Tensor]
    prototypes: Tensor
    to_teacher: dict[str, Tensor]
    rest_optimiser: dict[str, Any]  # PyTorch's own layout
    mask_optimiser: dict[str, Any]


class Learner:
    """Training state for one recipe; `step` is one optimisation step of everything, then one of the masks."""

    def __init__(self, recipe: Recipe, identities: int, teacher_dimensions: int) -> None:
        """`teacher_dimensions` is T, or 0 without a teacher."""
        self.recipe = recipe
        self.model = ReidModel(recipe.width, recipe.anchored).to(
            memory_format=torch.channels_last
        )  # half the time on a CPU
        dimensions = self.model.neck.num_features
        self.prototypes = nn.Parameter(functional.normalize(torch.randn(identities, dimensions)))  # (C, D)
        self.to_teacher: nn.Module = nn.Identity()
        if teacher_dimensions:
            self.to_teacher = nn.Linear(dimensions, teacher_dimensions, bias=False)
        self.frozen = [self.model.backbone.get_submodule(name) for name in recipe.frozen_stages]
        for module in self.frozen:
            module.requires_grad_(False)
        learnt = [*self.model.backbone.parameters(), *self.model.neck.parameters()]
        rest = [*(one for one in learnt if one.requires_grad), self.prototypes, *self.to_teacher.parameters()]
        self.rest_optimiser = torch.optim.AdamW(rest, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.mask_optimiser = torch.optim.Adam(self.model.mask.parameters(), recipe.mask_learning_rate)

    def start(self, crops: CropSet) -> None:
        """Begin from the recipe's weights, the neck's statistics and the prototypes being those of the clean crops.

        A prototype starts as its identity's mean direction, so a good backbone is not torn apart by random ones
        [ours].
        """
        if self.recipe.start_from is not None:
            load_weights(self.model, self.recipe.start_from)
        feature = _features(self.model, crops)  # (N, D)
        pids = torch.from_numpy(crops.pids)
        with torch.no_grad():
            self.model.neck.running_mean = feature.mean(0)
            self.model.neck.running_var = feature.var(0)
            neck = self.model.eval().neck(feature)  # (N, D)
            sums = torch.zeros_like(self.prototypes).index_add_(0, pids, functional.normalize(neck))
            self.prototypes.copy_(functional.normalize(sums))

    def step(self, images: Tensor, labels: Tensor, target: Tensor | None, learning_rate: float) -> dict[str, float]:
        """Learn from one batch.

        Args:
            images: float32 (N, 3, 256, 128), normalised.
            labels: int64 (N,) in [0, C).
            target: the teacher's view of the clean crops, float32 (N, T) of unit length, or None.
            learning_rate: of everything but the mask generator, now.

        Returns:
            The value of every loss term.
        """
        recipe = self.recipe
        self._set_training_mode()
        with torch.autocast("cpu", torch.bfloat16):  # half the time; weights and losses stay in float32
            feature, neck, maps = self.model.features(images.contiguous(memory_format=torch.channels_last))
            mask = self.model.mask(maps).float()  # (N, D)
        logits = neck @ self.prototypes.T  # (N, C)
        losses = {
            "plain": functional.cross_entropy(logits, labels),
            "masked": self._masked_loss(neck, mask.detach(), labels),
            "triplet": hardest_triplet_loss(feature, labels),
        }
        total = PLAIN_WEIGHT * losses["plain"] + MASKED_WEIGHT * losses["masked"] + losses["triplet"]
        if target is not None:
            losses["teacher"] = 1 - functional.cosine_similarity(self.to_teacher(neck), target).mean()
            total = total + recipe.teacher_weight * losses["teacher"]
        for group in self.rest_optimiser.param_groups:
            group["lr"] = learning_rate
        _descend(total, self.rest_optimiser)
        # the mask generator's own step, after the rest has moved [DPM]; on this batch's maps and features as they
        # were, which saves a second forward pass [ours]
        losses["mask"] = masked_pair_loss(neck.detach(), mask, labels, PAIR_SCALE)
        _descend(losses["mask"], self.mask_optimiser)
        return {name: loss.item() for name, loss in losses.items()}

    def state(self) -> LearnerState:
        """Everything that `restore` needs."""
        return {
            "width": self.recipe.width,
            "anchored": self.recipe.anchored,
            "model": self.model.state_dict(),
            "prototypes": self.prototypes.detach(),
            "to_teacher": self.to_teacher.state_dict(),
            "rest_optimiser": self.rest_optimiser.state_dict(),
            "mask_optimiser": self.mask_optimiser.state_dict(),
        }

    def weights(self) -> dict[str, object]:
        """The part of `state` that `export.load_model` needs."""
        return {"width": self.recipe.width, "anchored": self.recipe.anchored, "model": self.model.state_dict()}

    def restore(self, state: LearnerState) -> None:
        """Go back to what `state` returned."""
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            self.prototypes.copy_(state["prototypes"])
        self.to_teacher.load_state_dict(state["to_teacher"])
        self.rest_optimiser.load_state_dict(state["rest_optimiser"])
        self.mask_optimiser.load_state_dict(state["mask_optimiser"])

    def _masked_loss(self, neck: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        cosine = masked_cosine(neck, mask, self.prototypes)  # (N, C)
        logits = arcface_logits(cosine, labels, self.recipe.arcface_margin, self.recipe.arcface_scale)
        return functional.cross_entropy(logits, labels)

    def _set_training_mode(self) -> None:
        self.model.train()
        for module in self.frozen:
            module.eval()  # or its BatchNorm statistics would drift


def _features(model: ReidModel, crops: CropSet) -> Tensor:
    """Backbone features of clean crops, float32 (N, D)."""
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        starts = range(0, len(crops), BATCH_CROPS)
        batches = (torch.from_numpy(crops.images[start : start + BATCH_CROPS]) for start in starts)
        return torch.cat([model.features(normalise(batch)).feature for batch in batches])


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    nn.utils.clip_grad_norm_(parameters, GRADIENT_LIMIT)
    optimiser.step()
