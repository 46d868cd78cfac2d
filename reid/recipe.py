"""Read and check training recipes: one YAML file each; unknown keys are refused, paths are relative to the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .disk.yaml_file import YamlError, read_yaml
from .errors import RecipeError
from .wording import did_you_mean, shortened

TOKEN_BACKBONES = frozenset({"vit-b16", "clip-vit-b16"})
WEIGHT_SUFFIXES = frozenset({".xml", ".pth", ".pt", ".bin", ".npz", ".safetensors"})  # any other `pretrained` is a name
# Keys that may differ between a checkpoint and the recipe that resumes it: where things are, and how fast they run.
NOT_COMPARED = frozenset({"train", "start_from", "leave_one_out", "device", "threads", "workers", "tensorboard"})
MOST = 10_000_000  # of any count: epochs, steps, crops; more is a slip, or ends in errors of memory
LARGEST = 1e6  # of any weight, rate or scale


class Section(BaseModel):
    """Part of a recipe: unknown keys are refused, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BackboneSection(Section):
    """The feature extractor.

    Attributes:
        name: one of `registry.create_backbone`.
        width: channel multiplier of OSNet; 1.0 is the full network.
        pretrained: a weights file, or the name of published weights that the backbone's library knows; null for random
            weights.
        cameras: add a learnt embedding of the camera to the tokens during training (side information embedding, SIE);
            inference adds none.
        frozen: modules of the backbone that are not trained, such as conv1.
    """

    name: str = "osnet"
    width: float = Field(default=1.0, gt=0, le=16)
    pretrained: str | None = None
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


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; relative paths are resolved against the recipe's folder.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or a key is unknown, missing or of the wrong type.
    """
    try:
        file = read_yaml(path, numbers=True)
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    except YamlError as error:
        raise RecipeError(f"{path}: {error}") from error
    for place, first, second in file.repeated:
        key = shortened(".".join(place))
        raise RecipeError(f"{path}: {key}: is given twice, on line {first} and on line {second}")
    return check_recipe(file.content, path)


def check_recipe(values: object, path: Path) -> Recipe:
    """Check parsed YAML; `path` is the recipe's file, for messages and to resolve relative paths."""
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected keys with values, at least train: [a folder of crops]")
    try:
        # Strict validation refuses "3" and true as integers; only by way of JSON does it still read paths and tuples.
        recipe = Recipe.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_first_error(error)}") from error
    resolved = _resolve_paths(recipe, path.parent.absolute())
    assert isinstance(resolved, Recipe)
    return resolved


def _resolve_paths(section: BaseModel, folder: Path) -> BaseModel:
    """The same section, every path in it (and every `pretrained` that names a file) joined to `folder`."""
    update: dict[str, object] = {}
    for key, value in section:
        if isinstance(value, BaseModel):
            update[key] = _resolve_paths(value, folder)
        elif isinstance(value, Path):
            update[key] = folder / value
        elif isinstance(value, tuple):
            update[key] = tuple(folder / one if isinstance(one, Path) else one for one in value)
        elif key == "pretrained" and isinstance(value, str) and Path(value).suffix in WEIGHT_SUFFIXES:
            update[key] = str(folder / value)
    return section.model_copy(update=update)


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


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    key = ".".join(shortened(str(part)) for part in first["loc"])
    if first["type"] == "missing":
        return f"{key}: is missing"
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        hint = did_you_mean(str(first["loc"][-1]), known) or f", expected one of {', '.join(known)}"
        return f"{key}: unknown key{hint}"
    return f"{key}: {message}, got {shortened(repr(first['input']))}" if key else message


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at a place in the recipe."""
    section: type[BaseModel] = Recipe
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        kinds = (annotation, *get_args(annotation))  # of an optional section, too
        section = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return list(section.model_fields)
