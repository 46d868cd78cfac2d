"""What does the trained network compute?  Crops in, embedding and mask out."""

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
from .mask_generators import create_mask_generator
from .regions import RegionMask, Regions

NOTED = 0.01  # share of a batch in the usual mask

Exchange = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ModelSpec:
    """Which network: what a checkpoint must say so that it can be built again.

    Attributes:
        backbone: a name of `create_backbone`.
        width: of osnet.
        mask: full, lite, regions or none.
        cameras: how many camera embeddings were trained (SIE); 0 for none.
        regions: dims of each region's head; 0 for none.
        evidence: whether a visibility map weighs the pooling; always where there are region heads.
        graph: the operations of the backbone "openvino"; empty for all others.
    """

    backbone: str = "osnet"
    width: float = 1.0
    mask: Literal["full", "lite", "regions", "none"] = "lite"
    cameras: int = 0
    regions: int = 0
    evidence: bool = False
    graph: str = ""


class Features(NamedTuple):
    """Everything the losses need.

    feature: float32 (N, D), before the neck; the triplet loss lives here.
    neck: float32 (N, D), after it; prototypes, masks and the metric live here.
    maps: the backbone's four maps, float (N, c_l, H_l, W_l), detached.
    heads: float (N, h, D_h) where the backbone has heads, else None.
    visibility: log-odds that the person is visible, cell by cell, float32 (N, 16, 8); None without regions.
    seen: how much of each region shows the person, float32 (N, 6) in [0, 1]; None without regions.
    precision: the logarithm of each dim's, float32 (D,), see `trust`; None but for masks of regions.
    """

    feature: Tensor
    neck: Tensor
    maps: tuple[Tensor, ...]
    heads: Tensor | None
    visibility: Tensor | None = None
    seen: Tensor | None = None
    precision: Tensor | None = None


