"""Save and resume a run: one file, rewritten after every epoch, holds everything that the next epoch needs."""

import zipfile
from pathlib import Path
from typing import TypedDict

import torch

from ..backbones.weights import read_state
from ..disk.files import replacing
from ..errors import WeightsError
from ..recipe.schema import Recipe
from .step.trainer import Trainer, TrainerState

FORMAT_VERSION = 3
OWN_KEYS = (  # of last.pt, best.pt, the results of the stages, and the state of CLIP's prompts
    (b"format_version", b"best_score", b"trainer"),
    (b"spec", b"backbone", b"mask", b"model"),
    (b"fingerprint",),
    (b"settings", b"tokens", b"optimiser"),
)


class Checkpoint(TypedDict):
    """A run between two epochs.

    Random states are not saved: every epoch, and every batch in it, has a seed of its own.
    """

    format_version: int
    recipe: dict[str, object]
    identities: int
    crops: int
    epoch: int
    best_score: float
    trainer: TrainerState


def save_checkpoint(path: Path, trainer: Trainer, crops: int, epoch: int, best_score: float) -> None:
    """Write a run; `epoch` is the next one to train."""
    state: Checkpoint = {
        "format_version": FORMAT_VERSION,
        "recipe": trainer.recipe.comparable(),
        "identities": len(trainer.prototypes),
        "crops": crops,
        "epoch": epoch,
        "best_score": best_score,
        "trainer": trainer.state(),
    }
    save(dict(state), path)


def resume_run(path: Path, trainer: Trainer, crops: int) -> tuple[int, float]:
    """Restore a trainer from a checkpoint.

    Returns:
        The next epoch to train, and the best score so far.

    Raises:
        WeightsError: the file is unreadable, not such a checkpoint, or of another recipe or other data.
    """
    state = read_state(path)
    if state.get("format_version") != FORMAT_VERSION:
        raise WeightsError(f"{path}: not a checkpoint to resume from, which is last.pt of this version of the program")
    _compare(path, state["recipe"], trainer.recipe)
    for name, own in (("identities", len(trainer.prototypes)), ("crops", crops)):
        if state[name] != own:
            raise WeightsError(f"{path}: was trained on {state[name]} {name}, the recipe's folders hold {own}")
    try:
        trainer.restore(state["trainer"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path}: of another architecture or version of this program: {reason}") from error
    return state["epoch"], state["best_score"]


def save(state: dict[str, object], path: Path) -> None:
    """Write a checkpoint atomically: after a crash the file is the old one or the new one."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


def is_own_checkpoint(path: Path) -> bool:
    """Whether a file is one that `save` wrote during a training, by the keys in it; nothing in it is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            keys = archive.read(names[0]) if names else b""
    except zipfile.BadZipFile:
        return False
    return any(all(key in keys for key in kind) for kind in OWN_KEYS)


def _compare(path: Path, before: dict[str, object], recipe: Recipe) -> None:
    now = recipe.comparable()
    for key in sorted(before.keys() | now.keys()):
        if key not in now or key not in before or before[key] != now[key]:
            raise WeightsError(
                f"{path}: was trained with {key}: {before.get(key, 'nothing')}, the recipe says "
                f"{now.get(key, 'nothing')}: restore it, or start a new run with another --out"
            )
