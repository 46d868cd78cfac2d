"""What must be known before the main training?  A teacher's view, identities' sentences, where in a crop a person is.

Each stage leaves a file in the run's folder, so that a resumed run needs neither teacher, CLIP nor selector again.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..backbones.clip_model import ClipModel, load_clip
from ..backbones.protocol import Backbone
from ..backbones.weights import is_file, read_state
from ..data.dataset import CropSet
from ..evaluation.baselines import Baseline
from ..occlusion.cutouts import draw_cutouts, read_cutouts
from ..occlusion.pairing import Regions
from ..occlusion.policy import Occluders
from ..occlusion.saliency import SaliencySettings, salient_regions, train_saliency
from ..recipe import Recipe
from ..supervision.prompt_training import EpochReport, PromptSettings, encode_images, learn_prompts
from .batches import epoch_batches
from .checkpoint import save
from .process_state import process_state_restored

START_FILE = "start.pt"
TEACHER_FILE, TEXT_FILE, REGIONS_FILE, PROMPTS_FILE = "teacher.pt", "text.pt", "regions.pt", "prompts.pt"
DRAWN_CUTOUTS = 400  # as varied as a folder of PNGs would be
STAGE_1_KEYS = ("model", "pretrained", "epochs", "batch_size", "learning_rate")
ENCODED_AT_ONCE = 64

logger = logging.getLogger(__name__)


def ask_teacher(recipe: Recipe, crops: CropSet, out: Path) -> Tensor | None:
    """A stronger network's view of every clean crop, float32 (N, T) of unit length; None without a teacher."""
    if recipe.teacher is None:
        return None
    fingerprint = _fingerprint(recipe, crops, "teacher.network")
    known = _known(out / TEACHER_FILE, fingerprint)
    if known is None:
        logger.info("asking %s about %d crops", recipe.teacher.network.name, len(crops))
        known = {"teacher": torch.from_numpy(embed_with_teacher(recipe.teacher.network, crops.images))}
        _keep(out / TEACHER_FILE, fingerprint, known)
    return known["teacher"]


def ask_start(recipe: Recipe, crops: CropSet, out: Path) -> Tensor | None:
    """What the network says of every clean crop before it is trained, float32 (N, D); None without distillation."""
    section = recipe.distillation
    if section is None:
        return None
    fingerprint = _fingerprint(recipe, crops, "distillation.network", "distillation.mirrored", "train", "unlabelled")
    known = _known(out / START_FILE, fingerprint)
    if known is None:
        logger.info("asking %s about %d crops", section.network.name, len(crops))
        features = frozen_features(section.network, crops.images, section.mirrored)
        known = {"start": torch.from_numpy(features)}
        _keep(out / START_FILE, fingerprint, known)
    return known["start"]


def learn_text(recipe: Recipe, crops: CropSet, out: Path) -> dict[str, Tensor] | None:
    """Stage 1: every identity's sentence [CLIP-ReID]; None where the recipe has no CLIP.

    Returns:
        text: T, float32 (C, d).  projection: CLIP's own, float32 (D, d), where the backbone is its image tower; and
        absent else.
    """
    section = recipe.clip
    if section is None:
        return None
    fingerprint = _fingerprint(recipe, crops, *(f"clip.{key}" for key in STAGE_1_KEYS))
    known = _known(out / TEXT_FILE, fingerprint)
    if known is None:
        weights: Path | str = Path(section.pretrained) if is_file(section.pretrained) else section.pretrained
        clip, tokenizer = load_clip(section.model, weights)
        assert isinstance(clip, nn.Module)
        clip.to(recipe.device)
        features = encode_images(clip, _blocks(crops))  # (N, d)
        settings = PromptSettings(section.epochs, section.batch_size, section.learning_rate, recipe.seed)
        labels = torch.from_numpy(crops.pids)  # (N,)
        text = learn_prompts(clip, tokenizer, features, labels, settings, state_file=out / PROMPTS_FILE, progress=_tell)
        known = {"text": text, **_projection(clip, recipe.backbone.name)}
        _keep(out / TEXT_FILE, fingerprint, known)
        (out / PROMPTS_FILE).unlink(missing_ok=True)
    return known


