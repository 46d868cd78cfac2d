"""RepVGG-style backbone for CPUs: trained with several branches, run as a chain of plain 3×3 convolutions.

Source: Ding, Zhang, Ma, Han, Ding, Sun, "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021.  In training each
block is the sum of a 3×3, a 1×1 and an identity branch, each with its own BatchNorm.  All are linear, so for inference
their sum is fused into one 3×3 convolution (section 3.3).  Depths and widths are ours: 0.28 billion multiply-adds for a
256×128 crop at width 1, four stages, the last at stride 1.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_eval

from .protocol import Backbone, BackboneOutput, add_camera, camera_embedding, weighted_mean

STEM_CHANNELS = 16
CHANNELS = (32, 64, 128, 256)  # of the four stages at width 1
BLOCKS = (2, 3, 5, 2)  # per stage; most where the map is small and its channels are still few
STRIDES = (2, 2, 2, 1)  # the stem has 2: maps at strides 4, 8, 16 and 16
DIMENSIONS = 512  # of the feature, at every width
CHANNEL_STEP = 8  # channels are a multiple of it, as vector units prefer


class ConvNorm(nn.Module):
    """Convolution without bias, then BatchNorm; no activation, so that branches can be summed."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H/stride, W/stride)."""
        normalised: Tensor = self.bn(self.conv(x))
        return normalised


class PlainBlock(nn.Module):
    """3×3 + 1×1 + identity (where the shape is kept), each normalised, and a ReLU over the sum (fig. 4)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.wide = ConvNorm(inputs, outputs, 3, stride)
        self.point = ConvNorm(inputs, outputs, 1, stride)
        self.skip = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H/stride, W/stride)."""
        branches = self.wide(x) + self.point(x)
        return torch.relu(branches if self.skip is None else branches + self.skip(x))

    def fuse(self) -> nn.Sequential:
        """A 3×3 convolution with bias and a ReLU that compute the same as this block in evaluation mode."""
        conv = self.wide.conv
        kernels = [(conv.weight, self.wide.bn), (functional.pad(self.point.conv.weight, (1, 1, 1, 1)), self.point.bn)]
        if self.skip is not None:
            kernels.append((nn.init.dirac_(torch.empty_like(conv.weight)), self.skip))
        folded = [_fold(kernel, bn) for kernel, bn in kernels]
        one = nn.Conv2d(conv.in_channels, conv.out_channels, 3, cast(tuple[int, int], conv.stride), 1)
        with torch.no_grad():
            one.weight.copy_(torch.stack([weight for weight, _ in folded]).sum(0))
            cast(Tensor, one.bias).copy_(torch.stack([bias for _, bias in folded]).sum(0))
        return nn.Sequential(one, nn.ReLU(inplace=True)).to(conv.weight.device)


class PlainConv(Backbone):
    """Stem and four stages of plain blocks; the feature is the last map's mean through Linear and BatchNorm."""

    def __init__(self, width: float = 1.0, cameras: int = 0) -> None:
        super().__init__()
        stem, *channels = (_scaled(one, width) for one in (STEM_CHANNELS, *CHANNELS))
        self.map_channels = (channels[0], channels[1], channels[2], channels[3])
        self.dimensions = DIMENSIONS
        self.stem: nn.Module = PlainBlock(3, stem, 2)
        self.camera = camera_embedding(cameras, stem)
        self.stages = nn.ModuleList(
            nn.Sequential(
                PlainBlock(inputs, outputs, stride), *(PlainBlock(outputs, outputs, 1) for _ in range(blocks - 1))
            )
            for inputs, outputs, stride, blocks in zip((stem, *channels[:-1]), channels, STRIDES, BLOCKS, strict=True)
        )
        self.fc: nn.Module = nn.Sequential(nn.Linear(channels[-1], DIMENSIONS, bias=False), nn.BatchNorm1d(DIMENSIONS))

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) or None."""
        x = add_camera(self.stem(images), self.camera, camids)  # (N, 16, 128, 64)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)  # (N, c, 64, 32), then 32×16, 16×8 and 16×8
        return BackboneOutput((maps[0], maps[1], maps[2], maps[3]), self.fc(x.mean((2, 3))))

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """As `Backbone.pool`."""
        feature: Tensor = self.fc(weighted_mean(deepest, weights))  # (N, 512)
        return feature

    def fused(self) -> "PlainConv":
        """A copy for inference in which every block is one convolution and the feature layer one Linear.

        It is in evaluation mode and cannot be trained, as the BatchNorm statistics are part of its weights.
        """
        single = copy.deepcopy(self).eval()
        if isinstance(single.stem, PlainBlock):  # otherwise it is fused already
            single.stem = single.stem.fuse()
            for stage in single.stages:
                for index, block in enumerate(cast(nn.Sequential, stage)):
                    cast(nn.Sequential, stage)[index] = cast(PlainBlock, block).fuse()
            linear, bn = cast(nn.Sequential, single.fc)
            single.fc = fuse_linear_bn_eval(cast(nn.Linear, linear), cast(nn.BatchNorm1d, bn))
        return single.eval()


def _fold(kernel: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias, in float64, of a bias-free convolution followed by `bn` in evaluation mode (eq. 3)."""
    mean, var = cast(Tensor, bn.running_mean), cast(Tensor, bn.running_var)
    parts = [one.detach().double() for one in (kernel, mean, var, bn.weight, bn.bias)]
    weight, bias = fuse_conv_bn_weights(parts[0], None, parts[1], parts[2], bn.eps, parts[3], parts[4])
    return weight.detach(), bias.detach()


def _scaled(channels: int, width: float) -> int:
    """Channels at this width, a multiple of 8 and at least 8."""
    return max(CHANNEL_STEP, round(channels * width / CHANNEL_STEP) * CHANNEL_STEP)
