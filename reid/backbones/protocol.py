"""What does every backbone give?  Four feature maps and one feature; and how it takes part in the rest of the model."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from ..errors import RecipeError

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)  # in [0, 1]
IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
CAMERA_SCALE = 3.0  # λ of TransReID's section 3.2
CAMERA_SPREAD = 0.02  # standard deviation of a camera embedding at the start, as of the other embeddings of a ViT


class BackboneOutput(NamedTuple):
    """What one forward pass gives.

    maps: from shallow to deep, float (N, c_l, H_l, W_l).
    feature: float (N, D).
    heads: how the class token's query of the last block meets the patches' keys, before the softmax, float (N, h, P);
        this is what DPM's orthogonality loss keeps apart [DPM].  None where there are no heads.
    """

    maps: tuple[Tensor, Tensor, Tensor, Tensor]
    feature: Tensor
    heads: Tensor | None = None


class Backbone(nn.Module):
    """A network from crops to `BackboneOutput`.

    map_channels: c_l of the four maps.
    dimensions: D.
    mean_rgb, std_rgb: the normalisation it expects, in [0, 1].
    camera: TransReID's camera embedding (SIE), or None.  It is added only where camera ids are given: deployment gives
        none.
    """

    map_channels: tuple[int, int, int, int]
    dimensions: int
    mean_rgb: tuple[float, float, float] = IMAGENET_MEAN_RGB
    std_rgb: tuple[float, float, float] = IMAGENET_STD_RGB
    graph: str = ""  # what a checkpoint must keep to build this network again, beside its name
    camera: nn.Embedding | None  # no default: nn.Module would find that one instead of the instance's

    def __call__(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) in [0, cameras), or None."""
        output: BackboneOutput = super().__call__(images, camids)
        return output

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """The feature again, of a weighted mean over the deepest map; only convolutional networks have one.

        Args:
            deepest: float (N, c_4, H_4, W_4).
            weights: float (N, H_4, W_4), each row of sum 1.

        Returns:
            float (N, D); the backbone's own feature where all weights are equal.
        """
        raise RecipeError(f"regions: {type(self).__name__} has no map to weigh: use a convolutional backbone")

    def fused(self) -> "Backbone":
        """The same function in the form that runs fastest, for export; this one stays as it is."""
        return self


class TokenBackbone(Backbone, ABC):
    """A backbone in two halves, between which patches may be exchanged between images [SPT]; P of them in `grid` rows
    and columns, C channels.
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
    nn.init.trunc_normal_(embedding.weight, std=CAMERA_SPREAD)
    return embedding


def add_camera(x: Tensor, embedding: nn.Embedding | None, camids: Tensor | None) -> Tensor:
    """Shift every position of `x` by its image's camera, λ · S[camid]; without camera ids nothing is added.

    TransReID adds it to all tokens of a transformer.  For convolutional networks we add it to every position of the
    stem's output, so that all later layers may use it [ours].

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
    """float (N, C, H, W) and float (N, H, W), each row of sum 1 → float (N, C)."""
    return (deepest * weights[:, None]).sum((2, 3))
