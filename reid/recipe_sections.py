"""Which keys does each section of a training recipe have?  `recipe.Recipe` puts them together."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneSection(Section):
    """Which network reads the crops.

    Attributes:
        name: one of `backbone.create_backbone`.
        width: of osnet, as a share of its full channels.
        pretrained: a weights file, or the name of published weights that the backbone's library knows; null for none.
        cameras: whether tokens carry an embedding of the camera while training (SIE); deployment adds none.
        frozen: modules of the backbone that stay as they are, such as conv1.
    """

    name: str = "osnet"
    width: float = Field(default=1.0, gt=0)
    pretrained: str | None = None
    cameras: bool = False
    frozen: tuple[str, ...] = ()


class RegionSection(Section):
    """Heads that are bound to a part of the crop, and a map of where the person is visible [ours].

    Attributes:
        dimensions: of each of the five windows' heads; 0 for none: then the map weighs the pooling.
        weight: of telling identities apart by each region alone, as far as it shows the person.
        visibility_weight: of the map's loss.
        uncovered_weight: how much a cell counts in it that nothing was pasted over, in crops of which nobody knows
            where the person is: most such cells show them, some show background.
    """

    dimensions: int = Field(default=128, ge=0)
    weight: float = Field(default=1.0, ge=0)
    visibility_weight: float = Field(default=2.0, ge=0)
    uncovered_weight: float = Field(default=0.15, ge=0)


class MaskSection(Section):
    """The mask generator and its own optimisation [DPM].

    Attributes:
        kind: full or lite; regions, which needs that section; or none: then every mask is 0.5 and the masked metric is
            the plain one.
        learning_rate: constant [DPM].
        joint_step: ablation: one optimiser and one step for everything, instead of the generator's own.
        pair_weight: of the contrastive loss over the batch's masked similarities [ours].
        arcface_weight: of the masked classification loss as the generator's teacher [DPM].
        trust_weight: of foretelling how far dims will be from other pictures of the person [ours]; for kind regions.
    """

    kind: Literal["full", "lite", "regions", "none"] = "lite"
    learning_rate: float = Field(default=0.002, gt=0)
    joint_step: bool = False
    pair_weight: float = Field(default=1.0, ge=0)
    arcface_weight: float = Field(default=0.0, ge=0)
    trust_weight: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _something_teaches_it(self) -> "MaskSection":
        if self.kind != "none" and self.pair_weight + self.arcface_weight + self.trust_weight <= 0:
            raise ValueError("expected a pair_weight, arcface_weight or trust_weight above 0 (or kind: none)")
        return self


class PrototypeSection(Section):
    """One prototype per training identity.

    Attributes:
        sampled: how many take part in one step, those of the batch always among them (Partial FC); null for all.
        learning_rate_factor: times the schedule's learning rate.
    """

    sampled: int | None = Field(default=None, ge=1)
    learning_rate_factor: float = Field(default=1.0, gt=0)


class LossSection(Section):
    """Weights of the terms, and their constants.

    Attributes:
        plain, masked: of the two classification losses on the shared prototypes; 0.5 each [DPM].
        triplet: of the batch-hard triplet loss.
        pairs: of the contrastive loss over the batch's masked similarities, for the embedding [ours].
        triplet_by_mask: whether its pairs are weighted by the overlap of their masks [summary].
        orthogonality: of the heads' loss, on the batch mean; 6.4 is the published value [DPM].
        arcface_margin, arcface_scale: in radians; s.
        label_smoothing: of the plain classification loss.
        ignore_donors: class-ignoring: who was put into a crop is neither a class nor a negative there [SPT].
    """

    plain: float = Field(default=0.5, ge=0)
    masked: float = Field(default=0.5, ge=0)
    triplet: float = Field(default=1.0, ge=0)
    pairs: float = Field(default=0.0, ge=0)
    triplet_by_mask: bool = True
    orthogonality: float = Field(default=0.0, ge=0)
    arcface_margin: float = Field(default=0.3, ge=0)
    arcface_scale: float = Field(default=30.0, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    ignore_donors: bool = True


class SamplingSection(Section):
    """PK sampling: `identities` people, `crops` of each, in one batch; the crops from as many cameras as there are.

    Attributes:
        identities: people in a batch.
        crops: of each.
        per_folder: how many of the people come from each training folder; null draws from all people alike.
    """

    identities: int = Field(default=16, ge=2)
    crops: int = Field(default=4, ge=2)
    per_folder: tuple[int, ...] | None = None


class ScheduleSection(Section):
    """How long, how fast.

    Attributes:
        epochs: a checkpoint is written after each.
        steps_per_epoch: optimisation steps; null lets everybody come up about once.
        accumulate_batches: how many batches one step is made of.
        learning_rate: of everything but the mask generator; warmed up, held, then a cosine down to 0.
        warmup_steps: how many steps the learning rate rises.
        hold: share of all steps after which it begins to fall.
        weight_decay: of everything but the mask generator.
        gradient_limit: largest length of the gradient; a batch-hard triplet now and then throws a very long one.
        ema_decay: of the moving average of all weights, which is what is evaluated and kept; 0 for none.
    """

    epochs: int = Field(default=60, ge=1)
    steps_per_epoch: int | None = Field(default=None, ge=1)
    accumulate_batches: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=3.5e-4, gt=0)
    warmup_steps: int = Field(default=100, ge=0)
    hold: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    gradient_limit: float = Field(default=5.0, gt=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)


class SaliencySection(Section):
    """Stage 1b: the saliency selector [SPT], trained on clean crops and a copy of the backbone, then frozen.

    Attributes:
        steps: of its training.
        learning_rate: of the copied backbone.
        selector_learning_rate: of the 1×1 convolution that selects.
    """

    steps: int = Field(default=2000, ge=1)
    learning_rate: float = Field(default=3.5e-4, gt=0)
    selector_learning_rate: float = Field(default=3.5e-3, gt=0)


class OcclusionSection(Section):
    """How crops are hidden in training: of every person's K crops the first stays whole, the last never does.

    Attributes:
        probability: for a crop that is neither the first nor the last.
        erasing_probability: random erasing, for those among them that are not occluded.
        begin_epoch: until then every crop is whole [ours].
        pasted, transferred, cutouts, erased: how often each source of occlusion is drawn, relative to the others:
            made-up things and pieces of other crops [ours], patch transfer [SPT], things with an outline, noise in a
            rectangle (the baseline).
        batch_donors: whether pasted pieces come from other people of the same batch and folder, so that who stands in
            front is a negative there [ours]; otherwise from all crops.
        transfer_space: where patches are transferred: pixels (any backbone) or tokens (ViT) [SPT].
        saliency: how the selector is trained that patch transfer needs (stage 1b).
        cutouts_folder: PNGs with an alpha channel to put in front; null draws made-up things.
    """

    probability: float = Field(default=0.5, ge=0, le=1)
    erasing_probability: float = Field(default=0.15, ge=0, le=1)
    begin_epoch: int = Field(default=0, ge=0)
    pasted: float = Field(default=1.0, ge=0)
    transferred: float = Field(default=0.0, ge=0)
    cutouts: float = Field(default=0.0, ge=0)
    erased: float = Field(default=0.0, ge=0)
    batch_donors: bool = True
    transfer_space: Literal["pixels", "tokens"] = "pixels"
    saliency: SaliencySection = SaliencySection()
    cutouts_folder: Path | None = None

    @model_validator(mode="after")
    def _something_hides(self) -> "OcclusionSection":
        if self.pasted + self.transferred + self.cutouts + self.erased <= 0:
            raise ValueError("expected a source of occlusion above 0 (or occlusion: null)")
        return self


class TeacherSection(Section):
    """A stronger network, too slow or too foreign to ship: its .xml, and the weight of its term."""

    network: Path
    weight: float = Field(default=4.0, ge=0)


class DistillationSection(Section):
    """Learn occlusion from the network itself, without labels [ours].

    The student sees the hidden crop; its target is what the frozen start says of the same crop unhidden.

    Attributes:
        network: the .xml that the backbone starts from, frozen.
        mirrored: whether targets are the mean over the crop and its mirror image.
        weight: of 1 - cosine between the student's embedding and the target.
        relation_weight: of the Kullback-Leibler divergence between two softmaxes over all training crops' targets, of
            the target's similarities and of the student's.
        temperature: of both softmaxes.
        identity_share: how much of a labelled crop's target is the mean target of its identity, over all its cameras.
    """

    network: Path
    mirrored: bool = True
    weight: float = Field(default=4.0, ge=0)
    relation_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.05, gt=0)
    identity_share: float = Field(default=0.0, ge=0, le=1)


class AugmentationSection(Section):
    """How much worse than the crop its training view may be.

    Attributes:
        degraded: share of the views that lose pixels, sharpness or cleanliness.
        smallest_height_px: height to which a view is brought at most, before it is enlarged again.
        mostly_small: whether heights are drawn evenly over octaves, so that few pixels are more common.
    """

    degraded: float = Field(default=0.5, ge=0, le=1)
    smallest_height_px: int = Field(default=56, ge=8, le=255)
    mostly_small: bool = False


class ClipSection(Section):
    """CLIP's two-stage text supervision [CLIP-ReID]; CLIP is needed for training only.

    Attributes:
        model: open_clip's name of the architecture.
        pretrained: a published tag, which is downloaded, or a file.
        epochs, batch_size, learning_rate: of stage 1, in which only the prompts learn.
        text_weight: λ_t, of telling images apart by their sentences [CLIP-ReID].
        prototype_weight: λ_p, of the transfer into the prototype space [ours].
    """

    model: str = "ViT-B-16"
    pretrained: str = "openai"
    epochs: int = Field(default=120, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=3.5e-4, gt=0)
    text_weight: float = Field(default=1.0, ge=0)
    prototype_weight: float = Field(default=0.5, ge=0)


class HeldOutSection(Section):
    """Whom the best checkpoint is chosen by: people, and whole folders, that are never trained on.

    Attributes:
        identities: so many of each training folder.
        folders: further folders, all of them: another domain.
        every_epochs: how often they are looked at.
    """

    identities: int = Field(default=50, ge=0)
    folders: tuple[Path, ...] = ()
    every_epochs: int = Field(default=1, ge=1)
