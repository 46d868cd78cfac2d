"""The trained network, from crops to embedding and mask, and how it is built and read from a checkpoint."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..backbones.protocol import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB, TokenBackbone
from ..backbones.registry import Backbone, create_backbone
from ..backbones.weights import read_state
from ..errors import WeightsError
from .discriminant import Discriminant
from .mask_generators import create_mask_generator
from .regions import RegionMask, Regions

MEAN_MASK_SHARE = 0.01  # weight of a batch in the running mean of masks

Exchange = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ModelSpec:
    """The architecture of a network, stored in its checkpoints so that they can be read again.

    Attributes:
        backbone: a name of `create_backbone`.
        width: of osnet and plain-conv.
        mask: full, lite, regions or none.
        cameras: number of trained camera embeddings (SIE); 0 for none.
        regions: dims of each region's head; 0 for no heads.
        evidence: whether a visibility map weights the pooling; always so where there are region heads.
        graph: the operations of the backbone "openvino"; empty for all others.
        discriminant: whether a discriminant map follows the neck.
    """

    backbone: str = "osnet"
    width: float = 1.0
    mask: Literal["full", "lite", "regions", "none"] = "lite"
    cameras: int = 0
    regions: int = 0
    evidence: bool = False
    graph: str = ""
    discriminant: bool = False


class Features(NamedTuple):
    """The outputs that the losses need.

    feature: float32 (N, D), before the neck, for the triplet loss.
    neck: float32 (N, D), after neck and discriminant map, for prototypes, masks and the metric.
    maps: the backbone's four maps, float (N, c_l, H_l, W_l), detached.
    heads: see `BackboneOutput`, float (N, h, P); None where the backbone has no heads.
    visibility: log-odds that the person is visible in each cell, float32 (N, 16, 8); None without regions.
    seen: visible share of the person in each region, float32 (N, 6) in [0, 1]; None without regions.
    precision: log precision of each dim, float32 (D,), see `precision.py`; None unless the mask is a RegionMask.
    """

    feature: Tensor
    neck: Tensor
    maps: tuple[Tensor, ...]
    heads: Tensor | None
    visibility: Tensor | None = None
    seen: Tensor | None = None
    precision: Tensor | None = None


class ReidModel(nn.Module):
    """Backbone, BNNeck [DPM], mask generator, and optional regions and discriminant map.

    The mask generator reads detached maps, so its gradient does not reach the backbone [ours].

    mean_mask: float32 (D,), running mean of the masks of unoccluded crops, 0.5 at the start.  What all masks have in
    common is a property of the metric, not of a single crop, so `forward` moves it from the mask into the embedding:
    masked similarities stay the same, plain ones improve [ours].  At 0.5 this has no effect.
    """

    mean: Tensor
    std: Tensor
    mean_mask: Tensor

    def __init__(
        self,
        backbone: Backbone,
        mask: nn.Module | None,
        regions: Regions | None = None,
        discriminant: bool = False,
    ) -> None:
        """Assemble a network.

        Args:
            backbone: from crops to four maps and a feature.
            mask: from the maps, and the visibility map where there are regions, to a mask (N, D); or a RegionMask
                together with regions; None for masks of 0.5.
            regions: part-based pooling of the deepest map; it replaces the backbone's feature.
            discriminant: add a map after the neck, see `discriminant.py`; it is the identity until it is fitted.
        """
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", _per_channel(backbone.mean_rgb), persistent=False)
        self.register_buffer("std", _per_channel(backbone.std_rgb), persistent=False)
        self.regions = regions
        self.neck = nn.BatchNorm1d(backbone.dimensions if regions is None else regions.dimensions)
        self.neck.bias.requires_grad_(False)  # stays 0, so that the hyperspheres of both losses share a centre [DPM]
        self.discriminant = Discriminant(self.neck.num_features) if discriminant else None
        self.mask = mask
        self.register_buffer("mean_mask", torch.full((self.neck.num_features,), 0.5))

    @property
    def dimensions(self) -> int:
        """D."""
        return self.neck.num_features

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise crops as `normalise` does, by the mean and standard deviation of this backbone."""
        return _standardised(images, self.mean, self.std)

    def features(self, images: Tensor, camids: Tensor | None = None, exchange: Exchange | None = None) -> Features:
        """One pass through backbone, regions and neck.

        Args:
            images: float32 (N, 3, 256, 128), normalised.
            camids: int64 (N,), or None as in deployment.
            exchange: applied to the patch tokens, float (N, P, C), before the first block; only for a backbone with
                tokens (ViT).
        """
        if exchange is None:
            maps, feature, heads = self.backbone(images, camids)
        else:
            assert isinstance(self.backbone, TokenBackbone)
            tokens = exchange(self.backbone.tokens(images, camids))  # (N, P, C)
            maps, feature, heads = self.backbone.from_tokens(tokens, camids)
        visibility = seen = None
        if self.regions is not None:
            feature, visibility, seen = self.regions(maps, self.backbone.pool)
        feature = feature.float()  # the backbone may run in bfloat16, the metric always in float32
        precision = self.mask.precision if isinstance(self.mask, RegionMask) else None
        detached = tuple(one.detach() for one in maps)
        return Features(feature, self.compared(feature), detached, heads, visibility, seen, precision)

    def compared(self, feature: Tensor) -> Tensor:
        """Feature → what is compared, float32 (N, D) each: neck, then the discriminant map if there is one."""
        neck: Tensor = self.neck(feature)
        return neck if self.discriminant is None else self.discriminant(neck)

    def masks(self, features: Features) -> Tensor:
        """The masks of N crops, float32 (N, D) in (0, 1)."""
        if self.mask is None:
            return torch.full_like(features.neck, 0.5)
        if isinstance(self.mask, RegionMask):
            assert features.seen is not None
            mask: Tensor = self.mask(features.seen.detach())
        elif features.visibility is None:
            mask = self.mask(features.maps)
        else:
            mask = self.mask((*features.maps, torch.sigmoid(features.visibility.detach())[:, None]))
        return mask.float()

    @torch.no_grad()
    def update_mean_mask(self, masks: Tensor, features: Features, unoccluded: Tensor) -> None:
        """Add the unoccluded crops of a batch to the running means `mean_mask` and `RegionMask.mean_seen`.

        Args:
            masks: float32 (N, D).
            features: of the same crops.
            unoccluded: bool (N,).
        """
        if not unoccluded.any():
            return
        self.mean_mask.lerp_(masks[unoccluded].mean(0), MEAN_MASK_SHARE)
        if isinstance(self.mask, RegionMask) and features.seen is not None:
            self.mask.mean_seen.lerp_(features.seen[unoccluded].mean(0), MEAN_MASK_SHARE)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Embed crops.

        Args:
            images: float32 (N, 3, 256, 128), normalised.

        Returns:
            embedding (N, D) of unit length and mask (N, D) in [0, 1]; with regions also the evidence, the probability
            that the person is visible in each cell, (N, 16, 8) in (0, 1).
        """
        features = self.features(images)
        embedding = functional.normalize(features.neck * self.mean_mask)  # (N, D)
        mask = (0.5 * self.masks(features) / self.mean_mask).clamp(0, 1)  # (N, D)
        if features.visibility is None:
            return embedding, mask
        return embedding, mask, torch.sigmoid(features.visibility)


def create_model(spec: ModelSpec, pretrained: str | None = None, height_px: int | None = None) -> ReidModel:
    """Build a network; `pretrained` are weights of the backbone, as `create_backbone` takes them with `height_px`.

    Raises:
        RecipeError: the spec cannot be built.
        WeightsError: see `create_backbone`.
    """
    backbone = create_backbone(
        spec.backbone,
        width=spec.width,
        pretrained=pretrained,
        cameras=spec.cameras,
        graph=spec.graph,
        height_px=height_px,
    )
    regions = None
    mask: nn.Module | None = None
    if spec.regions or spec.evidence:
        regions = Regions(backbone.map_channels, backbone.dimensions, spec.regions)
    if spec.mask == "regions" and regions is not None:
        mask = RegionMask(regions.region_of)
    elif spec.mask in ("full", "lite"):
        visibility = () if regions is None else (1,)  # the generator reads the visibility map, too [ours]
        read = (*backbone.map_channels, *visibility)
        mask = create_mask_generator(spec.mask, read, (regions or backbone).dimensions)
    return ReidModel(backbone, mask, regions, spec.discriminant)


def normalise(
    images: Tensor,
    mean_rgb: tuple[float, float, float] = IMAGENET_MEAN_RGB,
    std_rgb: tuple[float, float, float] = IMAGENET_STD_RGB,
) -> Tensor:
    """Convert crops to RGB and normalise them: uint8 (N, 256, 128, 3) BGR → float32 (N, 3, 256, 128).

    Args:
        images: the crops.
        mean_rgb: mean of the training images, in [0, 1].
        std_rgb: their standard deviation.
    """
    mean, std = (_per_channel(levels).to(images.device) for levels in (mean_rgb, std_rgb))
    return _standardised(images, mean, std)


def _per_channel(levels: tuple[float, float, float]) -> Tensor:
    return torch.tensor(levels).view(1, 3, 1, 1) * 255


def _standardised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The one place that turns crops from BGR into RGB."""
    rgb = images.permute(0, 3, 1, 2)[:, [2, 1, 0]].float()  # (N, 3, 256, 128)
    return (rgb - mean) / std


