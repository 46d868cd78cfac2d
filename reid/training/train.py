"""Train a model by a recipe: read `train` from top to bottom."""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch

from ..data.dataset import CropSet, join_crop_sets, read_people, read_unlabelled
from ..disk.files import failing_as, is_png_by, make_folder
from ..disk.guard import MARK, Guard, begins_with
from ..errors import DatasetError, RecipeError, WeightsError
from ..recipe.loader import read_recipe
from ..recipe.schema import Recipe
from .checkpoint import is_own_checkpoint, resume_run, save, save_checkpoint
from .feature_memory import FeatureMemory
from .held_out import HeldOut, evaluate_held_out, split_held_out
from .process_state import process_state_restored
from .records.curves import draw_curves
from .records.event_files import EventFiles
from .records.log import EpochRecord, Scores, TrainingLog, mean_masked_score, plain_scores
from .stages import (
    PROMPTS_FILE,
    REGIONS_FILE,
    START_FILE,
    TEACHER_FILE,
    TEXT_FILE,
    embed_with_start,
    embed_with_teacher,
    find_people,
    gather_occluders,
    learn_text,
)
from .step.batches import Batch, epoch_batches
from .step.trainer import Trainer

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Callbacks of a training run."""

    def began(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch of that many steps begins; epochs count from 0."""

    def stepped(self, losses: dict[str, float] | None) -> None:
        """A step is done; None if it was skipped because its loss was not finite."""

    def ended(self, record: EpochRecord) -> None:
        """An epoch has been trained, evaluated and saved."""


@process_state_restored()
def train(
    recipe_path: Path, out: Path, resume: bool = False, listeners: Sequence[Listener] = (), force: bool = False,
    memory: FeatureMemory | None = None,
) -> Path:
    """Train a model by a recipe.

    First the optional stages: CLIP's prompts (1) and the saliency selector (1b); then the training loop (2).  `out`
    receives last.pt (the whole run, for `resume`), best.pt (the model, for `export.export`), log.jsonl (a line per
    epoch), curves.png and the results of the first stages.  A resumed run ends exactly as an uninterrupted one (on CUDA
    as far as its kernels are deterministic): every epoch and every batch has a seed of its own, and the checkpoint
    holds everything else.

    Args:
        recipe_path: a recipe, see `recipe.Recipe`.
        out: output folder; created if missing.
        resume: resume the interrupted run from out/last.pt.
        listeners: called at every epoch and step.
        force: replace files in `out` that are not of an earlier training, too.
        memory: what frozen networks said of crops in earlier runs of a study; None for a run of its own.

    Returns:
        The path of best.pt.

    Raises:
        RecipeError: the recipe is invalid, or does not fit the machine or the backbone.
        DatasetError: crops are missing, unreadable or too few.
        WeightsError: a weights file or checkpoint is missing or unfit, or `out` holds a run and `resume` is False.
        OutputError: `out` cannot be written, or holds an input or other files of the names above.
        TrainingError: too many steps in a row had a loss that is not finite.
    """
    recipe = read_recipe(recipe_path)
    check_outputs(out, Guard([recipe_path, *recipe.inputs()], force=force), resume)
    _prepare(recipe, out, resume)
    listeners = _with_event_files(listeners, recipe, out)
    crops, held_out = read_training_crops(recipe)
    trainer = _trainer(recipe, crops, out, memory or FeatureMemory())
    occluders = gather_occluders(recipe, find_people(recipe, crops, trainer.model.backbone, out))
    first_epoch, best_score = resume_run(out / "last.pt", trainer, len(crops)) if resume else (0, -math.inf)
    log = TrainingLog(out / "log.jsonl")
    log.cut(first_epoch)

    steps = steps_per_epoch(recipe, crops)
    for epoch in range(first_epoch, recipe.schedule.epochs):
        began, skipped = time.monotonic(), trainer.skipped
        for listener in listeners:
            listener.began(epoch, recipe.schedule.epochs, steps)
        losses = _train_epoch(trainer, epoch_batches(crops, recipe, epoch, steps, occluders), epoch, steps, listeners)
        scores: Scores = {}
        if (epoch + 1) % recipe.held_out.every_epochs == 0 or epoch + 1 == recipe.schedule.epochs:
            scores, best_score = _keep_best(trainer, held_out, best_score, out / "best.pt")
        record = EpochRecord(
            epoch=epoch, losses=losses, skipped=trainer.skipped - skipped,
            learning_rate=learning_rate_at((epoch + 1) * steps - 1, recipe, steps),
            seconds=round(time.monotonic() - began, 1), held_out=plain_scores(scores))
        log.append(record)
        save_checkpoint(out / "last.pt", trainer, len(crops), epoch + 1, best_score)
        draw_curves(log.records(), out / "curves.png")
        for listener in listeners:
            listener.ended(record)
    return out / "best.pt"


