"""The training objective: the weighted sum of all loss terms, and which parameters each of them trains."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...model.network import Features
from ...model.precision import MeanDeviation, precision_loss, squared_deviations
from ...model.prototypes import Sample
from ...model.regions import region_loss, seen_of_regions, visibility_loss, visibility_truth
from ...recipe.schema import Recipe
from ...supervision.losses import (
    PAIR_SCALE,
    arcface_logits,
    classification_loss,
    hardest_triplet_loss,
    joint_similarity,
    masked_cosine,
    masked_pair_loss,
    orthogonality_loss,
    without_donors,
)
from ...supervision.text import TextSupervision
from .batches import Batch

LOWEST = 1e4  # instead of an infinite logit, whose difference from itself is not a number


class Objective(nn.Module):
    """The weighted sum of all losses, and the small layers that only losses need.

    The mask generator takes its own step after everything else [DPM].  Its terms therefore use detached features,
    prototypes and maps, and all other terms use detached masks.  One backward pass computes both gradients, on the
    features from before the first step, which saves a second forward pass [ours].  With `mask.joint_step` only the maps
    are detached, and everything is updated in one step.
    """

    region_of: Tensor
    targets: Tensor | None

    def __init__(
        self,
        recipe: Recipe,
        dimensions: int,
        teacher: Tensor | None = None,
        text: TextSupervision | None = None,
        region_of: Tensor | None = None,
    ) -> None:
        """Store what the terms need.

        Args:
            recipe: its loss weights are used.
            dimensions: D.
            teacher: the teacher's embedding of every clean training crop, float32 (crops, T) of unit length.
            text: CLIP's text features of the C identities, with their projections.
            region_of: int64 (D,), the region that each dim describes; None without regions.
        """
        super().__init__()
        self.recipe = recipe
        losses, mask = recipe.losses, recipe.mask
        self.weights = {
            "plain": losses.plain,
            "masked": losses.masked,
            "triplet": losses.triplet,
            "orthogonality": losses.orthogonality,
            "embedding_pairs": losses.pairs,
            "pairs": mask.pair_weight,
            "mask_arcface": mask.arcface_weight,
            "trust": mask.trust_weight,
            "mask_distillation": mask.distillation_weight,
        }
        if recipe.regions is not None:
            self.weights |= {"regions": recipe.regions.weight, "visibility": recipe.regions.visibility_weight}
            self.mean_deviation = MeanDeviation()
        self.register_buffer("teacher", teacher, persistent=False)
        self.to_teacher: nn.Module | None = None
        if teacher is not None and recipe.teacher is not None:
            self.weights["teacher"] = recipe.teacher.weight
            self.to_teacher = nn.Linear(dimensions, teacher.shape[1], bias=False)
        self.register_buffer("targets", None, persistent=False)
        if recipe.distillation is not None:
            self.weights["distillation"] = recipe.distillation.weight
            self.weights["relation"] = recipe.distillation.relation_weight
        self.text = text
        self.register_buffer("region_of", region_of, persistent=False)
        if recipe.clip is not None:
            self.weights |= {"text": recipe.clip.text_weight, "text_prototypes": recipe.clip.prototype_weight}

    def losses(self, batch: Batch, features: Features, mask: Tensor, sample: Sample) -> dict[str, Tensor]:
        """Compute every term whose weight is not 0, by name.

        Args:
            batch: N crops.
            features: their features.
            mask: float32 (N, D), with gradients to the mask generator.
            sample: the S prototypes that take part.
        """
        joint = self.recipe.mask.joint_step
        labels, donors = sample.columns(batch.labels), sample.columns(self._donors(batch))  # (N,) in [0, S) or -1
        shown = mask if joint else mask.detach()  # (N, D)
        neck = features.neck if joint else features.neck.detach()  # (N, D)
        prototypes = sample.weight if joint else sample.weight.detach()  # (S, D)
        named = labels >= 0  # (N,), False for unlabelled crops
        of = features.neck[named], shown[named]
        terms: dict[str, Callable[[], Tensor]] = {
            "plain": lambda: self._plain_loss(of[0], sample.weight, labels[named], donors[named]),
            "masked": lambda: self._masked_loss(*of, sample.weight, labels[named], donors[named]),
            "triplet": lambda: self._triplet_loss(features.feature[named], mask[named].detach(), batch, named),
            "embedding_pairs": lambda: masked_pair_loss(*of, batch.labels[named], PAIR_SCALE),
        }
        if self.recipe.distillation is not None:
            terms["distillation"] = lambda: self._distillation_loss(features.neck, batch.rows)
            terms["relation"] = lambda: self._relation_loss(features.neck, batch.rows)
        if features.heads is not None:
            heads = features.heads
            terms["orthogonality"] = lambda: orthogonality_loss(heads)
        if self.recipe.mask.kind != "none":
            to_mask = neck[named], mask[named]
            terms["pairs"] = lambda: masked_pair_loss(*to_mask, batch.labels[named], PAIR_SCALE)
            terms["trust"] = lambda: self._precision_loss(features, batch, named)
            terms["mask_arcface"] = lambda: self._masked_loss(*to_mask, prototypes, labels[named], donors[named])
            terms["mask_distillation"] = lambda: self._mask_distillation_loss(neck, mask, batch)
        if self.recipe.regions is not None:
            terms["regions"] = lambda: self._region_loss(of[0], sample.weight, labels[named], batch.covers[named])
            terms["visibility"] = lambda: self._visibility_loss(features, batch)
        if self.to_teacher is not None:
            terms["teacher"] = lambda: self._teacher_loss(features.neck, batch.rows)
        if self.text is not None:
            text = self.text(features.feature, labels, sample.weight, sample.rows, donors)
            terms |= {"text": lambda: text.text, "text_prototypes": lambda: text.prototype}
        return {name: term() for name, term in terms.items() if self.weights[name] > 0}

    @torch.no_grad()
    def set_targets(self, clean: Tensor, pids: Tensor, centres: Tensor) -> None:
        """Set the self-distillation target of each crop, whether occluded or not.

        Args:
            clean: the start network's embeddings of the clean crops, float32 (crops, D) of unit length.
            pids: int64 (crops,), C or more for unlabelled crops.
            centres: the mean direction of each identity, float32 (C, D) of unit length.
        """
        assert self.recipe.distillation is not None
        share, named = self.recipe.distillation.identity_share, pids < len(centres)
        self.targets = clean.clone()  # (crops, D)
        self.targets[named] = functional.normalize((1 - share) * clean[named] + share * centres[pids[named]])

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum, a scalar."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()

    def _plain_loss(self, neck: Tensor, prototypes: Tensor, labels: Tensor, donors: Tensor) -> Tensor:
        logits = without_donors(neck @ prototypes.T, labels, donors)  # (N, S)
        return classification_loss(logits, labels, self.recipe.losses.label_smoothing)

    def _masked_loss(self, neck: Tensor, mask: Tensor, prototypes: Tensor, labels: Tensor, donors: Tensor) -> Tensor:
        recipe = self.recipe.losses
        cosine = masked_cosine(neck, mask, prototypes)  # (N, S)
        logits = arcface_logits(cosine, labels, recipe.arcface_margin, recipe.arcface_scale)
        return classification_loss(without_donors(logits, labels, donors), labels)

    def _triplet_loss(self, feature: Tensor, mask: Tensor, batch: Batch, named: Tensor) -> Tensor:
        weighing = mask if self.recipe.losses.triplet_by_mask else None
        return hardest_triplet_loss(feature, batch.labels[named], self._donors(batch)[named], weighing)

    def _precision_loss(self, features: Features, batch: Batch, named: Tensor) -> Tensor:
        assert features.precision is not None
        neck, clean = features.neck.detach(), _uncovered(batch) & named  # (N, D), (N,)
        squared, comparable = squared_deviations(neck, batch.labels, clean)
        return precision_loss(features.precision, squared, comparable, self.mean_deviation(neck, squared, comparable))

    def _region_loss(self, neck: Tensor, prototypes: Tensor, labels: Tensor, covers: Tensor) -> Tensor:
        seen = seen_of_regions(1 - covers)  # (N, 6)
        return region_loss(neck, prototypes, labels, seen, self.region_of, self.recipe.losses.arcface_scale)

    def _visibility_loss(self, features: Features, batch: Batch) -> Tensor:
        assert self.recipe.regions is not None and features.visibility is not None
        truth = visibility_truth(batch.covers, batch.persons, self.recipe.regions.uncovered_weight)
        return visibility_loss(features.visibility, *truth)

    def _distillation_loss(self, neck: Tensor, rows: Tensor) -> Tensor:
        """The target comes from the clean crop; the student sees the occluded one [ours]."""
        assert self.targets is not None
        return 1 - functional.cosine_similarity(self._comparable(neck), self.targets[rows]).mean()

    def _relation_loss(self, neck: Tensor, rows: Tensor) -> Tensor:
        """Keep the clean crop's similarities to all training crops (after Park et al., "RKD", CVPR 2019)."""
        assert self.recipe.distillation is not None and self.targets is not None
        scale = 1 / self.recipe.distillation.temperature
        target = scale * self.targets[rows] @ self.targets.T  # (N, crops)
        student = scale * functional.normalize(self._comparable(neck)) @ self.targets.T  # (N, crops)
        return _divergence(student, target)

    def _mask_distillation_loss(self, neck: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """Masked similarities to the batch's clean crops should be the start's between the clean pictures [ours].

        The same divergence as of the relation loss, over the other crops of the batch that no occluder covers.
        """
        assert self.recipe.distillation is not None and self.targets is not None
        scale, targets = 1 / self.recipe.distillation.temperature, self.targets[batch.rows]  # (N, T)
        itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        gallery = _uncovered(batch)  # (N,)
        if gallery.sum() < 2:
            return mask.sum() * 0  # nothing to compare with
        target = (scale * targets @ targets.T).masked_fill(itself, -LOWEST)[:, gallery]  # (N, G)
        student = scale * joint_similarity(functional.normalize(neck), mask)  # (N, N)
        return _divergence(student.masked_fill(itself, -LOWEST)[:, gallery], target)

    def _comparable(self, neck: Tensor) -> Tensor:
        """The dims that have a target: those of the backbone, without region heads; (N, D) → (N, T)."""
        assert self.targets is not None
        return neck[:, : self.targets.shape[1]]

    def _donors(self, batch: Batch) -> Tensor:
        """Identities to ignore, int64 (N,): the donors, or -1 for none."""
        return batch.donors if self.recipe.losses.ignore_donors else torch.full_like(batch.donors, -1)

    def _teacher_loss(self, neck: Tensor, rows: Tensor) -> Tensor:
        """The teacher saw the clean crop; the student sees the occluded one."""
        assert self.to_teacher is not None and isinstance(self.teacher, Tensor)
        return 1 - functional.cosine_similarity(self.to_teacher(neck), self.teacher[rows]).mean()


def _divergence(student: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the softmaxes over each row's logits, (N, M) each; a scalar."""
    log_target, log_student = functional.log_softmax(target, 1), functional.log_softmax(student, 1)
    return functional.kl_div(log_student, log_target, reduction="batchmean", log_target=True)


def _uncovered(batch: Batch) -> Tensor:
    """Which crops no occluder covers, bool (N,)."""
    return batch.covers.flatten(1).amax(1) == 0
