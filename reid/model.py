"""What does the trained network compute?  Crops in, embedding and mask out."""

import math
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import WeightsError
from .mask import MaskGenerator
from .osnet import DIMENSIONS, OSNet, OSNetHead

MEAN_RGB = (0.485, 0.456, 0.406)  # of ImageNet, in [0, 1]: what the published OSNet weights were trained with
STD_RGB = (0.229, 0.224, 0.225)
_MEAN = torch.tensor(MEAN_RGB).view(1, 3, 1, 1) * 255
_STD = torch.tensor(STD_RGB).view(1, 3, 1, 1) * 255


class Features(NamedTuple):
    """Everything the losses need.

    feature: float32 (N, D), before the neck; the triplet loss lives here.
    neck: float32 (N, D), after it; prototypes, masks and the metric live here.
    maps: the backbone's four maps, float32 (N, c_l, H_l, W_l), detached.
    """

    feature: Tensor
    neck: Tensor
    maps: tuple[Tensor, ...]


class ReidModel(nn.Module):
    """Backbone, BNNeck [DPM] and mask generator; and, if `anchored`, a second head that training leaves as it was.

    The maps reach the mask generator detached: it learns to read them, it does not shape them [ours].  The anchor is
    the later half of the published network, on the same first two stages (which then must be frozen).  Fine-tuning on
    few people forgets what sets others apart; the mean of both cosines forgets less [ours].
    """

    def __init__(self, width: float = 0.25, anchored: bool = False) -> None:
        super().__init__()
        self.backbone = OSNet(width)
        self.neck = nn.BatchNorm1d(DIMENSIONS)
        self.neck.bias.requires_grad_(False)  # stays at 0, so that the hyperspheres of both losses share a centre [DPM]
        self.mask = MaskGenerator(self.backbone.map_channels, DIMENSIONS)
        self.anchor = OSNetHead(width).requires_grad_(False) if anchored else None

    @property
    def dimensions(self) -> int:
        """D."""
        return DIMENSIONS if self.anchor is None else 2 * DIMENSIONS

    def features(self, images: Tensor) -> Features:
        """images: float32 (N, 3, 256, 128), normalised."""
        maps, feature = self.backbone(images)
        feature = feature.float()  # the backbone may run in bfloat16; what is compared does not
        return Features(feature, self.neck(feature), tuple(one.detach() for one in maps))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images: float32 (N, 3, 256, 128), normalised → embedding (N, D) of unit length, mask (N, D) in (0, 1).

        The anchor's mask is 0.5 throughout.
        """
        features = self.features(images)
        embedding, mask = functional.normalize(features.neck), self.mask(features.maps)  # (N, 512), (N, 512)
        if self.anchor is None:
            return embedding, mask
        anchor = functional.normalize(self.anchor.head(features.maps[0]).feature)  # (N, 512)
        both = torch.cat([embedding, anchor], 1) / math.sqrt(2)  # (N, 1024), cosines become their mean
        return both, torch.cat([mask, torch.full_like(mask, 0.5)], 1)


def normalise(images: Tensor) -> Tensor:
    """The one place that turns crops into RGB: uint8 (N, 256, 128, 3) BGR → float32 (N, 3, 256, 128), normalised."""
    rgb = images.permute(0, 3, 1, 2)[:, [2, 1, 0]].float()  # (N, 3, 256, 128)
    return (rgb - _MEAN) / _STD


def load_weights(model: ReidModel, weights: Path) -> None:
    """Copy weights into `model`, in place.

    Either a checkpoint of this program (width and model), or published OSNet weights for backbone and anchor (a state
    dict, possibly with a classifier, possibly from DataParallel).
    """
    state = read_state(weights)
    target: nn.Module = model
    if {"width", "anchored", "model"} <= state.keys():
        state = state["model"]
    else:
        target = model.backbone
        names = {name.removeprefix("module."): value for name, value in state.get("state_dict", state).items()}
        state = {name: value for name, value in names.items() if not name.startswith("classifier.")}
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{weights}: not weights of this width: {str(error).splitlines()[-1].strip()}") from error
    if model.anchor is not None and target is model.backbone:
        own = model.anchor.state_dict()
        model.anchor.load_state_dict({name: state[name] for name in own})


def read_state(weights: Path) -> dict[str, Any]:
    """Read a dict written by torch.save, without running code from the file."""
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such weights file")
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"{weights}: not a readable PyTorch file ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{weights}: expected a dict of weights, got {type(state).__name__}")
    return state
