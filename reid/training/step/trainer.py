"""Training state and one optimisation step: model, prototypes, optimisers, and the moving average of the weights."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ...data.dataset import CropSet
from ...errors import RecipeError, TrainingError
from ...model.network import ModelSpec, ReidModel, create_model, load_weights, packed_model
from ...model.precision import MeanDeviation
from ...model.prototypes import Prototypes, PrototypeState, Sample
from ...recipe.schema import Recipe
from ...supervision.text import TextSupervision
from .batches import Batch
from .objective import Objective
from .start import initialise

MOST_SKIPPED_IN_A_ROW = 20  # a float16 scaler needs up to 16 to find its scale; more do not recover
AVERAGE_WARM_UP_STEPS = 10  # in its first n steps the average forgets with decay n / (n + 10)
AMP_TYPES = {"none": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainerState(TypedDict):
    """What a checkpoint holds of a trainer."""

    model: dict[str, Tensor]
    average: dict[str, Tensor] | None
    extras: dict[str, Tensor]
    prototypes: PrototypeState
    optimisers: list[dict[str, Any]]  # PyTorch's own layout
    scaler: dict[str, Any]
    steps: int
    skipped: int
    skipped_in_a_row: int


class Trainer:
    """All that training changes; `step` takes one optimisation step of everything, then one of the mask generator."""

    def __init__(
        self,
        recipe: Recipe,
        identities: int,
        cameras: int,
        teacher: Tensor | None = None,
        text: Mapping[str, Tensor] | None = None,
        start: Tensor | None = None,
    ) -> None:
        """Build the model and everything that trains it; call `start` or `restore` next.

        Args:
            recipe: what to build.
            identities: number of training identities, C.
            cameras: number of training cameras.
            teacher: the teacher's embedding of every clean training crop, float32 (crops, T) of unit length.
            text: from `stages.learn_text`.
            start: embedding of every clean crop by the untrained network or the teacher, float32 (crops, D), for
                distillation.
        """
        self.recipe, self.clean = recipe, start
        self.device = torch.device(recipe.device)
        backbone, dims = recipe.backbone, recipe.regions.dimensions if recipe.regions else 0
        cameras, evidence = cameras if backbone.cameras else 0, recipe.regions is not None
        spec = ModelSpec(
            backbone.name,
            backbone.width,
            recipe.mask.kind,
            cameras,
            dims,
            evidence,
            discriminant=recipe.discriminant is not None,
        )
        model = create_model(spec, backbone.pretrained, backbone.height_px)
        self.spec = replace(spec, graph=model.backbone.graph)
        # channels last: half the time on a CPU
        self.model: ReidModel = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = [_submodule(model, name) for name in backbone.frozen]
        for module in self.frozen:
            module.requires_grad_(False)
        dimensions = self.model.neck.num_features
        self.prototypes = Prototypes(identities, dimensions, recipe.prototypes.sampled, self.device)
        supervision = None if text is None else TextSupervision(text["text"], dimensions, text.get("projection"))
        region_of = None if self.model.regions is None else self.model.regions.region_of
        if start is not None and start.shape[1] != self.model.backbone.dimensions:
            expected = self.model.backbone.dimensions
            raise RecipeError(f"distillation.network: expected a network of {expected} dims, got {start.shape[1]}")
        self.objective = Objective(recipe, dimensions, teacher, supervision, region_of).to(self.device)
        self.optimisers = self._optimisers()
        self.scaler = torch.amp.GradScaler(recipe.device, enabled=recipe.amp == "float16")
        decay = recipe.schedule.ema_decay
        self.average = _moving_average(self.model, decay) if decay else None
        self.steps = self.skipped = self.skipped_in_a_row = 0

    def start(self, crops: CropSet) -> None:
        """Load the recipe's weights, and estimate all that training starts from, see `start.initialise`."""
        if self.recipe.start_from is not None:
            load_weights(self.model, self.recipe.start_from)
        initialise(self.model, self.prototypes, self.objective, self.recipe, crops, self.clean)
        if self.average is not None:
            self.average.module.load_state_dict(self.model.state_dict())
        self.start_parameters = [one.detach().clone() for one in self.model.backbone.parameters()]

    def step(self, batches: Sequence[Batch], learning_rate: float, rng: np.random.Generator) -> dict[str, float] | None:
        """Take one optimisation step on the mean loss of some batches.

        A step whose loss or gradient is not finite changes neither weights nor statistics.

        Args:
            batches: at least one.
            learning_rate: of this step, for everything but the mask generator.
            rng: draws the prototypes that take part.

        Returns:
            The mean of every loss term; None if the step was skipped.

        Raises:
            TrainingError: too many steps in a row were skipped.
        """
        statistics = [(one, one.clone()) for one in self._statistics()]
        self._set_training_mode()
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        batches = [batch.to(self.device) for batch in batches]
        labels = torch.cat([batch.labels for batch in batches])  # (N,); not all have a prototype
        sample = self.prototypes.sample(labels[labels < len(self.prototypes)], rng)
        losses = self._accumulate(batches, sample)
        self.steps += 1
        if losses is None or not self._move(sample, learning_rate):
            for buffer, before in statistics:
                buffer.copy_(before)
            self._count_skipped()
            return None
        self.skipped_in_a_row = 0
        if self.average is not None:
            self.average.update_parameters(self.model)
        return losses

    @property
    def best_model(self) -> ReidModel:
        """The model to evaluate and save: the moving average, if the recipe has one.

        With `distillation.start_share` its backbone is interpolated with the start's weights (Wortsman et al., CVPR
        2022).
        """
        best = self.model if self.average is None else cast(ReidModel, self.average.module)
        if self.recipe.distillation is None or self.recipe.distillation.start_share == 0:
            return best
        interpolated = copy.deepcopy(best)
        for parameter, start in zip(interpolated.backbone.parameters(), self.start_parameters, strict=True):
            parameter.data.lerp_(start, self.recipe.distillation.start_share)
        return interpolated

    def state(self) -> TrainerState:
        """Everything that `restore` needs."""
        return {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "extras": self.objective.state_dict(),
            "prototypes": self.prototypes.state(),
            "optimisers": [one.state_dict() for one in self.optimisers],
            "scaler": self.scaler.state_dict(),
            "steps": self.steps,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }

    def weights(self) -> dict[str, Any]:
        """What `model.read_model` needs, of the best model."""
        return packed_model(self.spec, self.best_model.state_dict())

    def restore(self, state: TrainerState) -> None:
        """Restore what `state` returned."""
        self.model.load_state_dict(state["model"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        self.objective.load_state_dict(state["extras"])
        self.prototypes.restore(state["prototypes"])
        for optimiser, its_state in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(its_state)
        self.scaler.load_state_dict(state["scaler"])
        self.steps, self.skipped = state["steps"], state["skipped"]
        self.skipped_in_a_row = state["skipped_in_a_row"]

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        """One for everything but the mask generator, and the generator's own [DPM] unless `mask.joint_step` is set."""
        schedule, mask = self.recipe.schedule, self.model.mask
        modules: list[nn.Module] = [self.model.backbone, self.model.neck, self.objective]
        if self.model.regions is not None:
            modules.append(self.model.regions)
        if mask is not None and self.recipe.mask.joint_step:
            modules.append(mask)
        rest = [one for module in modules for one in module.parameters() if one.requires_grad]
        optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(rest, schedule.learning_rate, weight_decay=schedule.weight_decay)
        ]
        if mask is not None and not self.recipe.mask.joint_step:
            optimisers.append(torch.optim.Adam(mask.parameters(), self.recipe.mask.learning_rate))
        return optimisers

    def _accumulate(self, batches: Sequence[Batch], sample: Sample) -> dict[str, float] | None:
        """Add up the gradients of all batches; return the mean of every loss term, or None if one is not finite."""
        history = []
        for batch in batches:
            images = self.model.normalise(batch.images).contiguous(memory_format=torch.channels_last)
            amp = AMP_TYPES[self.recipe.amp]
            with torch.autocast(self.device.type, amp, enabled=amp != torch.float32):
                camids = batch.camids if self.spec.cameras else None
                features = self.model.features(images, camids, batch.exchange)
                mask = self.model.masks(features)  # (N, D)
            if self.spec.mask != "none":
                self.model.update_mean_mask(mask, features, batch.covers.flatten(1).amax(1) == 0)
            losses = self.objective.losses(batch, features, mask, sample)
            total = self.objective.total(losses) / len(batches)
            history.append({name: loss.item() for name, loss in losses.items()})
            if not torch.isfinite(total):
                return None
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return {name: sum(losses[name] for losses in history) / len(history) for name in history[0]}

    def _move(self, sample: Sample, learning_rate: float) -> bool:
        """Step everything, then the mask generator; if a gradient is not finite step nothing and return False."""
        schedule = self.recipe.schedule
        if sample.weight.grad is not None:
            sample.weight.grad /= self.scaler.get_scale()
        lengths = []
        for place, optimiser in enumerate(self.optimisers):
            self.scaler.unscale_(optimiser)
            parameters = [one for group in optimiser.param_groups for one in group["params"]]
            clipped = [*parameters, sample.weight] if place == 0 else parameters
            lengths.append(nn.utils.clip_grad_norm_(clipped, schedule.gradient_limit))
        finite = bool(torch.stack(lengths).isfinite().all())
        if finite:
            for group in self.optimisers[0].param_groups:
                group["lr"] = learning_rate
            factor = self.recipe.prototypes.learning_rate_factor
            self.prototypes.step(sample, factor * learning_rate, schedule.weight_decay)
            for optimiser in self.optimisers:
                self.scaler.step(optimiser)
        self.scaler.update()
        return finite

    def _statistics(self) -> list[Tensor]:
        """All that a forward pass updates by itself: running statistics of layers and losses."""
        means = [one for one in self.objective.modules() if isinstance(one, MeanDeviation)]
        return [buffer for module in (self.model, *means) for buffer in module.buffers()]

    def _count_skipped(self) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise TrainingError(
                f"step {self.steps - 1}: the loss was not finite {self.skipped_in_a_row} times in a row: "
                "lower schedule.learning_rate, or set amp to none"
            )

    def _set_training_mode(self) -> None:
        self.model.train()
        if self.clean is not None:
            self.model.neck.eval()  # the targets were normalised by its first statistics
        for module in self.frozen:
            module.eval()  # or its BatchNorm statistics would drift


def _moving_average(model: ReidModel, decay: float) -> AveragedModel:
    """Exponential moving average of weights and statistics, with decay min(decay, n / (n + 10)) in step n."""

    def average(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current  # counters
        warm_up = torch.as_tensor(steps / (steps + AVERAGE_WARM_UP_STEPS), device=averaged.device)  # waits for no GPU
        return averaged.lerp(current, 1 - warm_up.clamp_max(decay).to(averaged.dtype))

    averaged = AveragedModel(model, avg_fn=average, use_buffers=True).requires_grad_(False)
    averaged.update_parameters(model)  # the first call copies; the next is step 1
    return averaged


def _submodule(model: ReidModel, name: str) -> nn.Module:
    try:
        return model.backbone.get_submodule(name)
    except AttributeError as error:
        raise RecipeError(f"backbone.frozen: this backbone has no module {name}") from error
