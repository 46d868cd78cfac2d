"""Identity prototypes with Partial FC: each step uses those of the batch and a random sample of the others.

Source: An et al., "Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial
FC", CVPR 2022.  The optimiser updates the sampled rows only, so the cost of a step does not grow with the identities.
"""

from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BETAS = (0.9, 0.999)  # these and EPSILON are the defaults of torch.optim.AdamW
EPSILON = 1e-8


class PrototypeState(TypedDict):
    """The prototypes in a checkpoint: weights, both moments, and the number of steps of each row."""

    weight: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor


class Sample(NamedTuple):
    """The prototypes of one step.

    rows: int64 (S,), the sampled identities, ascending.
    weight: float32 (S, D), a leaf tensor that collects the gradient of the step.
    """

    rows: Tensor
    weight: Tensor

    def columns(self, labels: Tensor) -> Tensor:
        """Indices of identities among the sampled ones: int64 (N,) in [0, C) or -1 → int64 (N,) in [0, S) or -1."""
        places = torch.searchsorted(self.rows, labels).clamp_max(len(self.rows) - 1)  # (N,)
        return torch.where(self.rows[places] == labels, places, -1)


class Prototypes:
    """One prototype per training identity, with an AdamW of its own that updates the sampled rows only.

    A row that is not sampled neither moves nor decays, and its moments stay as they are.  Sampling all rows equals
    torch.optim.AdamW on the whole matrix.
    """

    def __init__(self, identities: int, dimensions: int, sampled: int | None, device: torch.device) -> None:
        """Initialise the prototypes to random unit vectors.

        Args:
            identities: C.
            dimensions: D.
            sampled: how many rows take part in a step; None for all.
            device: where they are stored.
        """
        self.sampled = sampled
        self.weight = functional.normalize(torch.randn(identities, dimensions)).to(device)  # (C, D)
        self.mean = torch.zeros_like(self.weight)  # (C, D)
        self.square = torch.zeros_like(self.weight)  # (C, D)
        self.steps = torch.zeros(identities, dtype=torch.int64, device=device)  # (C,)

    def __len__(self) -> int:
        return len(self.weight)

    def sample(self, labels: Tensor, rng: np.random.Generator) -> Sample:
        """Draw the rows of one step: all identities of `labels`, filled up at random to `sampled` rows.

        Args:
            labels: int64 (N,) in [0, C), possibly repeated.
            rng: source of randomness.
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
        """Update the sampled rows by AdamW (Loshchilov and Hutter, ICLR 2019) with the gradient of `sample.weight`."""
        gradient, rows = sample.weight.grad, sample.rows
        if gradient is None:
            return
        steps = self.steps[rows] + 1  # (S,)
        mean = self.mean[rows].lerp(gradient, 1 - BETAS[0])  # (S, D)
        square = self.square[rows] * BETAS[1] + (1 - BETAS[1]) * gradient.square()  # (S, D)
        first, second = ((1 - beta ** steps.double())[:, None].float() for beta in BETAS)  # (S, 1); 1 - 0.999 cancels
        unbiased, scale = mean / first, (square / second).sqrt() + EPSILON
        decayed = sample.weight.detach() * (1 - learning_rate * weight_decay)
        self.steps[rows], self.mean[rows], self.square[rows] = steps, mean, square
        self.weight[rows] = decayed - learning_rate * unbiased / scale

    def state(self) -> PrototypeState:
        """The state that `restore` takes."""
        return {"weight": self.weight, "mean": self.mean, "square": self.square, "steps": self.steps}

    def restore(self, state: PrototypeState) -> None:
        """Restore a state that `state` returned, in place."""
        self.weight.copy_(state["weight"])
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps.copy_(state["steps"])
