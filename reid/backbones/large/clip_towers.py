"""CLIP's image towers as backbones: ViT-B/16 and RN50 at 256×128 pixels.

Source: Li, Sun, Li, "CLIP-ReID: Exploiting Vision-Language Model for Image Re-Identification without Concrete Text
Labels", AAAI 2023.  Both use the quick GELU of OpenAI's models, and only tags that were trained with it are allowed:
so a checkpoint computes the same when it is read again.  Weights from a file are assumed to be of that kind.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ...crops import HEIGHT_PX, WIDTH_PX
from ..protocol import Backbone, BackboneOutput, add_camera, camera_embedding
from .clip_model import CLIP_MEAN_RGB, CLIP_STD_RGB, load_clip, resize_positions
from .vit import Attention, VitBackbone

if TYPE_CHECKING:
    from open_clip.modified_resnet import Bottleneck, ModifiedResNet
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

VIT_NAME = "ViT-B-16-quickgelu"  # open_clip's names
RESNET_NAME = "RN50-quickgelu"


def create_clip_vit_b16(pretrained: str | Path | None = None, cameras: int = 0) -> "ClipVit":
    """Create the image tower of CLIP ViT-B/16.

    Args:
        pretrained: None, a tag such as "openai", or a file of OpenAI's weights.
        cameras: see `create_backbone`.

    Raises:
        WeightsError: see `clip_model.load_clip`.
    """
    return ClipVit(load_clip(VIT_NAME, pretrained)[0].visual, (HEIGHT_PX, WIDTH_PX), cameras)


def create_clip_rn50(pretrained: str | Path | None = None, cameras: int = 0) -> "ClipResNet":
    """Create the image tower of CLIP RN50; the arguments are those of `create_clip_vit_b16`.

    Raises:
        WeightsError: see `clip_model.load_clip`.
    """
    return ClipResNet(load_clip(RESNET_NAME, pretrained)[0].visual, (HEIGHT_PX, WIDTH_PX), cameras)


class ClipVit(VitBackbone):
    """An open_clip VisionTransformer of twelve blocks; the feature is its class token after the last LayerNorm."""

    mean_rgb = CLIP_MEAN_RGB
    std_rgb = CLIP_STD_RGB

    def __init__(self, visual: nn.Module, image_hw: tuple[int, int], cameras: int = 0) -> None:
        """Wrap open_clip's `visual`; its positions are interpolated to `image_hw`, in place."""
        resize_positions(visual, image_hw)
        parts = cast("VisionTransformer", visual)
        super().__init__(visual, tuple(parts.grid_size), parts.conv1.out_channels, cameras)
        self.train()  # load_clip returns it in evaluation mode

    @property
    def _parts(self) -> "VisionTransformer":
        return self.network

    def patches(self, images: Tensor) -> Tensor:
        """Project patches: float (N, 3, H, W) → float (N, P, C)."""
        return cast(Tensor, self._parts.conv1(images)).flatten(2).transpose(1, 2)

    def class_token(self) -> Tensor:
        """The class token, float (1, 1, C)."""
        return cast(Tensor, self._parts.class_embedding)[None, None]

    def positions(self) -> Tensor:
        """The position embedding, float (1, 1 + P, C)."""
        return cast(Tensor, self._parts.positional_embedding)[None]

    def enter(self, x: Tensor) -> Tensor:
        """CLIP's first LayerNorm."""
        entered: Tensor = self._parts.ln_pre(self._parts.patch_dropout(x))
        return entered

    def blocks(self) -> Iterable[nn.Module]:
        """The twelve blocks."""
        return cast(Iterable[nn.Module], self._parts.transformer.resblocks)

    def attention(self, block: nn.Module, x: Tensor) -> Attention:
        """The attention of `block` on its input."""
        one = cast("ResidualAttentionBlock", block)
        return Attention(one.ln_1(x), one.attn.in_proj_weight, one.attn.in_proj_bias, one.attn.num_heads)

    def leave(self, x: Tensor) -> Tensor:
        """CLIP's last LayerNorm."""
        normalised: Tensor = self._parts.ln_post(x)
        return normalised


class ClipResNet(Backbone):
    """An open_clip ModifiedResNet with last stride 1; the feature is the mean of the last map [CLIP-ReID]."""

    mean_rgb = CLIP_MEAN_RGB
    std_rgb = CLIP_STD_RGB

    def __init__(self, visual: nn.Module, image_hw: tuple[int, int], cameras: int = 0) -> None:
        """Wrap open_clip's `visual` for crops of size `image_hw`; last stride and positions change in place."""
        super().__init__()
        # twice the size, as the last map is twice as fine; only the attention pooling, which is not used here, has
        # positions, but they are part of every checkpoint
        resize_positions(visual, (2 * image_hw[0], 2 * image_hw[1]))
        self.network = visual
        _keep_resolution(self._parts.layer4[0])
        stages = (self._parts.layer1, self._parts.layer2, self._parts.layer3, self._parts.layer4)
        channels = [stage[-1].bn3.num_features for stage in stages]
        self.map_channels = (channels[0], channels[1], channels[2], channels[3])
        self.dimensions = channels[3]
        self.camera = camera_embedding(cameras, self._parts.bn3.num_features)
        self.train()  # load_clip returns it in evaluation mode

    @property
    def _parts(self) -> "ModifiedResNet":
        return self.network

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) or None."""
        first = self._parts.layer1(add_camera(self._parts.stem(images), self.camera, camids))  # (N, 256, 64, 32)
        second = self._parts.layer2(first)
        third = self._parts.layer3(second)
        fourth = self._parts.layer4(third)  # (N, 2048, 16, 8)
        return BackboneOutput((first, second, third, fourth), fourth.mean((2, 3)))


def _keep_resolution(block: "Bottleneck") -> None:
    """Remove the average pooling by which the first block of a stage halves the map in CLIP's ResNets."""
    block.avgpool = nn.Identity()
    block.downsample[0] = nn.Identity()
