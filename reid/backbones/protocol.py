"""The interface of all backbones: crops in, four feature maps and one feature out; and their camera embedding."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from ..errors import RecipeError

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)  # in [0, 1]
IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
CAMERA_SCALE = 3.0  # λ of TransReID's section 3.2
CAMERA_STD = 0.02  # of initial camera embeddings, as for the other embeddings of a ViT


class BackboneOutput(NamedTuple):
    """The outputs of one forward pass.

    maps: from shallow to deep, float (N, c_l, H_l, W_l).
    feature: float (N, D).
    heads: attention scores of the last block between class token and patches, per head and before the softmax,
        float (N, h, P), for the orthogonality loss [DPM]; None for networks without attention.
    """

    maps: tuple[Tensor, Tensor, Tensor, Tensor]
    feature: Tensor
    heads: Tensor | None = None


class Backbone(nn.Module):
    """A network from crops to `BackboneOutput`.

    map_channels: c_l of the four maps.
    dimensions: D.
    mean_rgb, std_rgb: the normalisation that it expects, in [0, 1].
    camera: TransReID's camera embedding (SIE), or None.  It is added only where camera ids are given, so not in
        deployment.
    """

    map_channels: tuple[int, int, int, int]
    dimensions: int
    mean_rgb: tuple[float, float, float] = IMAGENET_MEAN_RGB
    std_rgb: tuple[float, float, float] = IMAGENET_STD_RGB
    graph: str = ""  # what a checkpoint must store beside the name to build this network again
    camera: nn.Embedding | None  # no default, as it would hide the sub-module of the instance

    def __call__(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) in [0, cameras), or None."""
        output: BackboneOutput = super().__call__(images, camids)
        return output

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """Compute the feature from a weighted mean over the deepest map; only for convolutional networks.

        Args:
            deepest: float (N, c_4, H_4, W_4).
            weights: float (N, H_4, W_4), of sum 1 for each crop.

        Returns:
            float (N, D); equal to the backbone's own feature if all weights are equal.

        Raises:
            RecipeError: the network is not convolutional.
        """
        raise RecipeError(f"regions: {type(self).__name__} has no map to pool: use a convolutional backbone")

    def fused(self) -> "Backbone":
        """A network for export that computes the same in its fastest form; `self` stays unchanged."""
        return self


class TokenBackbone(Backbone, ABC):
    """A transformer backbone, split after patch embedding so that patches can be exchanged between images [SPT].

    grid: rows and columns of the P patches; a token has C channels.
    """

    grid: tuple[int, int]

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) or None."""
        return self.from_tokens(self.tokens(images, camids), camids)

    @abstractmethod
    def tokens(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """Embed the patches, row by row, without positions: float (N, 3, 256, 128) → float (N, P, C)."""

    @abstractmethod
    def from_tokens(self, tokens: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """Continue from patches, possibly exchanged ones: float (N, P, C)."""


def camera_embedding(cameras: int, channels: int) -> nn.Embedding | None:
    """One learnt vector per camera (He et al., "TransReID", ICCV 2021, section 3.2); None for no cameras."""
    if cameras == 0:
        return None
    embedding = nn.Embedding(cameras, channels)
    nn.init.trunc_normal_(embedding.weight, std=CAMERA_STD)
    return embedding


def add_camera(x: Tensor, embedding: nn.Embedding | None, camids: Tensor | None) -> Tensor:
    """Add the camera embedding of each image, λ · S[camid], to every position of `x`; nothing without camera ids.

    TransReID adds it to all tokens of a transformer.  For convolutional networks we add it to every position of the
    stem's output, so that all later layers can use it [ours].

    Args:
        x: tokens float (N, P, C), or a map float (N, C, H, W).
        embedding: from `camera_embedding`, or None.
        camids: int64 (N,), or None.
    """
    if embedding is None or camids is None:
        return x
    shift: Tensor = CAMERA_SCALE * embedding(camids)  # (N, C)
    return x + (shift[:, None] if x.ndim == 3 else shift[:, :, None, None])


def weighted_mean(deepest: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over positions: float (N, C, H, W) and weights float (N, H, W), each of sum 1 → float (N, C)."""
    return (deepest * weights[:, None]).sum((2, 3))
