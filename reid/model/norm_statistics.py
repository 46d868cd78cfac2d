"""Do the statistics in a network's BatchNorm layers fit what flows through it?

Published weights are not always as they were trained: rebuilt from an export, for example, a layer's running variance
may be hundreds of times off, made up for by its scale.  In evaluation mode that changes nothing.  In training mode the
layer normalises by the batch instead, the scale no longer fits, and the first steps destroy what was learnt.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class _Moments:
    """Sums over everything that flows into one layer, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = self.squares = torch.zeros((), dtype=torch.float64)

    def add(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """A forward pre-hook."""
        values = (
            inputs[0].detach().flatten(2).double() if inputs[0].dim() > 2 else inputs[0].detach()[..., None].double()
        )
        self.count += values.shape[0] * values.shape[2]
        self.sum = values.sum((0, 2)) + self.sum.to(values.device)  # (C,)
        self.squares = values.square().sum((0, 2)) + self.squares.to(values.device)  # (C,)


@torch.no_grad()
def recalibrate_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every BatchNorm layer the statistics of these inputs, and a scale and shift that keep its output the same.

    What the network computes in evaluation mode does not change; in training mode it starts from there [ours].

    Args:
        network: left in evaluation mode.
        batches: its inputs, at least one.
    """
    norms = [module for module in network.modules() if isinstance(module, Norm) and module.affine]
    if not norms:
        return
    moments = [_Moments() for _ in norms]
    hooks = [norm.register_forward_pre_hook(one.add) for norm, one in zip(norms, moments, strict=True)]
    network.eval()
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    for norm, one in zip(norms, moments, strict=True):
        if one.count:  # a layer that no input reaches has nothing to be measured by
            _adopt(norm, one)


def _adopt(norm: Norm, moments: _Moments) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    mean = moments.sum / moments.count  # (C,)
    variance = (moments.squares / moments.count - mean.square()).clamp_min(0)  # (C,)
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # (C,)
    offset = norm.bias.double() - slope * norm.running_mean.double()  # (C,)
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + slope * mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
