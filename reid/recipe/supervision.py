"""Sections about what the network learns from: losses, teachers, its own start, text."""

from pathlib import Path

from pydantic import Field

from .section import LARGEST, MOST, Section


class LossSection(Section):
    """Loss weights and constants of the embedding; DPM has plain 0.5, masked 0.5 and triplet 1.

    Attributes:
        plain: weight of cross-entropy over the plain logits [DPM].
        masked: weight of cross-entropy over the masked ArcFace logits, on the same prototypes [DPM].
        triplet: weight of the batch-hard triplet loss [DPM].
        pairs: weight of the contrastive loss over the batch's masked similarities, for the embedding [ours].
        triplet_by_mask: weight each triplet by the overlap of its masks [summary].
        orthogonality: weight of the loss between heads, on the batch mean; 6.4 is the published value [DPM].
        arcface_margin: in radians.
        arcface_scale: s, the inverse temperature.
        label_smoothing: of the plain cross-entropy.
        ignore_donors: class-ignoring: the identity pasted into a crop is neither a class nor a negative of it [SPT].
    """

    plain: float = Field(default=0.5, ge=0, le=LARGEST)
    masked: float = Field(default=0.5, ge=0, le=LARGEST)
    triplet: float = Field(default=1.0, ge=0, le=LARGEST)
    pairs: float = Field(default=0.0, ge=0, le=LARGEST)
    triplet_by_mask: bool = True
    orthogonality: float = Field(default=0.0, ge=0, le=LARGEST)
    arcface_margin: float = Field(default=0.3, ge=0, le=LARGEST)
    arcface_scale: float = Field(default=30.0, gt=0, le=LARGEST)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    ignore_donors: bool = True


class TeacherSection(Section):
    """Knowledge distillation from another network, which is needed in training only [ours].

    Attributes:
        network: OpenVINO .xml or ONNX file; it embeds the clean crops once.
        weight: loss weight of 1 - cosine between the student's projected embedding and the teacher's.
    """

    network: Path
    weight: float = Field(default=4.0, ge=0, le=LARGEST)


class DistillationSection(Section):
    """Distillation of occlusion from the network's own start or a teacher, without labels [ours].

    The student sees the occluded crop; its target is the embedding of the clean crop by the frozen network.

    Attributes:
        network: the .xml that the backbone starts from, frozen; or an ONNX model exported by this program as a teacher,
            whose space a ridge regression maps the start into (the discriminant map's place) before training.
        mirrored: average the targets over the crop and its mirror image.
        weight: loss weight of 1 - cosine between the student's embedding and the target.
        relation_weight: loss weight of the Kullback-Leibler divergence between two softmaxes over all training crops'
            targets: of the target's similarities and of the student's.
        temperature: of both softmaxes.
        start_share: share of the start's weights in the backbone that is kept; the rest is the trained backbone's
            (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).  Training itself does not change.
        identity_share: weight of the identity's mean target, over all its cameras, in a labelled crop's target.
    """

    network: Path
    mirrored: bool = True
    weight: float = Field(default=4.0, ge=0, le=LARGEST)
    relation_weight: float = Field(default=1.0, ge=0, le=LARGEST)
    temperature: float = Field(default=0.05, gt=0, le=LARGEST)
    start_share: float = Field(default=0.0, ge=0, lt=1)
    identity_share: float = Field(default=0.0, ge=0, le=1)

    @property
    def has_teacher(self) -> bool:
        """Whether the network is a teacher with a space of its own, not the start."""
        return self.network.suffix == ".onnx"


class ClipSection(Section):
    """CLIP's two-stage text supervision [CLIP-ReID]; CLIP is needed in training only.

    Attributes:
        model: open_clip's name of the architecture.
        pretrained: a published tag, which is downloaded, or a file.
        epochs: of stage 1, which trains the prompts alone.
        batch_size: of stage 1.
        learning_rate: of stage 1.
        text_weight: λ_t, loss weight of classifying images by their identities' text features [CLIP-ReID].
        prototype_weight: λ_p, loss weight of the transfer into the prototype space [ours].
    """

    model: str = "ViT-B-16"
    pretrained: str = "openai"
    epochs: int = Field(default=120, ge=1, le=MOST)
    batch_size: int = Field(default=64, ge=1, le=100_000)
    learning_rate: float = Field(default=3.5e-4, gt=0, le=LARGEST)
    text_weight: float = Field(default=1.0, ge=0, le=LARGEST)
    prototype_weight: float = Field(default=0.5, ge=0, le=LARGEST)
