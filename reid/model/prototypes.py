"""How do a million identities fit?  Each step sees the prototypes of its own people and a random few of the others.

Source: An et al., "Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial
FC", CVPR 2022.  The optimiser works on the same rows and on no others.
"""

from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BETAS = (0.9, 0.999)  # and EPSILON: as torch.optim.AdamW has them
EPSILON = 1e-8


class PrototypeState(TypedDict):
    """What a checkpoint holds of prototypes: weights, both moments, and how often each row was trained."""

    weight: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor


class Sample(NamedTuple):
    """The prototypes of one step.

    rows: int64 (S,), which identities they are, ascending.
    weight: float32 (S, D), a leaf that collects the step's gradient.
    """

    rows: Tensor
    weight: Tensor

    def columns(self, labels: Tensor) -> Tensor:
        """Where identities stand among the sampled ones: int64 (N,) in [0, C) or -1 → int64 (N,) in [0, S) or -1."""
        places = torch.searchsorted(self.rows, labels).clamp_max(len(self.rows) - 1)  # (N,)
        return torch.where(self.rows[places] == labels, places, -1)


class Prototypes:
    """One direction per training identity, and their own AdamW, which touches sampled rows only.

    A row that is not sampled neither moves nor decays, and its moments wait: sampling everything is exactly
    torch.optim.AdamW on the whole matrix.
    """

    def __init__(self, identities: int, dimensions: int, sampled: int | None, device: torch.device) -> None:
        """Random unit directions (C, D); `sampled` is how many take part in a step, None for all."""
        self.sampled = sampled
        self.weight = functional.normalize(torch.randn(identities, dimensions)).to(device)  # (C, D)
        self.mean = torch.zeros_like(self.weight)  # (C, D)
        self.square = torch.zeros_like(self.weight)  # (C, D)
        self.steps = torch.zeros(identities, dtype=torch.int64, device=device)  # (C,)

    def __len__(self) -> int:
        return len(self.weight)

    def sample(self, labels: Tensor, rng: np.random.Generator) -> Sample:
        """Draw the rows of one step: all of `labels`, filled up at random to `sampled`.

        Args:
            labels: int64 (N,) in [0, C), any number of repetitions.
            rng: where the chance comes from.
        """
        if self.sampled is None or self.sampled >= len(self):
            rows = torch.arange(len(self), device=self.weight.device)  # (C,)
        else:
            own = np.unique(labels.cpu().numpy())
            others = np.setdiff1d(rng.choice(len(self), self.sampled, replace=False, shuffle=False), own)
            filling = rng.choice(others, max(0, self.sampled - len(own)), replace=False, shuffle=False)
            rows = torch.from_numpy(np.union1d(own, filling)).to(self.weight.device)  # (S,)
        return Sample(rows, self.weight[rows].requires_grad_())

    @torch.no_grad()
    def step(self, sample: Sample, learning_rate: float, weight_decay: float) -> None:
        """AdamW (Loshchilov and Hutter, ICLR 2019) on the sampled rows, from the gradient that the leaf collected."""
        gradient, rows = sample.weight.grad, sample.rows
        if gradient is None:
            return
        steps = self.steps[rows] + 1  # (S,)
        mean = self.mean[rows].lerp(gradient, 1 - BETAS[0])  # (S, D)
        square = self.square[rows] * BETAS[1] + (1 - BETAS[1]) * gradient.square()  # (S, D)
        first, second = ((1 - beta ** steps.double())[:, None].float() for beta in BETAS)  # (S, 1); 1 - 0.999 cancels
        unbiased, spread = mean / first, (square / second).sqrt() + EPSILON
        decayed = sample.weight.detach() * (1 - learning_rate * weight_decay)
        self.steps[rows], self.mean[rows], self.square[rows] = steps, mean, square
        self.weight[rows] = decayed - learning_rate * unbiased / spread

    def state(self) -> PrototypeState:
        """Everything that `restore` needs."""
        return {"weight": self.weight, "mean": self.mean, "square": self.square, "steps": self.steps}

    def restore(self, state: PrototypeState) -> None:
        """Go back to what `state` returned."""
        self.weight.copy_(state["weight"])
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps.copy_(state["steps"])
