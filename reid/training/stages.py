"""Stages before the main training: teacher embeddings, CLIP text features, saliency regions, occluders.

Each stage writes a file to the run's folder, so that a resumed run needs neither teacher, CLIP nor selector again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..backbones.large.clip_model import ClipModel, load_clip
from ..backbones.protocol import Backbone
from ..backbones.weights import is_file, read_state
from ..data.dataset import CropSet
from ..embedder import CROPS_AT_ONCE, Embedder
from ..evaluation.baselines import Baseline
from ..occlusion.cutouts import draw_cutouts, read_cutouts
from ..occlusion.pairing import Regions
from ..occlusion.policy import Occluders
from ..occlusion.saliency import SaliencySettings, salient_regions, train_saliency
from ..recipe.schema import Recipe
from ..supervision.prompt_training import EpochReport, PromptSettings, encode_images, learn_prompts
from .checkpoint import save
from .feature_memory import FeatureMemory
from .process_state import process_state_restored
from .step.batches import epoch_batches

START_FILE = "start.pt"
TEACHER_FILE, TEXT_FILE, REGIONS_FILE, PROMPTS_FILE = "teacher.pt", "text.pt", "regions.pt", "prompts.pt"
DRAWN_CUTOUTS = 400  # about as varied as a folder of PNGs
STAGE_1_KEYS = ("model", "pretrained", "epochs", "batch_size", "learning_rate")
ENCODED_AT_ONCE = 64

logger = logging.getLogger(__name__)


def embed_with_teacher(recipe: Recipe, crops: CropSet, out: Path, memory: FeatureMemory) -> Tensor | None:
    """Embed every clean crop with the teacher: float32 (N, T) of unit length; None without a teacher.

    `memory` is asked first, and keeps the result.
    """
    if recipe.teacher is None:
        return None
    fingerprint = _fingerprint(recipe, crops, "teacher.network")
    result = _read_result(out / TEACHER_FILE, fingerprint)
    if result is None:
        network = recipe.teacher.network
        logger.info("embedding %d crops with %s", len(crops), network.name)
        features = memory.features(crops.images, f"{network} of unit length", partial(embed_clean_crops, network))
        result = {"teacher": torch.from_numpy(features)}
        _write_result(out / TEACHER_FILE, fingerprint, result)
    return result["teacher"]


def embed_with_start(recipe: Recipe, crops: CropSet, out: Path, memory: FeatureMemory) -> Tensor | None:
    """Embed every clean crop with the untrained network or the teacher: float32 (N, D); None without distillation.

    `memory` is asked first, and keeps the result.
    """
    section = recipe.distillation
    if section is None:
        return None
    fingerprint = _fingerprint(recipe, crops, "distillation.network", "distillation.mirrored", "train", "unlabelled")
    result = _read_result(out / START_FILE, fingerprint)
    if result is None:
        logger.info("embedding %d crops with %s", len(crops), section.network.name)
        embed = partial(frozen_features, section.network, mirrored=section.mirrored)
        features = memory.features(crops.images, f"{section.network} mirrored: {section.mirrored}", embed)
        result = {"start": torch.from_numpy(features)}
        _write_result(out / START_FILE, fingerprint, result)
    return result["start"]


def learn_text(recipe: Recipe, crops: CropSet, out: Path) -> dict[str, Tensor] | None:
    """Learn every identity's text feature (stage 1) [CLIP-ReID]; None if the recipe has no CLIP.

    Returns:
        text: T, float32 (C, d).  projection: CLIP's own, float32 (D, d), only if the backbone is its image tower.
    """
    section = recipe.clip
    if section is None:
        return None
    fingerprint = _fingerprint(recipe, crops, *(f"clip.{key}" for key in STAGE_1_KEYS))
    result = _read_result(out / TEXT_FILE, fingerprint)
    if result is None:
        weights: Path | str = Path(section.pretrained) if is_file(section.pretrained) else section.pretrained
        clip, tokenizer = load_clip(section.model, weights)
        assert isinstance(clip, nn.Module)
        clip.to(recipe.device)
        features = encode_images(clip, _blocks(crops))  # (N, d)
        settings = PromptSettings(section.epochs, section.batch_size, section.learning_rate, recipe.seed)
        labels = torch.from_numpy(crops.pids)  # (N,)
        state_file = out / PROMPTS_FILE
        text = learn_prompts(clip, tokenizer, features, labels, settings, state_file=state_file, progress=_log_epoch)
        result = {"text": text, **_projection(clip, recipe.backbone.name)}
        _write_result(out / TEXT_FILE, fingerprint, result)
        state_file.unlink(missing_ok=True)
    return result


@process_state_restored()
def find_people(recipe: Recipe, crops: CropSet, backbone: Backbone, out: Path) -> Regions | None:
    """Train a saliency selector from this backbone and apply it to every crop (stage 1b) [SPT].

    Returns:
        Where the person is in each training crop, bool (N, 16, 8); None if no patches are transferred.
    """
    section = recipe.occlusion
    if section is None or section.transferred == 0:
        return None
    fingerprint = _fingerprint(recipe, crops, "backbone.", "occlusion.saliency.", "sampling.")
    result = _read_result(out / REGIONS_FILE, fingerprint)
    if result is None:
        settings = SaliencySettings(
            section.saliency.steps, section.saliency.learning_rate, section.saliency.selector_learning_rate, recipe.seed
        )
        logger.info("stage 1b: training the saliency selector for %d steps", settings.steps)
        batches = _clean_batches(crops, recipe, settings.steps)
        torch.manual_seed(recipe.seed)
        selector = train_saliency(backbone, batches, len(np.unique(crops.pids)), settings)
        result = {"regions": torch.from_numpy(salient_regions(selector, crops.images))}
        _write_result(out / REGIONS_FILE, fingerprint, result)
    share = float(result["regions"].float().mean())
    logger.info("stage 1b: the selector keeps %.0f %% of each crop", 100 * share)
    if share == 0:
        logger.warning("stage 1b: warning: the selector finds no person: no patches will be transferred")
    return np.asarray(result["regions"].numpy(), np.bool_)


def gather_occluders(recipe: Recipe, regions: Regions | None) -> Occluders | None:
    """Collect the recipe's sources of occlusion; None without occlusion.

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
    """Augmented clean crops, sampled like those of an epoch after the last."""
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


