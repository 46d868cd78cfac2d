"""Backbones from timm: ResNet-50 with last stride 1, and ViT-B/16 for 256×128 crops.

Sources: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", CVPRW 2019 (last stride);
He et al., "TransReID: Transformer-based Object Re-Identification", ICCV 2021 (ViT, camera embedding, drop path 0.1).
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ...crops import HEIGHT_PX, WIDTH_PX
from ...errors import WeightsError
from ..protocol import Backbone, BackboneOutput, add_camera, camera_embedding, weighted_mean
from ..weights import fill, is_file, read_backbone
from .vit import Attention, VitBackbone

if TYPE_CHECKING:
    from types import ModuleType

    from timm.models.resnet import Bottleneck, ResNet
    from timm.models.vision_transformer import Block, VisionTransformer

RESNET_NAMES = ("resnet50",)  # allowed architectures, the part of a published name before its dot
VIT_NAMES = ("vit_base_patch16_224", "vit_base_patch16_384", "deit_base_patch16_224", "deit_base_patch16_384")
CLASSIFIERS = ("fc.", "head.", "head_dist.", "pre_logits.")
DROP_PATH = 0.1
POSITIONS = "pos_embed"


def create_resnet50(pretrained: str | Path | None = None, cameras: int = 0) -> "ResNetBackbone":
    """Create a ResNet-50.

    Args:
        pretrained: None, a file with timm's or torchvision's parameter names, or a published name such as
            "resnet50.a1_in1k".
        cameras: see `create_backbone`.

    Raises:
        WeightsError: timm is not installed, or `pretrained` cannot be loaded (see `create_backbone`).
    """
    network = _create(RESNET_NAMES, pretrained)
    backbone = ResNetBackbone(network, cameras)
    if pretrained is not None and is_file(pretrained):
        fill(network, read_backbone(Path(pretrained), CLASSIFIERS), Path(pretrained))
    return backbone


def create_vit_b16(pretrained: str | Path | None = None, cameras: int = 0) -> "TimmVit":
    """Create a ViT-B/16; position embeddings of another input size are interpolated.

    Args:
        pretrained: None, a file with timm's parameter names, or a published name such as
            "vit_base_patch16_224.augreg_in21k".
        cameras: see `create_backbone`.

    Raises:
        WeightsError: timm is not installed, or `pretrained` cannot be loaded (see `create_backbone`).
    """
    network = _create(VIT_NAMES, pretrained, img_size=(HEIGHT_PX, WIDTH_PX), drop_path_rate=DROP_PATH)
    backbone = TimmVit(network, cameras)
    if pretrained is not None and is_file(pretrained):
        backbone.load(Path(pretrained))
    return backbone


class ResNetBackbone(Backbone):
    """A timm ResNet with last stride 1: maps of 64×32, 32×16, 16×8 and 16×8 for a 256×128 crop."""

    def __init__(self, network: "ResNet", cameras: int = 0) -> None:
        """Wrap timm's `network`; its last stride is changed in place."""
        super().__init__()
        self.network = network
        _keep_resolution(network.layer4[0])
        channels = [stage["num_chs"] for stage in network.feature_info[1:]]
        self.map_channels = (channels[0], channels[1], channels[2], channels[3])
        self.dimensions = network.num_features
        self.mean_rgb, self.std_rgb = _normalisation(network)
        self.camera = camera_embedding(cameras, network.bn1.num_features)

    def forward(self, images: Tensor, camids: Tensor | None = None) -> BackboneOutput:
        """images: float (N, 3, 256, 128), RGB, normalised; camids: int64 (N,) or None."""
        network = cast("ResNet", self.network)
        x = network.maxpool(network.act1(network.bn1(network.conv1(images))))  # (N, 64, 64, 32)
        first = network.layer1(add_camera(x, self.camera, camids))
        second = network.layer2(first)
        third = network.layer3(second)
        fourth = network.layer4(third)  # (N, 2048, 16, 8)
        return BackboneOutput((first, second, third, fourth), fourth.mean((2, 3)))

    def pool(self, deepest: Tensor, weights: Tensor) -> Tensor:
        """As `Backbone.pool`."""
        return weighted_mean(deepest, weights)