def _with_event_files(listeners: Sequence[Listener], recipe: Recipe, out: Path) -> Sequence[Listener]:
    """The listeners, and one that writes event files if the recipe wants them."""
    if not recipe.tensorboard:
        return listeners
    make_folder(out / "events")
    return [*listeners, EventFiles(out / "events")]


def _train_epoch(
    trainer: Trainer, groups: Iterable[list[Batch]], epoch: int, steps: int, listeners: Sequence[Listener]
) -> dict[str, float]:
    """Train one epoch; return the mean of every loss term over the steps that were not skipped."""
    recipe = trainer.recipe
    torch.manual_seed(_seed_of(recipe.seed, epoch))  # for random layers of the network, such as dropout
    rng = np.random.default_rng([recipe.seed, epoch, 0, 0])  # samples prototypes
    history: list[dict[str, float]] = []
    for step, batches in enumerate(groups, epoch * steps):
        losses = trainer.step(batches, learning_rate_at(step, recipe, steps), rng)
        if losses is None:
            logger.warning("epoch %d step %d: the loss is not finite: skipped", epoch, step)
        else:
            history.append(losses)
        for listener in listeners:
            listener.stepped(losses)
    return {name: float(np.mean([losses[name] for losses in history])) for name in (history[0] if history else ())}


def _keep_best(trainer: Trainer, held_out: list[HeldOut], best_score: float, path: Path) -> tuple[Scores, float]:
    """Evaluate; save the model if it is the best so far, or if nobody is held out.

    Returns:
        The scores, and the best score so far.
    """
    model = trainer.best_model  # may be a copy, so only once
    scores = {one.name: evaluate_held_out(model, one) for one in held_out}
    score = mean_masked_score(scores) if scores else best_score
    if score > best_score or not scores:
        save(trainer.weights(), path)
    return scores, max(score, best_score)