def _log_epoch(report: EpochReport) -> None:
    logger.info("stage 1: epoch %d of %d: loss %.3f", report.epoch, report.epochs, report.loss)


def _fingerprint(recipe: Recipe, crops: CropSet, *beginnings: str) -> str:
    """Everything that a stage's result depends on, as text."""
    keys = {key: value for key, value in recipe.comparable().items() if key.startswith(beginnings)}
    keys |= {"seed": recipe.seed, "crops": len(crops), "identities": len(np.unique(crops.pids))}
    return repr(sorted(keys.items()))


def _read_result(path: Path, fingerprint: str) -> dict[str, Tensor] | None:
    """A stage's result, if it exists already and is of the same recipe."""
    if not path.is_file():
        return None
    state = read_state(path)
    if state.get("fingerprint") != fingerprint:
        logger.warning("%s: of another recipe or other crops: computed again", path)
        return None
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _write_result(path: Path, fingerprint: str, result: Mapping[str, Tensor]) -> None:
    save({"fingerprint": fingerprint, **result}, path)


def embed_clean_crops(network: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed clean crops with a third-party network.

    Args:
        network: an OpenVINO .xml, with its .bin beside it, or an .onnx; see `baselines.Baseline`.
        images: uint8 (N, 256, 128, 3) BGR.

    Returns:
        float32 (N, T), rows of unit length.

    Raises:
        WeightsError: as `baselines.Baseline`.
    """
    return Baseline(network).embed(images)


def frozen_features(network: Path, images: NDArray[np.uint8], mirrored: bool) -> NDArray[np.float32]:
    """Embed clean crops without normalising the result: float32 (N, T).

    Args:
        network: an OpenVINO .xml, as of `embed_clean_crops`, or an .onnx exported by this program.
        images: as of `embed_clean_crops`.
        mirrored: average over every crop and its mirror image.

    Raises:
        WeightsError: as `baselines.Baseline` or `Embedder`.
    """
    embed = _embedded_by(network) if network.suffix == ".onnx" else Baseline(network).features
    features = embed(images)  # (N, T)
    if not mirrored:
        return features
    mirror_image = embed(images[:, :, ::-1])  # (N, T)
    return np.asarray((features + mirror_image) / 2, np.float32)


def _embedded_by(network: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    embedder = Embedder(network, arithmetic="float", batch=CROPS_AT_ONCE)
    return lambda images: embedder.embed(list(images)).embedding
