"""What does a training recipe say?  One YAML file; unknown keys are refused, paths are relative to the file."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import RecipeError
from .recipe_sections import (
    AugmentationSection,
    BackboneSection,
    ClipSection,
    DistillationSection,
    HeldOutSection,
    LossSection,
    MaskSection,
    OcclusionSection,
    PrototypeSection,
    RegionSection,
    SamplingSection,
    ScheduleSection,
    TeacherSection,
)

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
