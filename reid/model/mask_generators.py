"""Predict a mask over embedding dims from the four feature maps of a crop: the `lite` and the `full` generator."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import RecipeError

STAGE_CHANNELS = 32  # each map is projected to this many channels before they are concatenated
GRID = (16, 8)  # rows and columns of the coarsest map of a 256×128 crop


class MapReader(nn.Module):
    """Four feature maps → one: a 1×1 convolution each, average-pooled to 16×8 and concatenated.

    channels: number of output channels.
    """

    def __init__(self, map_channels: Sequence[int], stage_channels: int = STAGE_CHANNELS) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(nn.Conv2d(channels, stage_channels, 1) for channels in map_channels)
        self.channels = stage_channels * len(map_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: four of float (N, c_l, H_l, W_l) → float (N, channels, 16, 8)."""
        stages = [functional.adaptive_avg_pool2d(one(x), GRID) for one, x in zip(self.squeeze, maps, strict=True)]
        return torch.cat(stages, 1)


class MaskGenerator(nn.Module):
    """The `lite` mask generator: four feature maps → one value in (0, 1) per embedding dim [summary: ≈ 0.5 M params].

    A 1×1 convolution per map, pooled to 16×8 and concatenated, two depthwise-separable 3×3 layers, global max pooling,
    Linear, sigmoid.  The last Linear is initialised to zero, so every mask starts at exactly 0.5 and the masked metric
    starts as plain cosine [DPM].
    """

    def __init__(self, map_channels: Sequence[int], dimensions: int) -> None:
        super().__init__()
        self.read = MapReader(map_channels)
        width = self.read.channels
        self.mix = nn.Sequential(*separable(width, width), *separable(width, width))
        self.out = nn.Linear(width, dimensions)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: four of float32 (N, c_l, H_l, W_l) → mask float32 (N, D) in (0, 1)."""
        mixed = self.mix(self.read(maps))  # (N, width, 16, 8)
        return torch.sigmoid(self.out(mixed.amax((2, 3))))  # (N, D)


class FullMaskGenerator(nn.Module):
    """The `full` mask generator: four feature maps → one value in (0, 1) per embedding dim [DPM].

    The concatenated maps, S channels in all; 3×3 convolution to S/2, BatchNorm, ReLU, 2×2 max pooling; the same to S/4;
    the same to S/4 without the pooling; global max pooling, Linear, sigmoid.  59 million parameters for the maps of
    ViT-B/16 (S = 3072).  DPM reads the maps of a transformer, which have one size; maps of several sizes are first
    average-pooled to 16×8 [ours].  The last Linear is initialised to zero, so every mask starts at exactly 0.5 [DPM].
    """

    def __init__(self, map_channels: Sequence[int], dimensions: int) -> None:
        super().__init__()
        width = sum(map_channels)
        self.mix = nn.Sequential(
            *_convolved(width, width // 2),
            nn.MaxPool2d(2),
            *_convolved(width // 2, width // 4),
            nn.MaxPool2d(2),
            *_convolved(width // 4, width // 4),
        )
        self.out = nn.Linear(width // 4, dimensions)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """maps: four of float32 (N, c_l, H_l, W_l) → mask float32 (N, D) in (0, 1)."""
        stages = [functional.adaptive_avg_pool2d(one, GRID) for one in maps]
        mixed = self.mix(torch.cat(stages, 1))  # (N, S / 4, 4, 2)
        return torch.sigmoid(self.out(mixed.amax((2, 3))))  # (N, D)


def create_mask_generator(
    kind: Literal["full", "lite"], map_channels: Sequence[int], dimensions: int
) -> FullMaskGenerator | MaskGenerator:
    """Create a mask generator.

    Args:
        kind: "full" or "lite".
        map_channels: channels of the backbone's four maps.
        dimensions: D.

    Raises:
        RecipeError: an unknown kind.
    """
    if kind == "full":
        return FullMaskGenerator(map_channels, dimensions)
    if kind == "lite":
        return MaskGenerator(map_channels, dimensions)
    raise RecipeError(f"mask: expected full or lite, got {kind}")


def _convolved(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def separable(inputs: int, outputs: int) -> list[nn.Module]:
    """A depthwise-separable 3×3 layer with BatchNorm and ReLU."""
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
