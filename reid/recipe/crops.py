"""Sections about the crops of a batch: sampling, synthetic occlusion, augmentation."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from .section import LARGEST, MOST, Section


class SamplingSection(Section):
    """PK sampling: P identities with K crops each per batch, the crops from as many cameras as possible.

    Attributes:
        identities: P.
        crops: K.
        per_folder: number of identities from each training folder, summing to P; null draws evenly from all.
    """

    identities: int = Field(default=16, ge=2, le=100_000)
    crops: int = Field(default=4, ge=2, le=1024)
    per_folder: tuple[int, ...] | None = None


class SaliencySection(Section):
    """Stage 1b: the saliency selector [SPT], trained on clean crops with a copy of the backbone, then frozen.

    Attributes:
        steps: optimisation steps.
        learning_rate: of the copied backbone.
        selector_learning_rate: of the selecting 1×1 convolution.
    """

    steps: int = Field(default=2000, ge=1, le=MOST)
    learning_rate: float = Field(default=3.5e-4, gt=0, le=LARGEST)
    selector_learning_rate: float = Field(default=3.5e-3, gt=0, le=LARGEST)


class OcclusionSection(Section):
    """Synthetic occlusion: of the K crops of each identity the first stays clean, the last is always occluded.

    Attributes:
        probability: of occluding any other crop.
        erasing_probability: of random erasing, for those of the other crops that are not occluded.
        begin_epoch: first epoch with occlusion; all crops are clean before [ours].
        pasted: relative frequency of synthetic objects and pieces of other crops [ours].
        transferred: relative frequency of saliency-guided patch transfer [SPT].
        cutouts: relative frequency of objects with an outline, read from `cutouts_folder` or drawn.
        erased: relative frequency of random erasing, the baseline.
        batch_donors: take pasted pieces from other identities of the same batch and folder, so that whoever is pasted
            is a negative there [ours]; otherwise from all crops.
        transfer_space: where patches are transferred: pixels (any backbone) or tokens (ViT) [SPT].
        saliency: training of the selector that patch transfer needs.
        cutouts_folder: PNGs with an alpha channel; null draws synthetic objects.
    """

    probability: float = Field(default=0.5, ge=0, le=1)
    erasing_probability: float = Field(default=0.15, ge=0, le=1)
    begin_epoch: int = Field(default=0, ge=0, le=MOST)
    pasted: float = Field(default=1.0, ge=0, le=LARGEST)
    transferred: float = Field(default=0.0, ge=0, le=LARGEST)
    cutouts: float = Field(default=0.0, ge=0, le=LARGEST)
    erased: float = Field(default=0.0, ge=0, le=LARGEST)
    batch_donors: bool = True
    transfer_space: Literal["pixels", "tokens"] = "pixels"
    saliency: SaliencySection = SaliencySection()
    cutouts_folder: Path | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> "OcclusionSection":
        if self.pasted + self.transferred + self.cutouts + self.erased <= 0:
            raise ValueError("expected a source of occlusion above 0 (or occlusion: null)")
        return self


class AugmentationSection(Section):
    """Image quality of the training views; box, side and colour vary always.

    Attributes:
        degraded: share of the views that lose resolution, sharpness or cleanliness.
        smallest_height_px: smallest height to which a view is reduced before it is enlarged again.
        mostly_small: draw heights log-uniformly, so that low resolutions are more frequent.
    """

    degraded: float = Field(default=0.5, ge=0, le=1)
    smallest_height_px: int = Field(default=56, ge=8, le=255)
    mostly_small: bool = False
