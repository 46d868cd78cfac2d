"""Vision transformers as backbones: patch tokens become maps, the class token becomes the feature.

`VitBackbone` holds what timm's and open_clip's transformers share; the subclass of each names its parts.
Sources: He et al., "TransReID", ICCV 2021, for their use in re-identification; [DPM] for the four blocks of the maps.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..protocol import BackboneOutput, TokenBackbone, add_camera, camera_embedding

MAP_BLOCKS = (1, 3, 9, 11)  # of 12, counted from 0, whose patch tokens are the maps [DPM]


class Attention(NamedTuple):
    """Inputs and parameters of a block's self-attention.

    tokens: normalised input, float (N, 1 + P, C).
    weight, bias: of the joint projection to queries, keys and values, (3C, C) and (3C,).
    heads: number of heads h.
    """

    tokens: Tensor
    weight: Tensor
    bias: Tensor
    heads: int


class VitBackbone(TokenBackbone):
    """A transformer of twelve blocks with a class token and learnt positions."""

    def __init__(self, network: nn.Module, grid: tuple[int, int], channels: int, cameras: int) -> None:
        super().__init__()
        self.network = network
        self.grid = grid
        self.dimensions = channels
        self.map_channels = (channels, channels, channels, channels)
        self.camera = camera_embedding(cameras, channels)

    def tokens(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """Embed the patches, row by row, without positions: float (N, 3, 256, 128) → float (N, P, C).

        They include the camera embedding of their image, so an exchanged patch keeps that of its own camera [ours];
        positions are added after the exchange.
        """
        return add_camera(self.patches(images), self.camera, camids)

    def from_tokens(self, tokens: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """Continue from patch tokens, possibly exchanged ones.

        Args:
            tokens: float (N, P, C), as `tokens` returns them.
            camids: int64 (N,), cameras for the class tokens; None adds none.
        """
        # `shape[0]`, not `len`, which would fix the batch size in an exported graph
        first = add_camera(self.class_token().expand(tokens.shape[0], 1, -1), self.camera, camids)  # (N, 1, C)
        x = self.enter(torch.cat([first, tokens], 1) + self.positions())  # (N, 1 + P, C)
        maps, heads = [], None
        for index, block in enumerate(self.blocks()):
            if index == MAP_BLOCKS[-1]:
                heads = class_attention(self.attention(block, x))
            x = block(x)
            if index in MAP_BLOCKS:
                maps.append(x[:, 1:].transpose(1, 2).reshape(x.shape[0], -1, *self.grid))  # (N, C, 16, 8)
        return BackboneOutput((maps[0], maps[1], maps[2], maps[3]), self.leave(x[:, 0]), heads)

    @abstractmethod
    def patches(self, images: Tensor) -> Tensor:
        """Project patches: float (N, 3, H, W) → float (N, P, C)."""

    @abstractmethod
    def class_token(self) -> Tensor:
        """The class token, float (1, 1, C)."""

    @abstractmethod
    def positions(self) -> Tensor:
        """The position embedding of class token and patches, float (1, 1 + P, C)."""

    @abstractmethod
    def enter(self, x: Tensor) -> Tensor:
        """Everything between positions and first block, such as dropout or a LayerNorm; shape kept."""

    @abstractmethod
    def blocks(self) -> Iterable[nn.Module]:
        """The twelve blocks, each (N, 1 + P, C) → (N, 1 + P, C)."""

    @abstractmethod
    def attention(self, block: nn.Module, x: Tensor) -> Attention:
        """The attention of `block` on its input `x`, float (N, 1 + P, C)."""

    @abstractmethod
    def leave(self, x: Tensor) -> Tensor:
        """Normalise the class token after the last block, float (N, C), shape kept."""


def class_attention(attention: Attention) -> Tensor:
    """Attention scores of the class token for each patch, per head and before the softmax: float (N, h, P).

    q · k / sqrt(C / h); the orthogonality loss compares the heads of the last block [DPM].
    """
    tokens, weight, bias, heads = attention
    channels = tokens.shape[2]
    query = functional.linear(tokens[:, :1], weight[:channels], bias[:channels])  # (N, 1, C)
    key = functional.linear(tokens[:, 1:], weight[channels : 2 * channels], bias[channels : 2 * channels])  # (N, P, C)
    query, key = (
        one.reshape(one.shape[0], -1, heads, channels // heads) for one in (query, key)
    )  # (N, 1 or P, h, C / h)
    scores = (query * key).sum(3).transpose(1, 2)  # (N, h, P)
    scaled: Tensor = scores * (channels // heads) ** -0.5
    return scaled