class TimmVit(VitBackbone):
    """A timm VisionTransformer with a class token, learnt positions and twelve blocks."""

    def __init__(self, network: "VisionTransformer", cameras: int = 0) -> None:
        super().__init__(network, tuple(network.patch_embed.grid_size), network.embed_dim, cameras)
        self.mean_rgb, self.std_rgb = _normalisation(network)

    @property
    def _parts(self) -> "VisionTransformer":
        return self.network

    def load(self, weights: Path) -> None:
        """Load weights with timm's parameter names, in place; positions of another input size are interpolated.

        Raises:
            WeightsError: the file is unreadable or of another architecture.
        """
        from timm.layers import resample_abs_pos_embed

        state = read_backbone(weights, CLASSIFIERS)
        own = self.network.state_dict()
        given = state.get(POSITIONS)
        if given is not None and given.ndim == 3 and given.shape != own[POSITIONS].shape and _is_square(given):
            state[POSITIONS] = resample_abs_pos_embed(given, new_size=list(self.grid), num_prefix_tokens=1)
        fill(self.network, state, weights)

    def patches(self, images: Tensor) -> Tensor:
        """Project patches: float (N, 3, H, W) → float (N, P, C)."""
        tokens: Tensor = self._parts.patch_embed(images)
        return tokens

    def class_token(self) -> Tensor:
        """The class token, float (1, 1, C)."""
        return cast(Tensor, self._parts.cls_token)

    def positions(self) -> Tensor:
        """The position embedding, float (1, 1 + P, C)."""
        return cast(Tensor, self._parts.pos_embed)

    def enter(self, x: Tensor) -> Tensor:
        """Dropout, if any."""
        entered: Tensor = self._parts.norm_pre(self._parts.patch_drop(self._parts.pos_drop(x)))
        return entered

    def blocks(self) -> Iterable[nn.Module]:
        """The twelve blocks."""
        return cast(Iterable[nn.Module], self._parts.blocks)

    def attention(self, block: nn.Module, x: Tensor) -> Attention:
        """The attention of `block` on its input."""
        one = cast("Block", block)
        return Attention(one.norm1(x), one.attn.qkv.weight, one.attn.qkv.bias, one.attn.num_heads)

    def leave(self, x: Tensor) -> Tensor:
        """The last LayerNorm."""
        normalised: Tensor = self._parts.norm(x)
        return normalised


def _create(names: tuple[str, ...], pretrained: str | Path | None, **options: object) -> nn.Module:
    """A timm network without classifier; with published weights if `pretrained` is a name."""
    timm = _timm()
    if pretrained is None or is_file(pretrained):
        return cast(nn.Module, timm.create_model(names[0], pretrained=False, num_classes=0, **options))
    name = str(pretrained)
    if name.partition(".")[0] not in names:
        raise WeightsError(f"{name}: expected a file or one of timm's names that begin with {' or '.join(names)}")
    try:
        return cast(nn.Module, timm.create_model(name, pretrained=True, num_classes=0, **options))
    except (OSError, RuntimeError, ValueError) as error:  # no connection, no such tag, a damaged download
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name}: timm could not load it (give a file instead): {reason}") from error


def _timm() -> "ModuleType":
    try:
        import timm
    except ImportError as error:
        raise WeightsError("this backbone needs timm, which is not installed: pip install 'reidpipe[train]'") from error
    return cast("ModuleType", timm)


def _keep_resolution(block: "Bottleneck") -> None:
    """Set the strides of a stage's first block to 1; timm's `output_stride` would dilate the other blocks."""
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)


def _normalisation(
    network: "ResNet | VisionTransformer",
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of the images that the published weights were trained with."""
    published = network.pretrained_cfg
    return tuple(published["mean"]), tuple(published["std"])


def _is_square(positions: Tensor) -> bool:
    """Whether (1, 1 + P, C) is a class token and a square grid, as for ImageNet images."""
    patches = int(positions.shape[1]) - 1
    return math.isqrt(patches) ** 2 == patches
