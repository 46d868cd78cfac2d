"""Does every part help?  The same training with one part off at a time, over several seeds, in one table."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import yaml

from ..errors import RecipeError
from ..files import make_folder, write_text
from ..recipe import Recipe, check_recipe, read_recipe
from .log import TrainingLog
from .train import Listener, train

WHOLE = "everything"
QUERIES, METRICS = ("clean", "occluded"), ("plain", "masked", "permuted")
Changes = Mapping[str, Any]  # dotted keys of a recipe, and what they become

# What is switched off, and how.  A part that a recipe does not have on is left out of its table.
PARTS: dict[str, Changes] = {
    "mask generator": {"mask.kind": "none", "mask.trust_weight": 0.0, "losses.triplet_by_mask": False},
    "own step of the mask": {"mask.joint_step": True},
    "mask taught by pairs (instead: by classification)": {"mask.pair_weight": 0.0, "mask.arcface_weight": 1.0},
    "masked classification": {"losses.masked": 0.0},
    "plain classification": {"losses.plain": 0.0},
    "triplet loss": {"losses.triplet": 0.0},
    "triplets weighted by mask": {"losses.triplet_by_mask": False},
    "orthogonal heads": {"losses.orthogonality": 0.0},
    "class-ignoring": {"losses.ignore_donors": False},
    "all occlusion": {"occlusion": None},
    "occlusion (instead: random erasing)": {
        "occlusion.pasted": 0.0,
        "occlusion.transferred": 0.0,
        "occlusion.cutouts": 0.0,
        "occlusion.erased": 1.0,
    },
    "pasted occlusion": {"occlusion.pasted": 0.0},
    "occluders from the batch": {"occlusion.batch_donors": False},
    "patch transfer": {"occlusion.transferred": 0.0},
    "cut-outs": {"occlusion.cutouts": 0.0},
    "teacher": {"teacher": None},
    "CLIP": {"clip": None},
    "sentences told apart": {"clip.text_weight": 0.0},
    "transfer into prototypes": {"clip.prototype_weight": 0.0},
    "camera embedding": {"backbone.cameras": False},
    "regions": {"regions": None, "mask.kind": "lite", "mask.trust_weight": 0.0, "mask.pair_weight": 1.0},
    "mask taught by trust (instead: by pairs)": {"mask.trust_weight": 0.0, "mask.pair_weight": 1.0},
    "regions told apart by themselves": {"regions.weight": 0.0},
    "masked pairs": {"losses.pairs": 0.0},
    "moving average": {"schedule.ema_decay": 0.0},
}


class Row(TypedDict):
    """One line of the table, percent of mAP on people never trained on, after the last epoch.

    Attributes:
        part: which part was off; "everything" for none.
        seeds: those that are done.
        scores: by "clean masked" and the like, one value per seed: the mean over all held-out sets.
    """

    part: str
    seeds: list[int]
    scores: dict[str, list[float]]


def variants(recipe: Recipe, path: Path, only: Sequence[str] = ()) -> dict[str, Recipe]:
    """The recipe as it is, and with one of its parts off each.

    Args:
        recipe: the whole method.
        path: where it came from, for messages.
        only: parts to switch off; all that the recipe has on where empty.

    Raises:
        RecipeError: an unknown part; or nobody is held out, so that nothing could be compared.
    """
    unknown = [part for part in only if part not in PARTS]
    if unknown:
        raise RecipeError(f"ablate: no such part: {unknown[0]}: expected one of {', '.join(PARTS)}")
    if not recipe.held_out.identities and not recipe.held_out.folders:
        raise RecipeError(f"{path}: held_out: expected identities or folders, or there is nothing to compare")
    chosen = {WHOLE: recipe}
    for part in only or PARTS:
        changed = _changed(recipe, PARTS[part], path)
        if changed is not None:
            chosen[part] = changed
    return chosen


def ablate(
    recipe_path: Path,
    out: Path,
    seeds: int,
    only: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Train every variant with every seed, and write out/ablation.json and out/ablation.md after every run.

    Seed by seed, so that a table of all parts is there early.  A run that is done is not done again, one that was
    killed is resumed: the same command goes on where it was.

    Args:
        recipe_path: the whole method; its seed is the first.
        out: a folder; every run has one of its own in it.
        seeds: how many.
        only: as of `variants`.
        listeners: are told of every step.
        tell: is told which run begins.

    Returns:
        The table.
    """
    recipe = read_recipe(recipe_path)
    chosen = variants(recipe, recipe_path, only)
    rows = [Row(part=part, seeds=[], scores={}) for part in chosen]
    for number in range(seeds):
        seed = recipe.seed + number
        for row, (part, variant) in zip(rows, chosen.items(), strict=True):
            tell(f"{part} off, seed {seed}" if part != WHOLE else f"{part}, seed {seed}")
            folder = out / _slug(part) / f"seed-{seed}"
            for name, score in _scores(variant.model_copy(update={"seed": seed}), folder, listeners).items():
                row["scores"].setdefault(name, []).append(score)
            row["seeds"].append(seed)
            write_text(out / "ablation.json", json.dumps(rows, indent=2) + "\n")
            write_text(out / "ablation.md", table(rows))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown: mean ± standard deviation over seeds, and beside it the paired difference to the whole method.

    The difference is taken seed by seed, since a seed decides who is held out, too.
    """
    names = list(rows[0]["scores"])
    lines = [
        "mAP in % on people never trained on, after the last epoch; mean ± standard deviation over seeds, and in "
        "brackets the difference to everything, taken seed by seed.",
        "",
        f"| off | seeds | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for row in rows:
        if row["seeds"]:
            cells = [_cell(row["scores"][name], rows[0]["scores"][name], row["part"] != WHOLE) for name in names]
            part = f"({WHOLE} on)" if row["part"] == WHOLE else row["part"]
            lines.append(f"| {part} | {len(row['seeds'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(scores: Sequence[float], whole: Sequence[float], compare: bool) -> str:
    text = _spread(scores)
    if compare:
        text += f" ({_spread(np.subtract(scores, whole[: len(scores)]).tolist(), '+')})"
    return text


def _spread(values: Sequence[float], sign: str = "") -> str:
    """Mean ± sample standard deviation; of one value there is no spread."""
    mean = format(float(np.mean(values)), f"{sign}.1f")
    return mean if len(values) < 2 else f"{mean} ± {float(np.std(values, ddof=1)):.1f}"


def _scores(recipe: Recipe, folder: Path, listeners: Sequence[Listener]) -> dict[str, float]:
    """Train, unless that is done; the last epoch's mAP in percent, each the mean over all held-out sets."""
    make_folder(folder)
    path, log = folder / "recipe.yaml", TrainingLog(folder / "log.jsonl")
    if path.exists() and read_recipe(path).comparable() != recipe.comparable():
        raise RecipeError(f"{folder}: holds a run of another recipe: begin anew with another --out")
    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    if not any(record["epoch"] + 1 == recipe.schedule.epochs for record in log.records()):
        train(path, folder, (folder / "last.pt").exists(), listeners)
    held_out = log.records()[-1]["held_out"].values()
    return {
        f"{query} {metric}": 100 * float(np.mean([one[query][metric]["mean_average_precision"] for one in held_out]))
        for query in QUERIES
        for metric in METRICS
    }


def _changed(recipe: Recipe, changes: Changes, path: Path) -> Recipe | None:
    """The recipe with some keys changed; None where that changes nothing, or is not possible for this recipe."""
    if recipe.mask.kind == "none" and all(key.startswith("mask.") for key in changes):
        return None  # whatever is said of a generator that is not there
    if recipe.regions is None and "regions" in changes:
        return None  # what comes in their place is there already
    if recipe.occlusion is None and "losses.ignore_donors" in changes:
        return None  # nobody is put into any crop
    if (recipe.occlusion is None or recipe.occlusion.pasted == 0) and "occlusion.batch_donors" in changes:
        return None  # nothing is pasted
    if recipe.mask.pair_weight == 0 and changes.get("mask.pair_weight") == 0:
        return None  # pairs do not teach it anyway
    values = recipe.model_dump(mode="json")
    before = json.dumps(values)
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        holder = values[section] if section else values
        if holder is None:
            return None
        holder[name] = value
    if json.dumps(values) == before:
        return None
    try:
        return check_recipe(values, path)
    except RecipeError:  # such as no source of occlusion left: then this part is the whole section
        return None


def _slug(part: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in part.split(" (", maxsplit=1)[0].lower())
