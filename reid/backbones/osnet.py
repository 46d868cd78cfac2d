"""OSNet, a small CNN for re-identification: every block extracts several scales at once and gates them per channel.

Source: Zhou, Yang, Cavallaro, Xiang, "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019.  Written
from the paper; parameters have the names of the published OSNet weights, which therefore load without conversion.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .protocol import Backbone, BackboneOutput, add_camera, camera_embedding, weighted_mean

CHANNELS = (64, 256, 384, 512)  # of stem and stages 2 to 4 at width 1.0 (the paper's table 1)
STREAM_DEPTHS = (1, 2, 3, 4)  # stacked 3×3 layers per stream: receptive fields 3, 5, 7 and 9
BOTTLENECK = 4  # the streams of a block have 1/4 of its output channels
GATE_REDUCTION = 16
DIMENSIONS = 512  # of the feature, at every width


class ConvNorm(nn.Module):
    """Convolution without bias, BatchNorm, and a ReLU unless `linear`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.activation: nn.Module = nn.Identity() if linear else nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H/stride, W/stride)."""
        activated: Tensor = self.activation(self.bn(self.conv(x)))
        return activated


class LightConv3x3(nn.Module):
    """The paper's lite 3×3: a pointwise convolution, then a depthwise one (fig. 3b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W), shape kept."""
        activated: Tensor = self.activation(self.bn(self.conv2(self.conv1(x))))
        return activated


class ChannelGate(nn.Module):
    """Unified aggregation gate: one small network, shared by all streams, weights each channel (eq. 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // GATE_REDUCTION)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W), shape kept."""
        pooled = functional.adaptive_avg_pool2d(x, 1)  # (N, channels, 1, 1); faster in ONNX than mean()
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))


class OmniScaleBlock(nn.Module):
    """Residual block of four gated streams (fig. 4)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // BOTTLENECK
        self.conv1 = ConvNorm(inputs, middle)
        self.conv2a = LightConv3x3(middle)
        self.conv2b = nn.Sequential(*(LightConv3x3(middle) for _ in range(STREAM_DEPTHS[1])))
        self.conv2c = nn.Sequential(*(LightConv3x3(middle) for _ in range(STREAM_DEPTHS[2])))
        self.conv2d = nn.Sequential(*(LightConv3x3(middle) for _ in range(STREAM_DEPTHS[3])))
        self.gate = ChannelGate(middle)
        self.conv3 = ConvNorm(middle, outputs, linear=True)
        self.downsample = ConvNorm(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W)."""
        narrow = self.conv1(x)  # (N, outputs / 4, H, W)
        streams = (self.conv2a, self.conv2b, self.conv2c, self.conv2d)
        first, *others = (self.gate(stream(narrow)) for stream in streams)
        fused = sum(others, first)
        skip = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv3(fused) + skip)


class OSNet(Backbone):
    """OSNet of any width: 256×128 RGB crops in, the outputs of stages 2 to 5 and a feature out."""

    def __init__(self, width: float = 0.25, cameras: int = 0) -> None:
        super().__init__()
        stem, second, third, fourth = _channels(width)
        self.map_channels = (second, third, fourth, fourth)
        self.dimensions = DIMENSIONS
        self.conv1 = ConvNorm(3, stem, kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(stem, second, halve=True)
        self.conv3 = _stage(second, third, halve=True)
        self.conv4 = _stage(third, fourth, halve=False)
        self.conv5 = ConvNorm(fourth, fourth)
        self.fc = nn.Sequential(nn.Linear(fourth, DIMENSIONS), nn.BatchNorm1d(DIMENSIONS), nn.ReLU(inplace=True))
        self.camera = camera_embedding(cameras, stem)

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float32 (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) or None."""
        stem = add_camera(self.maxpool(self.conv1(images)), self.camera, camids)  # (N, c1, 64, 32)
        second = self.conv2(stem)  # (N, c2, 32, 16)
        third = self.conv3(second)  # (N, c3, 16, 8)
        fourth = self.conv4(third)  # (N, c4, 16, 8)
        fifth = self.conv5(fourth)  # (N, c4, 16, 8)
        return BackboneOutput((second, third, fourth, fifth), self.fc(fifth.mean((2, 3))))

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """As `Backbone.pool`."""
        feature: Tensor = self.fc(weighted_mean(deepest, weights))  # (N, 512)
        return feature


def _channels(width: float) -> tuple[int, int, int, int]:
    stem, second, third, fourth = (int(channels * width) for channels in CHANNELS)
    return stem, second, third, fourth


def _stage(inputs: int, outputs: int, halve: bool) -> nn.Sequential:
    """Two blocks, and where the paper has one a transition that halves the map."""
    blocks: list[nn.Module] = [OmniScaleBlock(inputs, outputs), OmniScaleBlock(outputs, outputs)]
    if halve:
        blocks.append(nn.Sequential(ConvNorm(outputs, outputs), nn.AvgPool2d(2)))
    return nn.Sequential(*blocks)
