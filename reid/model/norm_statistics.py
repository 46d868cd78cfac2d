"""Re-estimate the BatchNorm statistics of a network without changing its outputs.

The running statistics of published weights do not always match their activations: in weights that were rebuilt from an
export, a running variance may be off by a factor of hundreds, compensated by the layer's scale.  In evaluation mode
that has no effect.  In training mode the layer normalises by the batch instead, the scale no longer fits, and the first
steps destroy the pretrained weights.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class _Moments:
    """Sums over all inputs of one layer, in float64."""

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
    """Set the statistics of every BatchNorm layer to those of its inputs, and adapt scale and shift to compensate.

    The network's outputs in evaluation mode stay the same, and in training mode they now start close to them [ours].

    Args:
        network: changed in place, and left in evaluation mode.
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
        if one.count:  # a layer that no input reaches keeps its statistics
            _adopt(norm, one)


def _adopt(norm: Norm, moments: _Moments) -> None:
    """Replace the statistics of one layer, in place; its function in evaluation mode stays the same."""
    assert norm.running_mean is not None and norm.running_var is not None
    mean = moments.sum / moments.count  # (C,)
    variance = (moments.squares / moments.count - mean.square()).clamp_min(0)  # (C,)
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # (C,)
    offset = norm.bias.double() - slope * norm.running_mean.double()  # (C,)
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + slope * mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
