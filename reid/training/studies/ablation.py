"""Ablation study: train with one part of the method off at a time, over several seeds, and tabulate the scores."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ...disk.files import write_text
from ...disk.guard import Guard, begins_with
from ...errors import RecipeError
from ...recipe.loader import check_recipe, read_recipe
from ...recipe.schema import Recipe
from ..feature_memory import FeatureMemory
from ..records.log import TrainingLog
from ..train import Listener
from .runs import train_unless_finished

EVERYTHING = "everything"
QUERIES, METRICS = ("clean", "occluded"), ("plain", "masked", "permuted")
HEADING = "mAP in % on held-out identities"
Changes = Mapping[str, Any]  # dotted keys of a recipe, and what they become

# What is switched off, and how.  A part that a recipe does not have on is left out of its table.
PARTS: dict[str, Changes] = {
    "mask generator": {
        "mask.kind": "none",
        "mask.distillation_weight": 0.0,
        "mask.trust_weight": 0.0,
        "losses.triplet_by_mask": False,
    },
    "mask generator and evidence map": {
        "mask.kind": "none",
        "mask.distillation_weight": 0.0,
        "mask.trust_weight": 0.0,
        "losses.triplet_by_mask": False,
        "regions": None,
    },
    "mask supervised by similarities (instead: by classification alone)": {"mask.distillation_weight": 0.0},
    "mask of all stages (instead: of regions)": {
        "mask.kind": "regions",
        "mask.arcface_weight": 0.0,
        "mask.distillation_weight": 0.0,
        "mask.trust_weight": 1.0,
        "regions.dimensions": 128,
        "regions.weight": 1.0,
    },
    "dims in any order (instead: by region)": {"regions.dimensions": 128, "regions.weight": 1.0},
    "own step of the mask": {"mask.joint_step": True},
    "mask supervised by pairs (instead: by classification)": {"mask.pair_weight": 0.0, "mask.arcface_weight": 1.0},
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
    "text classification": {"clip.text_weight": 0.0},
    "transfer into prototypes": {"clip.prototype_weight": 0.0},
    "camera embedding": {"backbone.cameras": False},
    "regions": {"regions": None, "mask.kind": "lite", "mask.trust_weight": 0.0, "mask.pair_weight": 1.0},
    "mask supervised by precision (instead: by pairs)": {"mask.trust_weight": 0.0, "mask.pair_weight": 1.0},
    "region classification": {"regions.weight": 0.0},
    "masked pairs": {"losses.pairs": 0.0},
    "moving average": {"schedule.ema_decay": 0.0},
}


class Row(TypedDict):
    """One line of the table: mAP in percent on held-out identities, after the last epoch.

    Attributes:
        part: the part that is off; "everything" for none.
        seeds: the finished ones.
        scores: by query and metric, such as "clean masked"; one value per seed, the mean over all held-out sets.
    """

    part: str
    seeds: list[int]
    scores: dict[str, list[float]]


def variants(recipe: Recipe, path: Path, only: Sequence[str] = ()) -> dict[str, Recipe]:
    """The unchanged recipe, and one variant per part with that part off.

    Args:
        recipe: the complete method.
        path: its file, for messages.
        only: parts to switch off; if empty, all that the recipe has on.

    Raises:
        RecipeError: a part is unknown, or no identities are held out.
    """
    unknown = [part for part in only if part not in PARTS]
    if unknown:
        raise RecipeError(f"ablate: no such part: {unknown[0]}: expected one of {', '.join(PARTS)}")
    if not recipe.held_out.identities and not recipe.held_out.folders:
        raise RecipeError(f"{path}: held_out: expected identities or folders, to compare the variants on")
    chosen = {EVERYTHING: recipe}
    for part in only or PARTS:
        changed = _changed(recipe, PARTS[part], path)
        if changed is not None:
            chosen[part] = changed
    return chosen


def run_ablation(
    recipe_path: Path,
    out: Path,
    seeds: int,
    only: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    report: Callable[[str], None] = lambda line: None,
    force: bool = False,
) -> list[Row]:
    """Train every variant with every seed, and write out/ablation.json and out/ablation.md after every run.

    Seed by seed, so that a table of all parts exists early.  The same command resumes an interrupted study: finished
    runs are not repeated.

    Args:
        recipe_path: the complete method; its seed is the first.
        out: output folder, with one folder per run.
        seeds: number of seeds.
        only: as of `variants`.
        listeners: called at every epoch and step of every run.
        report: called with a line whenever a run begins.
        force: replace files in `out` that are not of an earlier study, too.

    Returns:
        The table.
    """
    recipe = read_recipe(recipe_path)
    chosen = variants(recipe, recipe_path, only)
    guard = Guard([recipe_path, *recipe.inputs()], force=force)
    guard.check(out / "ablation.json", lambda path: begins_with(path, '[\n  {\n    "part": '))
    guard.check(out / "ablation.md", lambda path: begins_with(path, HEADING))
    rows = [Row(part=part, seeds=[], scores={}) for part in chosen]
    memory = FeatureMemory()
    for number in range(seeds):
        seed = recipe.seed + number
        for row, (part, variant) in zip(rows, chosen.items(), strict=True):
            report(f"{part} off, seed {seed}" if part != EVERYTHING else f"{part}, seed {seed}")
            folder = out / _slug(part) / f"seed-{seed}"
            seeded = variant.model_copy(update={"seed": seed})
            for name, score in _scores(seeded, folder, listeners, guard, force, memory).items():
                row["scores"].setdefault(name, []).append(score)
            row["seeds"].append(seed)
            write_text(out / "ablation.json", json.dumps(rows, indent=2) + "\n")
            write_text(out / "ablation.md", table(rows))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown: mean ± standard deviation over seeds, and the paired difference to the complete method.

    Differences are paired by seed, since the seed also decides which identities are held out.
    """
    head, *parts = cells(rows)
    lines = [
        f"{HEADING}, after the last epoch; mean ± standard deviation over seeds, and in brackets "
        "the difference to everything, paired by seed.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(part)} |" for part in parts),
    ]
    return "\n".join(lines) + "\n"


def cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    """The cells of `table`, line by line, the names of the columns first."""
    names = list(rows[0]["scores"])
    yield ["off", "seeds", *names]
    for row in rows:
        if row["seeds"]:
            scores = [_cell(row["scores"][name], rows[0]["scores"][name], row["part"] != EVERYTHING) for name in names]
            yield [f"({EVERYTHING} on)" if row["part"] == EVERYTHING else row["part"], str(len(row["seeds"])), *scores]


def _cell(scores: Sequence[float], everything: Sequence[float], compare: bool) -> str:
    text = _mean_and_std(scores)
    if compare:
        text += f" ({_mean_and_std(np.subtract(scores, everything[: len(scores)]).tolist(), '+')})"
    return text


def _mean_and_std(values: Sequence[float], sign: str = "") -> str:
    """Mean ± sample standard deviation; the mean alone for a single value."""
    mean = format(float(np.mean(values)), f"{sign}.1f")
    return mean if len(values) < 2 else f"{mean} ± {float(np.std(values, ddof=1)):.1f}"


def _scores(
    recipe: Recipe, folder: Path, listeners: Sequence[Listener], guard: Guard, force: bool, memory: FeatureMemory
) -> dict[str, float]:
    """Train unless finished; return the last epoch's mAP in percent, the mean over all held-out sets."""
    train_unless_finished(recipe, folder, listeners, guard, force, memory)
    held_out = TrainingLog(folder / "log.jsonl").records()[-1]["held_out"].values()
    return {
        f"{query} {metric}": 100 * float(np.mean([one[query][metric]["mean_average_precision"] for one in held_out]))
        for query in QUERIES
        for metric in METRICS
    }


def _changed(recipe: Recipe, changes: Changes, path: Path) -> Recipe | None:
    """The recipe with some keys changed; None if that changes nothing or is impossible for this recipe."""
    if recipe.mask.kind == "none" and all(key.startswith("mask.") for key in changes):
        return None  # there is no generator to change
    if recipe.regions is None and "regions" in changes:
        return None  # their replacement is on already
    if recipe.occlusion is None and "losses.ignore_donors" in changes:
        return None  # no identity is pasted into any crop
    if (recipe.occlusion is None or recipe.occlusion.pasted == 0) and "occlusion.batch_donors" in changes:
        return None  # nothing is pasted
    if recipe.mask.pair_weight == 0 and changes.get("mask.pair_weight") == 0:
        return None  # pairs do not supervise it anyway
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
    except RecipeError:  # no source of occlusion left: "all occlusion" covers this part
        return None


def _slug(part: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in part.split(" (", maxsplit=1)[0].lower())