@process_state_restored()
def find_people(recipe: Recipe, crops: CropSet, backbone: Backbone, out: Path) -> Regions | None:
    """Stage 1b: train a saliency selector from this backbone, and ask it about every crop [SPT].

    Returns:
        Where each training crop's person is, bool (N, 16, 8); None where no patches are to be transferred.
    """
    section = recipe.occlusion
    if section is None or section.transferred == 0:
        return None
    fingerprint = _fingerprint(recipe, crops, "backbone.", "occlusion.saliency.", "sampling.")
    known = _known(out / REGIONS_FILE, fingerprint)
    if known is None:
        settings = SaliencySettings(
            section.saliency.steps, section.saliency.learning_rate, section.saliency.selector_learning_rate, recipe.seed
        )
        logger.info("stage 1b: training the saliency selector for %d steps", settings.steps)
        batches = _clean_batches(crops, recipe, settings.steps)
        torch.manual_seed(recipe.seed)
        selector = train_saliency(backbone, batches, len(np.unique(crops.pids)), settings)
        known = {"regions": torch.from_numpy(salient_regions(selector, crops.images))}
        _keep(out / REGIONS_FILE, fingerprint, known)
    share = float(known["regions"].float().mean())
    logger.info("stage 1b: people take %.0f %% of their crops", 100 * share)
    if share == 0:
        logger.warning("stage 1b: warning: the selector finds nobody: no patches will be transferred")
    return np.asarray(known["regions"].numpy(), np.bool_)


def gather_occluders(recipe: Recipe, regions: Regions | None) -> Occluders | None:
    """All that the recipe lets hide a crop; None for nothing.

    Raises:
        DatasetError: the folder of cut-outs is missing or holds none.
    """
    section = recipe.occlusion
    if section is None:
        return None
    if section.cutouts == 0:
        return Occluders(section, (), regions)
    folder = section.cutouts_folder
    cutouts = draw_cutouts(DRAWN_CUTOUTS, recipe.seed) if folder is None else read_cutouts(folder)
    return Occluders(section, cutouts, regions)


def _clean_batches(crops: CropSet, recipe: Recipe, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented whole crops, drawn like those of an epoch after the last."""
    for group in epoch_batches(crops, recipe, recipe.schedule.epochs, steps, None):
        for batch in group:
            yield batch.images, batch.labels


def _projection(clip: ClipModel, backbone: str) -> dict[str, Tensor]:
    own = getattr(clip.visual, "proj", None)
    if backbone != "clip-vit-b16" or not isinstance(own, Tensor):
        return {}
    return {"projection": own.detach().float().cpu()}


def _blocks(crops: CropSet) -> Iterator[np.ndarray]:
    for start in range(0, len(crops), ENCODED_AT_ONCE):
        yield crops.images[start : start + ENCODED_AT_ONCE]


def _tell(report: EpochReport) -> None:
    logger.info("stage 1: epoch %d of %d: loss %.3f", report.epoch, report.epochs, report.loss)


def _fingerprint(recipe: Recipe, crops: CropSet, *beginnings: str) -> str:
    """What a stage's outcome depends on, as text."""
    keys = {key: value for key, value in recipe.comparable().items() if key.startswith(beginnings)}
    keys |= {"seed": recipe.seed, "crops": len(crops), "identities": len(np.unique(crops.pids))}
    return repr(sorted(keys.items()))


def _known(path: Path, fingerprint: str) -> dict[str, Tensor] | None:
    """A stage's outcome, if it is there already and of the same recipe."""
    if not path.is_file():
        return None
    state = read_state(path)
    if state.get("fingerprint") != fingerprint:
        logger.warning("%s: of another recipe or other crops: done again", path)
        return None
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _keep(path: Path, fingerprint: str, outcome: Mapping[str, Tensor]) -> None:
    save({"fingerprint": fingerprint, **outcome}, path)


def embed_with_teacher(network: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed clean crops with somebody else's network.

    Args:
        network: an OpenVINO .xml (its .bin lies beside it) or a foreign .onnx, see `baselines.Baseline`.
        images: uint8 (N, 256, 128, 3) BGR.

    Returns:
        float32 (N, T), rows of unit length.

    Raises:
        WeightsError: as `baselines.Baseline`.
    """
    return Baseline(network).embed(images)


def frozen_features(network: Path, images: NDArray[np.uint8], mirrored: bool) -> NDArray[np.float32]:
    """What a network says of clean crops, as it gives it: float32 (N, T).

    Args:
        network, images: as `embed_with_teacher`.
        mirrored: the mean over every crop and its mirror image.
    """
    network_of_others = Baseline(network)
    features = network_of_others.features(images)  # (N, T)
    if not mirrored:
        return features
    other_way = network_of_others.features(images[:, :, ::-1])  # (N, T)
    return np.asarray((features + other_way) / 2, np.float32)
