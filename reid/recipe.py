"""What does a training recipe say?  One YAML file; unknown keys are refused, paths are relative to the file."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import RecipeError


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


# What may differ between a checkpoint and the recipe that goes on from it: where things are, and how fast they run.
NOT_COMPARED = frozenset({"train", "start_from", "device", "threads", "workers", "tensorboard"})
TOKEN_BACKBONES = frozenset({"vit-b16", "clip-vit-b16"})
WEIGHT_SUFFIXES = frozenset({".xml", ".pth", ".pt", ".bin", ".npz", ".safetensors"})  # any other `pretrained` is a name


class Recipe(BaseModel):
    """Everything that decides the outcome of a training run; only `train` has no default.

    Attributes:
        train: published data sets, whose training split is taken, or folders of crops in Market-1501 naming; their
            identities are kept apart.
        unlabelled: folders of pictures of people nobody has named, for `distillation`; see `dataset.read_unlabelled`.
        start_from: best.pt of an earlier run, or published OSNet weights; null starts from the backbone's own.
        backbone, mask, prototypes, losses: what is trained, and on which terms.
        regions: heads that are bound to a part of the crop, and the map that guides them; null for none.
        sampling, schedule: what a batch holds, and how long and how fast it goes.
        occlusion: how training crops are hidden; null for not at all.
        augmentation: how training views of a crop are degraded.
        distillation: what the network learns from its own start; null for nothing.
        teacher: a network whose view of the clean crop is learnt too; null for none.
        clip: CLIP's two-stage text supervision; null for none.
        held_out: whom the best checkpoint is chosen by.
        device: cpu or cuda.
        amp: number format of the forward pass; float16 comes with a gradient scaler.
        seed: of everything.
        threads: of PyTorch on the CPU; null leaves its default.
        workers: threads that prepare batches ahead; 0 prepares each when it is due.  Changes no result.
        tensorboard: whether event files are written, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[Path, ...] = Field(min_length=1)
    unlabelled: tuple[Path, ...] = ()
    start_from: Path | None = None
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
    teacher: TeacherSection | None = None
    clip: ClipSection | None = None
    held_out: HeldOutSection = HeldOutSection()
    device: Literal["cpu", "cuda"] = "cpu"
    amp: Literal["none", "bfloat16", "float16"] = "none"
    seed: int = Field(default=1, ge=0)
    threads: int | None = Field(default=None, ge=1)
    workers: int = Field(default=0, ge=0)
    tensorboard: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        backbone = self.backbone
        if self.regions is not None and backbone.name in TOKEN_BACKBONES:
            raise ValueError(f"regions: {backbone.name} has no map to weigh: use a convolutional backbone")
        if self.regions is not None and self.mask.kind in ("full", "lite"):
            raise ValueError(f"mask.kind: {self.mask.kind} masks know no regions: set it to regions or none")
        if self.regions is not None and self.regions.dimensions == 0 and self.regions.weight > 0:
            raise ValueError("regions.weight: without heads (dimensions: 0) nothing can be told apart: set it to 0")
        if self.losses.plain + self.losses.masked + self.losses.triplet <= 0 and self.distillation is None:
            raise ValueError("losses: expected plain, masked or triplet above 0, or a section distillation")
        if self.unlabelled:
            self._learns_without_labels()
        if self.mask.kind == "regions" and (self.regions is None or self.regions.dimensions == 0):
            raise ValueError("mask.kind: masks of regions need a section regions")
        if self.mask.trust_weight > 0 and self.mask.kind != "regions":
            raise ValueError("mask.trust_weight: only masks of kind regions are taught by trust")
        if self.mask.kind == "none" and self.losses.triplet_by_mask:
            raise ValueError("losses.triplet_by_mask: there is no mask (mask.kind: none), so set it to false")
        occlusion = self.occlusion
        in_tokens = occlusion is not None and occlusion.transferred > 0 and occlusion.transfer_space == "tokens"
        if in_tokens and backbone.name not in TOKEN_BACKBONES:
            raise ValueError(f"occlusion.transfer_space: {backbone.name} has no tokens, set it to pixels")
        return self

    def _learns_without_labels(self) -> None:
        if self.distillation is None:
            raise ValueError("unlabelled: only a section distillation can learn from pictures without identities")
        if self.mask.kind != "none" or self.clip is not None or (self.regions is not None and self.regions.weight > 0):
            raise ValueError("unlabelled: masks, region heads and clip need identities: set mask.kind to none")

    def comparable(self) -> dict[str, Any]:
        """The part that a checkpoint must share with the recipe that resumes it, as dotted keys; of paths the name."""
        return dict(_flattened(self.model_dump(exclude=set(NOT_COMPARED))))


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; its paths come back absolute, taken from the recipe's folder.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, missing or of the wrong type.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise RecipeError(f"{path}: {line}not YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not a readable recipe, which is a text file ({type(error).__name__})") from error
    return check_recipe(values, path)


def check_recipe(values: object, path: Path) -> Recipe:
    """A recipe from parsed YAML; `path` is where it came from, for messages and for the folder of its paths."""
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected keys with values, at least train: [a folder of crops]")
    try:
        # By way of JSON, whose strict mode still reads paths and tuples: "3" and true are no integers.  It knows no
        # dates, as YAML does: they become text.
        recipe = Recipe.model_validate_json(json.dumps(values, default=str), strict=True)
    except (TypeError, ValidationError) as error:
        raise RecipeError(f"{path}: {_first_complaint(error)}") from error
    moved = _from_folder(recipe, path.parent.absolute())
    assert isinstance(moved, Recipe)
    return moved


def _from_folder(section: BaseModel, folder: Path) -> BaseModel:
    """The same section, every path in it (and every `pretrained` that names a file) joined to `folder`."""
    update: dict[str, object] = {}
    for key, value in section:
        if isinstance(value, BaseModel):
            update[key] = _from_folder(value, folder)
        elif isinstance(value, Path):
            update[key] = folder / value
        elif isinstance(value, tuple):
            update[key] = tuple(folder / one if isinstance(one, Path) else one for one in value)
        elif key == "pretrained" and isinstance(value, str) and Path(value).suffix in WEIGHT_SUFFIXES:
            update[key] = str(folder / value)
    return section.model_copy(update=update)


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


def _first_complaint(error: TypeError | ValidationError) -> str:
    if isinstance(error, TypeError):  # YAML knows keys that are no text
        return str(error)
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{key}: is missing"
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key, {_known_instead(first['loc'])}"
    return f"{key}: {message}, got {first['input']!r}" if key else message


def _known_instead(location: tuple[int | str, ...]) -> str:
    """The nearest key that is known at this place, or all of them."""
    section: type[BaseModel] = Recipe
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        kinds = (annotation, *get_args(annotation))  # of an optional section, too
        section = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    near = get_close_matches(str(location[-1]), section.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(section.model_fields)}"