def learning_rate_at(step: int, recipe: Recipe, steps_per_epoch: int) -> float:
    """Linear warm-up, constant until `schedule.hold`, then half a cosine down to 0 at the end of the last epoch."""
    schedule = recipe.schedule
    if step < schedule.warmup_steps:
        return schedule.learning_rate * (step + 1) / schedule.warmup_steps
    steps = schedule.epochs * steps_per_epoch
    held_until = max(schedule.warmup_steps, schedule.hold * steps)
    progress = max(0.0, step - held_until) / max(1, steps - held_until)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def steps_per_epoch(recipe: Recipe, crops: CropSet) -> int:
    """The recipe's number, or as many as show each identity about once."""
    if recipe.schedule.steps_per_epoch is not None:
        return recipe.schedule.steps_per_epoch
    people = recipe.sampling.identities * recipe.schedule.accumulate_batches
    return max(1, len(np.unique(crops.pids)) // people)


def identities_to_learn(recipe: Recipe, crops: CropSet) -> int:
    """Number of labelled identities in the joined set: those of the recipe's training folders."""
    labelled = np.ones(len(crops), bool) if crops.sources is None else crops.sources < len(recipe.train)
    return len(np.unique(crops.pids[labelled]))


def read_training_crops(recipe: Recipe) -> tuple[CropSet, list[HeldOut]]:
    """Read the training crops, identities and cameras numbered from 0, and the held-out identities of every folder.

    Unlabelled crops come last, with pids after those of the identities.
    """
    kept, held_out, cameras = [], [], 0
    for folder in recipe.train:
        crops = read_people(folder)
        if recipe.held_out.identities:
            crops, held = split_held_out(folder, crops, recipe.held_out.identities, recipe.seed)
            held_out.append(held)
        own, camids = np.unique(crops.camids, return_inverse=True)
        kept.append(replace(crops, camids=camids.astype(np.int64) + cameras))
        cameras += len(own)  # camera 1 of one folder is not that of another
    for folder in recipe.unlabelled:
        crops = read_unlabelled(folder)
        kept.append(replace(crops, camids=crops.camids + cameras))
        cameras += 1
    for folder in recipe.held_out.folders:
        held_out.append(split_held_out(folder, read_people(folder), None, recipe.seed)[1])
    return join_crop_sets(kept), held_out


def check_outputs(out: Path, guard: Guard, resume: bool) -> None:
    """Refuse a folder in which the files of a training would replace others.

    Args:
        out: the folder.
        guard: of the recipe and all that it names.
        resume: last.pt is read first, and reported there if it is of another program.

    Raises:
        OutputError: as of `Guard.check`.
    """
    guard.check(out / "last.pt", is_own_checkpoint if not resume else lambda path: True)
    for name in ("best.pt", START_FILE, TEACHER_FILE, TEXT_FILE, REGIONS_FILE, PROMPTS_FILE):
        guard.check(out / name, is_own_checkpoint)
    guard.check(out / "log.jsonl", lambda path: begins_with(path, '{"epoch": '))
    guard.check(out / "curves.png", lambda path: is_png_by(path, MARK, "Matplotlib"))  # as earlier versions wrote it


def _prepare(recipe: Recipe, out: Path, resume: bool) -> None:
    """Check what can be checked before any crop is read; set random seed and thread counts."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device: cuda is set, but PyTorch finds no CUDA device: set device to cpu")
    with failing_as(WeightsError, out / "last.pt"):
        if (out / "last.pt").exists() and not resume:
            raise WeightsError(f"{out / 'last.pt'} exists: resume the run with --resume, or choose another --out")
        if resume and not (out / "last.pt").is_file():
            raise WeightsError(f"{out / 'last.pt'}: no such checkpoint to resume from: run it without --resume")
    _check_inputs(recipe, resume)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    cv2.setNumThreads(1)  # crops are small: its threads would only compete with PyTorch's
    make_folder(out)


def _check_inputs(recipe: Recipe, resume: bool) -> None:
    """Check that what is read late exists: reading the first folder may take minutes."""
    for folder in (*recipe.train, *recipe.unlabelled, *recipe.held_out.folders):
        with failing_as(DatasetError, folder):
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder of crops")
    for section in (recipe.teacher, recipe.distillation):
        if section is None or resume:  # a resumed run has kept what it needs of them
            continue
        with failing_as(WeightsError, section.network):
            if not section.network.is_file():
                raise WeightsError(f"{section.network}: no such weights file")


def _trainer(recipe: Recipe, crops: CropSet, out: Path, memory: FeatureMemory) -> Trainer:
    """Build the trainer, after running teacher, start network and CLIP stage 1 as far as the recipe has them."""
    teacher = embed_with_teacher(recipe, crops, out, memory)
    start = embed_with_start(recipe, crops, out, memory)
    text = learn_text(recipe, crops, out)
    torch.manual_seed(recipe.seed)  # the same whether stage 1 ran now or its result was read
    trainer = Trainer(recipe, identities_to_learn(recipe, crops), len(np.unique(crops.camids)), teacher, text, start)
    trainer.start(crops)
    return trainer


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