def packed_model(spec: ModelSpec, model: dict[str, Tensor]) -> dict[str, Any]:
    """The content of a checkpoint: spec and state dict in plain types, which torch.load reads without running code."""
    return {"spec": asdict(spec), "model": model}


def read_model(checkpoint: Path) -> ReidModel:
    """Read a model from a checkpoint (best.pt) written by `train.train`, in evaluation mode.

    Raises:
        WeightsError: the file is missing, unreadable, or not a checkpoint of this program.
    """
    state = read_state(checkpoint)
    model = create_model(read_spec(state, checkpoint))
    _fill(model, state["model"], checkpoint)
    return model.eval()


def read_spec(state: dict[str, Any], path: Path) -> ModelSpec:
    """The spec in the content `state` of the checkpoint at `path`.

    Raises:
        WeightsError: not a checkpoint of this version of the program.
    """
    if not {"spec", "model"} <= state.keys():
        raise WeightsError(f"{path}: not a checkpoint of this program (spec, model)")
    try:
        return ModelSpec(**state["spec"])
    except TypeError as error:
        raise WeightsError(f"{path}: a checkpoint of another version of this program ({error})") from error


def load_weights(model: ReidModel, weights: Path) -> None:
    """Copy weights into `model`, in place.

    Args:
        model: of the same architecture.
        weights: a checkpoint of this program, or third-party weights of the backbone (a state dict, possibly with a
            classifier or from DataParallel).

    Raises:
        WeightsError: the file is missing, unreadable or of another architecture.
    """
    state = read_state(weights)
    if "model" in state:
        return _fill(model, state["model"], weights)
    names = {name.removeprefix("module."): value for name, value in state.get("state_dict", state).items()}
    state = {name: value for name, value in names.items() if not name.startswith("classifier.")}
    return _fill(model.backbone, state, weights)


def _fill(module: nn.Module, state: dict[str, Tensor], weights: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{weights}: not weights of this width or backbone: {reason}") from error