class ReidModel(nn.Module):
    """Backbone, BNNeck [DPM] and mask generator; possibly regions.

    The maps reach the mask generator detached: it learns to read them, it does not shape them [ours].

    mean_mask: float32 (D,), the mean mask of whole crops.  What all crops have in common belongs to the metric, not to
    one crop, so it goes into the embedding, and out of the mask: masked similarities stay the same, plain ones gain
    [ours].  It starts at 0.5, where this changes nothing.
    """

    mean: Tensor
    spread: Tensor
    mean_mask: Tensor

    def __init__(self, backbone: Backbone, mask: nn.Module | None, regions: Regions | None = None) -> None:
        """Put the parts together.

        Args:
            backbone: gives four maps and a feature.
            mask: takes the maps and gives (N, D), or a RegionMask with regions; without one all masks are 0.5.
            regions: describe the crop by parts; then the neck is as wide as they are.
        """
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", _per_channel(backbone.mean_rgb), persistent=False)
        self.register_buffer("spread", _per_channel(backbone.std_rgb), persistent=False)
        self.regions = regions
        self.neck = nn.BatchNorm1d(backbone.dimensions if regions is None else regions.dimensions)
        self.neck.bias.requires_grad_(False)  # stays at 0, so that the hyperspheres of both losses share a centre [DPM]
        self.mask = mask
        self.register_buffer("mean_mask", torch.full((self.neck.num_features,), 0.5))

    @property
    def dimensions(self) -> int:
        """D."""
        return self.neck.num_features

    def normalise(self, images: Tensor) -> Tensor:
        """`normalise` with the mean and spread that this backbone expects."""
        return _shifted(images, self.mean, self.spread)

    def features(self, images: Tensor, camids: Tensor | None = None, exchange: Exchange | None = None) -> Features:
        """One pass of the backbone and the neck.

        Args:
            images: float32 (N, 3, 256, 128), normalised.
            camids: int64 (N,), or None as in deployment.
            exchange: what happens to the patches' tokens, float (N, P, C), on their way in; only where the backbone
                has tokens (ViT).
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
        feature = feature.float()  # the backbone may run in bfloat16; what is compared does not
        precision = self.mask.precision if isinstance(self.mask, RegionMask) else None
        detached = tuple(one.detach() for one in maps)
        return Features(feature, self.neck(feature), detached, heads, visibility, seen, precision)

    def masks(self, features: Features) -> Tensor:
        """float32 (N, D) in (0, 1)."""
        if self.mask is None:
            return torch.full_like(features.neck, 0.5)
        mask: Tensor = self.mask(features.maps if features.seen is None else features.seen.detach())
        return mask.float()

    @torch.no_grad()
    def update_mean_mask(self, masks: Tensor, features: Features, whole: Tensor) -> None:
        """Let what is usual follow this batch's whole crops: masks float32 (N, D), whole bool (N,)."""
        if not whole.any():
            return
        self.mean_mask.lerp_(masks[whole].mean(0), NOTED)
        if isinstance(self.mask, RegionMask) and features.seen is not None:
            self.mask.mean_seen.lerp_(features.seen[whole].mean(0), NOTED)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Embed crops.

        Args:
            images: float32 (N, 3, 256, 128), normalised.

        Returns:
            embedding (N, D) of unit length and mask (N, D) in [0, 1]; where there are regions also the evidence, how
            likely it is that the person is visible in each cell, (N, 16, 8) in (0, 1).
        """
        features = self.features(images)
        embedding = functional.normalize(features.neck * self.mean_mask)  # (N, D)
        mask = (0.5 * self.masks(features) / self.mean_mask).clamp(0, 1)  # (N, D)
        if features.visibility is None:
            return embedding, mask
        return embedding, mask, torch.sigmoid(features.visibility)


def create_model(spec: ModelSpec, pretrained: str | None = None) -> ReidModel:
    """Build a network; `pretrained` are weights of its backbone alone, as `create_backbone` takes them."""
    backbone = create_backbone(
        spec.backbone, width=spec.width, pretrained=pretrained, cameras=spec.cameras, graph=spec.graph
    )
    regions = None
    mask: nn.Module | None = None
    if spec.regions or spec.evidence:
        regions = Regions(backbone.map_channels, backbone.dimensions, spec.regions)
    if spec.mask == "regions" and regions is not None:
        mask = RegionMask(regions.region_of)
    elif spec.mask in ("full", "lite"):
        mask = create_mask_generator(spec.mask, backbone.map_channels, backbone.dimensions)
    return ReidModel(backbone, mask, regions)


def normalise(
    images: Tensor,
    mean_rgb: tuple[float, float, float] = IMAGENET_MEAN_RGB,
    std_rgb: tuple[float, float, float] = IMAGENET_STD_RGB,
) -> Tensor:
    """The one place that turns crops into RGB: uint8 (N, 256, 128, 3) BGR → float32 (N, 3, 256, 128), normalised."""
    mean, spread = (_per_channel(levels).to(images.device) for levels in (mean_rgb, std_rgb))
    return _shifted(images, mean, spread)


def _per_channel(levels: tuple[float, float, float]) -> Tensor:
    return torch.tensor(levels).view(1, 3, 1, 1) * 255


def _shifted(images: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    rgb = images.permute(0, 3, 1, 2)[:, [2, 1, 0]].float()  # (N, 3, 256, 128)
    return (rgb - mean) / spread


def packed_model(spec: ModelSpec, model: dict[str, Tensor]) -> dict[str, Any]:
    """What `read_model` reads: a spec and a state dict, in plain types that torch.load takes without running code."""
    return {"spec": asdict(spec), "model": model}


def read_model(checkpoint: Path) -> ReidModel:
    """Read a model, in evaluation mode, out of a checkpoint (best.pt) written by `train.train`.

    Raises:
        WeightsError: the file is missing, unreadable, or no checkpoint of this program.
    """
    state = read_state(checkpoint)
    model = create_model(read_spec(state, checkpoint))
    _fill(model, state["model"], checkpoint)
    return model.eval()


def read_spec(state: dict[str, Any], path: Path) -> ModelSpec:
    """The spec in a checkpoint."""
    if not {"spec", "model"} <= state.keys():
        raise WeightsError(f"{path}: not a checkpoint of this program (spec, model)")
    try:
        return ModelSpec(**state["spec"])
    except TypeError as error:
        raise WeightsError(f"{path}: a checkpoint of another version of this program ({error})") from error


def load_weights(model: ReidModel, weights: Path) -> None:
    """Copy weights into `model`, in place.

    Either a checkpoint of this program, or published OSNet weights (a state dict, possibly with a classifier, possibly
    from DataParallel).
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
