"""The registry of backbones: create one by name, with random or pretrained weights."""

from collections.abc import Callable
from pathlib import Path

from ..errors import RecipeError
from .protocol import Backbone, BackboneOutput
from .weights import fill, read_backbone

__all__ = ["NAMES", "Backbone", "BackboneOutput", "create_backbone"]

NARROWEST, WIDEST = 0.25, 1.0  # of the published OSNets


def create_backbone(
    name: str,
    *,
    width: float = 1.0,
    pretrained: str | Path | None = None,
    cameras: int = 0,
    graph: str = "",
    height_px: int | None = None,
) -> Backbone:
    """Build a backbone, on the CPU, in training mode.

    Args:
        name: one of `NAMES`.
        width: width multiplier of the channels, in [0.25, 1], for "osnet" and "plain-conv"; 1 for all others.
        pretrained: None for random weights; a file (.pth, .pt, .safetensors; read without running code from it); or a
            published name, which is downloaded: one of timm's for "resnet50" and "vit-b16", a tag of open_clip's such
            as "openai" for "clip-vit-b16" and "clip-rn50".  For "openvino" the .xml of its network.
        cameras: number of cameras of the camera embedding (SIE); 0 for none.
        graph: the operations of "openvino", as stored in a checkpoint; used where `pretrained` is None.
        height_px: for "openvino" with `pretrained`: scale crops to this height and half that width inside the network;
            a multiple of 32 below 256.

    Raises:
        RecipeError: an unknown name, or an impossible width or number of cameras.
        WeightsError: `pretrained` is missing, unreadable, unknown, of another architecture or cannot be downloaded; or
            a library that the network needs is not installed.
    """
    if name not in NAMES:
        raise RecipeError(f"backbone: expected one of {', '.join(NAMES)}, got {name}")
    if not NARROWEST <= width <= WIDEST:
        raise RecipeError(f"backbone {name}: width: expected a number from {NARROWEST} to {WIDEST}, got {width}")
    if width != 1 and name not in ("osnet", "plain-conv"):
        raise RecipeError(f"backbone {name}: width: expected 1, as it comes in one width only, got {width}")
    if name == "openvino":
        if cameras:
            raise RecipeError(f"backbone {name}: cameras: expected 0, as it has no camera embedding, got {cameras}")
        from .openvino import create_openvino_backbone

        return create_openvino_backbone(None if pretrained is None else Path(pretrained), graph, height_px)
    if height_px is not None:
        raise RecipeError(f"backbone {name}: height_px: expected null, as only openvino has a choice, got {height_px}")
    if cameras < 0:
        raise RecipeError(f"backbone {name}: cameras: expected 0 or more, got {cameras}")
    return _CREATORS[name](width, pretrained, cameras)


def _osnet(width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .osnet import OSNet

    return _filled(OSNet(width, cameras), pretrained)


def _plain_conv(width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .plain_conv import PlainConv

    return _filled(PlainConv(width, cameras), pretrained)


def _resnet50(_width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .large.timm_models import create_resnet50

    return create_resnet50(pretrained, cameras)


def _vit_b16(_width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .large.timm_models import create_vit_b16

    return create_vit_b16(pretrained, cameras)


def _clip_vit_b16(_width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .large.clip_towers import create_clip_vit_b16

    return create_clip_vit_b16(pretrained, cameras)


def _clip_rn50(_width: float, pretrained: str | Path | None, cameras: int) -> Backbone:
    from .large.clip_towers import create_clip_rn50

    return create_clip_rn50(pretrained, cameras)


def _filled(backbone: Backbone, pretrained: str | Path | None) -> Backbone:
    """`backbone` with the weights of the file `pretrained`, if given."""
    if pretrained is not None:
        fill(backbone, read_backbone(Path(pretrained), classifier=("classifier.",)), Path(pretrained))
    return backbone


_CREATORS: dict[str, Callable[[float, str | Path | None, int], Backbone]] = {
    "osnet": _osnet,
    "plain-conv": _plain_conv,
    "resnet50": _resnet50,
    "vit-b16": _vit_b16,
    "clip-vit-b16": _clip_vit_b16,
    "clip-rn50": _clip_rn50,
}
NAMES = (*_CREATORS, "openvino")
