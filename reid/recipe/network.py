"""Sections about the network: backbone, regions, masks, prototypes, discriminant map."""

from typing import Literal

from pydantic import Field, model_validator

from .section import LARGEST, MOST, Section


class BackboneSection(Section):
    """The feature extractor.

    Attributes:
        name: one of `registry.create_backbone`.
        width: channel multiplier of OSNet; 1.0 is the full network.
        pretrained: a weights file, or the name of published weights that the backbone's library knows; null for random
            weights.
        height_px: of openvino: crops are scaled to this height, a multiple of 32, and half that width inside the
            network; null for the size that it was made for.  Three quarters of the height take half the time.
        cameras: add a learnt embedding of the camera to the tokens during training (side information embedding, SIE);
            inference adds none.
        frozen: modules of the backbone that are not trained, such as conv1.
    """

    name: str = "osnet"
    width: float = Field(default=1.0, gt=0, le=16)
    pretrained: str | None = None
    height_px: int | None = Field(default=None, ge=64, lt=256, multiple_of=32)
    cameras: bool = False
    frozen: tuple[str, ...] = ()


class RegionSection(Section):
    """Body-region heads, and a map of where the person is visible [ours].

    Attributes:
        dimensions: embedding dims of each of the five heads; 0 for none: the map then only weights the pooling.
        weight: loss weight of classifying identities by each region alone, as far as the region is visible.
        visibility_weight: loss weight of the visibility map.
        uncovered_weight: weight in that loss of a cell that no occluder covers, in crops without a silhouette: most
            such cells show the person, some show background.
    """

    dimensions: int = Field(default=128, ge=0, le=65_536)
    weight: float = Field(default=1.0, ge=0, le=LARGEST)
    visibility_weight: float = Field(default=2.0, ge=0, le=LARGEST)
    uncovered_weight: float = Field(default=0.15, ge=0, le=LARGEST)


class MaskSection(Section):
    """The mask generator and its optimiser.  DPM trains it by masked classification alone: arcface_weight 1, pairs 0.

    Attributes:
        kind: full [DPM] or lite [summary], which read the visibility map of the section `regions`, too [ours]; regions
            [ours], which needs that section; none sets every mask to 0.5, which makes the masked metric the plain one.
        learning_rate: constant, of the generator's own optimiser [DPM].
        joint_step: ablation: one optimiser and one step for everything.
        pair_weight: loss weight of the contrastive loss over the batch's masked similarities [ours].
        arcface_weight: loss weight of masked ArcFace classification on the shared prototypes [DPM].
        trust_weight: loss weight of predicting how precise each dim is, which is how far it lies from other crops of
            the same identity [ours]; for kind regions only.
        distillation_weight: loss weight of self-distillation: the masked similarities of a crop, occluded or not, to
            the clean crops of its batch should be those that the frozen start finds between the clean pictures [ours];
            needs the section `distillation`, and no identities.
    """

    kind: Literal["full", "lite", "regions", "none"] = "lite"
    learning_rate: float = Field(default=0.002, gt=0, le=LARGEST)
    joint_step: bool = False
    pair_weight: float = Field(default=1.0, ge=0, le=LARGEST)
    arcface_weight: float = Field(default=0.0, ge=0, le=LARGEST)
    trust_weight: float = Field(default=0.0, ge=0, le=LARGEST)
    distillation_weight: float = Field(default=0.0, ge=0, le=LARGEST)

    @model_validator(mode="after")
    def _is_supervised(self) -> "MaskSection":
        weights = (self.pair_weight, self.arcface_weight, self.trust_weight, self.distillation_weight)
        if self.kind != "none" and sum(weights) <= 0:
            raise ValueError(
                "expected a pair_weight, arcface_weight, trust_weight or distillation_weight above 0 (or kind: none)"
            )
        return self


class PrototypeSection(Section):
    """One prototype per training identity.

    Attributes:
        sampled: number of prototypes per step, those of the batch always included (Partial FC); null for all.
        learning_rate_factor: multiplies the scheduled learning rate.
    """

    sampled: int | None = Field(default=None, ge=1, le=MOST)
    learning_rate_factor: float = Field(default=1.0, gt=0, le=LARGEST)


class DiscriminantSection(Section):
    """A linear map after the neck, fitted in closed form to the training identities; see `model/discriminant.py`.

    It is fitted to the start network before training, so that targets and prototypes lie in its space, and by
    `reidpipe leave-one-out` and `reidpipe fit-discriminant` to the trained network.

    Attributes:
        shrinkage: of the covariance within identities, in multiples of its mean variance.
        power: of each axis's weight, the share of its variance that identities explain; 0 whitens.
    """

    shrinkage: float = Field(default=1.0, ge=0, le=LARGEST)
    power: float = Field(default=0.5, ge=0, le=8)
