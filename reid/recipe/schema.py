"""The schema of a recipe: every section and key of a training run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .crops import AugmentationSection, OcclusionSection, SamplingSection
from .network import BackboneSection, DiscriminantSection, MaskSection, PrototypeSection, RegionSection
from .section import LARGEST, MOST, Section
from .supervision import ClipSection, DistillationSection, LossSection, TeacherSection

TOKEN_BACKBONES = frozenset({"vit-b16", "clip-vit-b16"})
WEIGHT_SUFFIXES = frozenset({".xml", ".pth", ".pt", ".bin", ".npz", ".safetensors"})  # any other `pretrained` is a name
# Keys that may differ between a checkpoint and the recipe that resumes it: where things are, and how fast they run.
NOT_COMPARED = frozenset({"train", "start_from", "leave_one_out", "device", "threads", "workers", "tensorboard"})


class ScheduleSection(Section):
    """Length of training, and the optimiser of everything but the mask generator (AdamW).

    Attributes:
        epochs: number of epochs; a checkpoint is written after each.
        steps_per_epoch: optimisation steps; null for as many as show each identity about once.
        accumulate_batches: batches per optimisation step.
        learning_rate: peak; warmed up linearly, held, then a cosine down to 0.
        warmup_steps: length of the warm-up.
        hold: share of all steps after which the learning rate begins to fall.
        weight_decay: decoupled, as in AdamW.
        gradient_limit: largest gradient norm; the batch-hard triplet loss has rare, very large gradients.
        ema_decay: decay of the moving average of the weights, which is then evaluated and saved; 0 for no average.
    """

    epochs: int = Field(default=60, ge=1, le=MOST)
    steps_per_epoch: int | None = Field(default=None, ge=1, le=MOST)
    accumulate_batches: int = Field(default=1, ge=1, le=MOST)
    learning_rate: float = Field(default=3.5e-4, gt=0, le=LARGEST)
    warmup_steps: int = Field(default=100, ge=0, le=MOST)
    hold: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=LARGEST)
    gradient_limit: float = Field(default=5.0, gt=0, le=LARGEST)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)


class HeldOutSection(Section):
    """Identities that are never trained on, by whose scores the best checkpoint is chosen.

    Attributes:
        identities: number of identities held out of each training folder.
        folders: further folders, held out completely: another domain.
        every_epochs: epochs between evaluations.
    """

    identities: int = Field(default=50, ge=0, le=100_000)
    folders: tuple[Path, ...] = ()
    every_epochs: int = Field(default=1, ge=1, le=MOST)


class LeaveOneOutSection(Section):
    """What `reidpipe leave-one-out` tests on; `reidpipe train` ignores it.

    Attributes:
        tests: one per folder of `train`, in its order: the data set to test on when that folder is left out; a
            published data set, or a folder with query and bounding_box_test.
        unseen: data sets that no run is trained on and that choose nothing; tested once, with the averaged model.
        occluded: holds, in a sub-folder named as a data set, its sets of occluded queries: NAME/SET/query.
        start_shares: the choice for `distillation.start_share`.
        baselines: networks to compare with, as `evaluation.baselines.Baseline` loads them.
    """

    tests: tuple[Path, ...] = Field(min_length=2)
    unseen: tuple[Path, ...] = ()
    occluded: Path | None = None
    start_shares: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(default=(0.0,), min_length=1)
    baselines: tuple[Path, ...] = ()


class Recipe(BaseModel):
    """Everything that decides the outcome of a training run; only `train` has no default.

    Attributes:
        train: published data sets, of which the training split is read, or folders of crops in Market-1501 naming;
            identities and cameras of different folders are kept apart.
        unlabelled: folders of crops without identities, for `distillation`; see `dataset.read_unlabelled`.
        start_from: best.pt of an earlier run, or published OSNet weights; null keeps the backbone's own.
        backbone: the feature extractor.
        regions: body-region heads and their visibility map; null for none.
        mask: the mask generator.
        prototypes: one per identity.
        losses: weights and constants.
        sampling: composition of a batch.
        schedule: length of training and learning rate.
        occlusion: synthetic occlusion; null for none.
        augmentation: degradation of the training views.
        distillation: self-distillation of occlusion; null for none.
        discriminant: a discriminant map after the neck; null for none.
        teacher: knowledge distillation; null for none.
        clip: text supervision; null for none.
        held_out: identities for validation.
        leave_one_out: data sets for `reidpipe leave-one-out`; null for none.
        device: cpu or cuda.
        amp: number format of the forward pass; float16 uses a gradient scaler.
        seed: of all random numbers.
        threads: PyTorch's CPU threads; null keeps its default.
        workers: threads that prepare batches ahead; 0 prepares each batch when it is needed.  Does not change results.
        tensorboard: write event files, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    train: tuple[Path, ...] = Field(min_length=1)
    start_from: Path | None = None
    unlabelled: tuple[Path, ...] = ()
    backbone: BackboneSection = BackboneSection()
    regions: RegionSection | None = None
    mask: MaskSection = MaskSection()
    prototypes: PrototypeSection = PrototypeSection()
    losses: LossSection = LossSection()
    sampling: SamplingSection = SamplingSection()
    schedule: ScheduleSection = ScheduleSection()
    occlusion: OcclusionSection | None = OcclusionSection()
    augmentation: AugmentationSection = AugmentationSection()
    distillation: DistillationSection | None = None
    discriminant: DiscriminantSection | None = None
    teacher: TeacherSection | None = None
    clip: ClipSection | None = None
    held_out: HeldOutSection = HeldOutSection()
    leave_one_out: LeaveOneOutSection | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    amp: Literal["none", "bfloat16", "float16"] = "none"
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    threads: int | None = Field(default=None, ge=1, le=1024)
    workers: int = Field(default=0, ge=0, le=256)
    tensorboard: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        backbone = self.backbone
        if self.regions is not None and backbone.name in TOKEN_BACKBONES:
            raise ValueError(f"regions: {backbone.name} has no feature map to pool: use a convolutional backbone")
        if self.regions is not None and self.regions.dimensions == 0 and self.regions.weight > 0:
            raise ValueError("regions.weight: there are no heads to classify with (dimensions: 0): set it to 0")
        if self.losses.plain + self.losses.masked + self.losses.triplet <= 0 and self.distillation is None:
            raise ValueError("losses: expected plain, masked or triplet above 0, or a section distillation")
        if self.unlabelled:
            self._check_unlabelled()
        if self.leave_one_out is not None and len(self.leave_one_out.tests) != len(self.train):
            raise ValueError(f"leave_one_out.tests: expected {len(self.train)}, one per folder of train")
        if self.mask.kind == "regions" and (self.regions is None or self.regions.dimensions == 0):
            raise ValueError("mask.kind: masks of regions need a section regions")
        if self.discriminant is not None and self.regions is not None and self.regions.dimensions > 0:
            raise ValueError("discriminant: mixes the dims of all region heads: set regions.dimensions to 0")
        if self.distillation is not None and self.distillation.has_teacher and self.discriminant is None:
            raise ValueError("distillation.network: a teacher's space needs the section discriminant")
        if self.mask.distillation_weight > 0 and self.distillation is None:
            raise ValueError("mask.distillation_weight: needs the section distillation")
        if self.mask.trust_weight > 0 and self.mask.kind != "regions":
            raise ValueError("mask.trust_weight: only masks of kind regions predict a precision")
        if self.mask.kind == "none" and self.losses.triplet_by_mask:
            raise ValueError("losses.triplet_by_mask: there is no mask (mask.kind: none), so set it to false")
        occlusion = self.occlusion
        in_tokens = occlusion is not None and occlusion.transferred > 0 and occlusion.transfer_space == "tokens"
        if in_tokens and backbone.name not in TOKEN_BACKBONES:
            raise ValueError(f"occlusion.transfer_space: {backbone.name} has no tokens, set it to pixels")
        return self

    def _check_unlabelled(self) -> None:
        if self.distillation is None:
            raise ValueError("unlabelled: needs the section distillation, the only loss without identities")
        if self.clip is not None:
            raise ValueError("unlabelled: clip needs identities")

    def inputs(self) -> list[Path]:
        """Every file and folder that the recipe names, and the names of published weights."""
        return list(_paths_in(self))

    def comparable(self) -> dict[str, Any]:
        """The keys in which a checkpoint must agree with the recipe that resumes it, dotted; of paths only the name."""
        return dict(_flattened(self.model_dump(exclude=set(NOT_COMPARED))))


def _paths_in(section: BaseModel) -> Iterator[Path]:
    for key, value in section:
        if isinstance(value, BaseModel):
            yield from _paths_in(value)
        elif isinstance(value, Path) or (key == "pretrained" and isinstance(value, str)):
            yield Path(value)
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, Path))


def _flattened(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            flat += _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, tuple):
            flat.append((prefix + key, [one.name if isinstance(one, Path) else one for one in value]))
        elif isinstance(value, Path) or (key == "pretrained" and value is not None):
            flat.append((prefix + key, Path(value).name))
        else:
            flat.append((prefix + key, value))
    return flat
