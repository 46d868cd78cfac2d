"""How is a model trained?  Read `train` from top to bottom."""

import json
import logging
import math
import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from .batches import training_images
from .dataset import CropSet, identity_batches, join_crop_sets, read_crop_set
from .errors import WeightsError
from .held_out import HeldOut, evaluate_held_out, split_held_out
from .learner import Learner
from .model import normalise
from .protocol import RankingScores
from .recipe import Recipe, read_recipe
from .teacher import teacher_embeddings

Scores = dict[str, dict[str, dict[str, RankingScores]]]  # folder, clean or occluded, metric

LOG_EVERY_STEPS = 20

logger = logging.getLogger(__name__)


def train(recipe_path: Path, out: Path, resume: bool = False) -> Path:
    """Train by a recipe; `out` gets last.pt (resumable), best.pt (for `export.export`) and log.jsonl.

    Every epoch draws from its own seed, so that a resumed run goes on as an unbroken one would.

    Returns:
        The path of best.pt.
    """
    recipe = read_recipe(recipe_path)
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    cv2.setNumThreads(1)  # crops are small: its threads would only fight with PyTorch's
    out.mkdir(parents=True, exist_ok=True)
    crops, held_out = _read_crops(recipe)
    targets = teacher_embeddings(recipe.teacher, crops.images) if recipe.teacher else None  # (N, T)
    learner = Learner(recipe, len(np.unique(crops.pids)), 0 if targets is None else targets.shape[1])
    first_epoch, best_score = _resume(learner, out / "last.pt") if resume else _start(learner, crops)

    for epoch in range(first_epoch, recipe.epochs):
        rng = np.random.default_rng([recipe.seed, epoch])
        each = recipe.crops_per_identity
        history = []
        batches = identity_batches(crops.pids, recipe.identities_per_batch, each, recipe.steps_per_epoch, rng)
        for step, rows in enumerate(batches):
            images = training_images(crops, rows, each, recipe.occlusion_probability, rng)  # (N, 256, 128, 3)
            labels = torch.from_numpy(crops.pids[rows])  # (N,)
            target = None if targets is None else torch.from_numpy(targets[rows])  # (N, T)
            learning_rate = learning_rate_at(epoch * recipe.steps_per_epoch + step, recipe)
            history.append(learner.step(normalise(torch.from_numpy(images)), labels, target, learning_rate))
            if step % LOG_EVERY_STEPS == 0:
                logger.info("epoch %d step %d: %s", epoch, step, history[-1])
        means = {name: float(np.mean([losses[name] for losses in history])) for name in history[0]}
        scores: Scores = {}
        if (epoch + 1) % recipe.evaluate_every_epochs == 0 or epoch + 1 == recipe.epochs:
            scores, best_score = _keep_best(learner, held_out, best_score, out / "best.pt")
        save({"epoch": epoch + 1, "best_score": best_score, "learner": learner.state()}, out / "last.pt")
        _log(out / "log.jsonl", epoch, means, scores)
    return out / "best.pt"


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to 0 at the end of the last epoch."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    steps = recipe.epochs * recipe.steps_per_epoch
    progress = (step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def save(state: dict[str, object], path: Path) -> None:
    """Write a checkpoint so that a reader (or a power cut) sees the old file or the new one, never half of one."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _read_crops(recipe: Recipe) -> tuple[CropSet, list[HeldOut]]:
    """The crops to train on, identities numbered from 0, and every folder's held-out people."""
    kept, held_out = [], []
    for folder in recipe.train:
        remaining, held = split_held_out(folder, read_crop_set(folder), recipe.held_out_identities, recipe.seed)
        kept.append(remaining)
        held_out.append(held)
    return join_crop_sets(kept), held_out


def _start(learner: Learner, crops: CropSet) -> tuple[int, float]:
    learner.start(crops)
    return 0, -1.0


def _resume(learner: Learner, checkpoint: Path) -> tuple[int, float]:
    """Restore the learner; return the epoch to go on with, and the best score so far."""
    if not checkpoint.is_file():
        raise WeightsError(f"{checkpoint}: no such checkpoint to resume from")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    learner.restore(state["learner"])
    return state["epoch"], state["best_score"]


def _keep_best(learner: Learner, held_out: list[HeldOut], best_score: float, path: Path) -> tuple[Scores, float]:
    """Evaluate, and save the model where it is the best so far; return the scores and the best score."""
    scores = {one.name: evaluate_held_out(learner.model, one) for one in held_out}
    score = _mean_masked_score(scores)
    if score > best_score:
        save(learner.weights(), path)
    return scores, max(score, best_score)


def _mean_masked_score(scores: Scores) -> float:
    """Masked mAP, mean over folders, clean and occluded: the metric in use, on people it has never seen."""
    tables = [table for folder in scores.values() for table in folder.values()]
    return float(np.mean([table["masked"].mean_average_precision for table in tables]))


def _log(path: Path, epoch: int, losses: dict[str, float], scores: Scores) -> None:
    plain = {
        folder: {query: {metric: asdict(one) for metric, one in table.items()} for query, table in tables.items()}
        for folder, tables in scores.items()
    }
    line = json.dumps({"epoch": epoch, "losses": losses, "held_out": plain})
    with path.open("a", encoding="utf-8") as log:
        log.write(line + "\n")
    logger.info("%s", line)
