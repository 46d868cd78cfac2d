"""Leave one domain out: train on all domains but one, test on that one, and average the weights of all runs.

A domain is a training folder: its cameras and its people.  What is chosen by these scores is chosen on cameras that
the network never saw.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from ...backbones.registry import create_backbone
from ...backbones.weights import read_state
from ...data.dataset import CropSet, read_crop_set, read_split
from ...disk.files import failing_as, write_text
from ...disk.guard import Guard, begins_with
from ...errors import DatasetError, RecipeError
from ...evaluation.baselines import Baseline
from ...evaluation.mask_metrics import compare_metrics
from ...evaluation.metrics import ranking_scores
from ...model.network import ReidModel, read_model
from ...recipe.loader import read_recipe
from ...recipe.schema import LeaveOneOutSection, Recipe
from ..checkpoint import is_own_checkpoint, save
from ..feature_memory import FeatureMemory
from ..fit_discriminant import fit_to_recipe
from ..held_out import embed_images
from ..train import Listener
from .runs import train_unless_finished

AVERAGE_FILE, JSON_FILE, TABLE_FILE = "average.pt", "leave_one_out.json", "leave_one_out.md"
HEADING = "mAP in %; of ours by masked similarity"
CLEAN = "clean"


class Row(TypedDict):
    """One line of the table.

    Attributes:
        data: name of the data set.
        left_out: whether the model was trained on the other domains; otherwise no run is trained on this data set.
        network: a baseline's name, or None for ours.
        start_share: share of the start's weights; None for a baseline.
        scores: mAP in percent, by set of queries; the clean one first.
    """

    data: str
    left_out: bool
    network: str | None
    start_share: float | None
    scores: dict[str, float]


@dataclass(frozen=True, eq=False)
class _TestData:
    """A data set in memory: sets of queries by name, the clean one first, and their gallery."""

    name: str
    queries: Mapping[str, CropSet]
    gallery: CropSet


def run_leave_one_out(
    recipe_path: Path,
    out: Path,
    listeners: Sequence[Listener] = (),
    report: Callable[[str], None] = lambda line: None,
    force: bool = False,
) -> list[Row]:
    """Train once without each domain, choose the start's share by the tests, and average the runs.

    Writes out/average.pt (the averaged model, for `export.export`), and after every test out/leave_one_out.json and
    .md.  The same command resumes an interrupted study: finished runs are not repeated.

    Args:
        recipe_path: a recipe with a section `leave_one_out`.
        out: output folder, with one folder per run.
        listeners: called at every epoch and step of every run.
        report: called with a line whenever a run or a test begins.
        force: replace files in `out` that are not of an earlier study, too.

    Returns:
        The table.

    Raises:
        RecipeError: the recipe is invalid, or has no section `leave_one_out`.
        DatasetError, WeightsError, TrainingError: as `train.train`.
    """
    recipe = read_recipe(recipe_path)
    section = recipe.leave_one_out
    if section is None:
        raise RecipeError(f"{recipe_path}: leave_one_out: is missing: it says what to test on")
    guard = _guarded(recipe_path, recipe, out, force)
    baselines = [Baseline(path) for path in section.baselines]
    runs: list[ReidModel] = []
    memory = FeatureMemory()
    rows: list[Row] = []
    for number, folder in enumerate(section.tests):
        name = recipe.train[number].name
        report(f"training without {name}")
        run = out / f"{number + 1}-without-{name}"
        kept = leave_out(recipe, number)
        runs.append(read_model(train_unless_finished(kept, run, listeners, guard, force, memory)))
        report(f"testing on {folder.name}")
        data = _read(folder, section)
        rows += [_baseline_row(baseline, data, True) for baseline in baselines]
        rows += [_row(average(runs[-1:], kept, share), data, True, share) for share in section.start_shares]
        _write(out, rows)
    share = best_share(rows)
    model = average(runs, recipe, share)
    save({**read_state(run / "best.pt"), "model": model.state_dict()}, out / AVERAGE_FILE)
    for folder in section.unseen:
        report(f"testing on {folder.name}")
        data = _read(folder, section)
        rows += [_baseline_row(baseline, data, False) for baseline in baselines]
        rows.append(_row(model, data, False, share))
        _write(out, rows)
    return rows


def leave_out(recipe: Recipe, number: int) -> Recipe:
    """The recipe without its training folder `number`, whose identities in a batch the others share.

    `distillation.start_share` becomes 0: the start's weights are mixed in when the share has been chosen.
    """
    train = recipe.train[:number] + recipe.train[number + 1 :]
    sampling, distillation = recipe.sampling, recipe.distillation
    if sampling.per_folder is not None:
        labelled = len(recipe.train)
        people = np.array(sampling.per_folder[:labelled])
        shares = np.delete(people, number) * people.sum() / max(people.sum() - people[number], 1)
        ends = np.rint(np.cumsum(shares)).astype(int)  # rounded sums keep the total
        per_folder = (*np.diff(ends, prepend=0).tolist(), *sampling.per_folder[labelled:])
        sampling = sampling.model_copy(update={"per_folder": per_folder})
    if distillation is not None:
        distillation = distillation.model_copy(update={"start_share": 0.0})
    changes = {"train": train, "sampling": sampling, "distillation": distillation, "leave_one_out": None}
    return recipe.model_copy(update=changes)


def average(models: Sequence[ReidModel], recipe: Recipe, start_share: float) -> ReidModel:
    """Average the weights of models that started from the same ones, then mix in the start's backbone.

    Source: Wortsman et al., "Model soups" (ICML 2022) and "Robust fine-tuning of zero-shot models" (CVPR 2022).

    Args:
        models: of one architecture.
        recipe: that they were trained by; `backbone.pretrained` is the start, and its section `discriminant`, if it has
            one, says how the map is fitted to the averaged model.  The maps of students that have a teacher lead into
            its space, and are averaged like all else.
        start_share: share of the start's weights in the backbone, in [0, 1).

    Returns:
        A new model in evaluation mode.
    """
    model = copy.deepcopy(models[0])
    states = [one.state_dict() for one in models]
    with torch.no_grad():
        for name, value in model.state_dict().items():  # shares memory with the model
            if value.is_floating_point():  # counters stay as they are
                value.copy_(torch.stack([state[name] for state in states]).mean(0))
        if start_share:
            backbone = recipe.backbone
            start = create_backbone(
                backbone.name, width=backbone.width, pretrained=backbone.pretrained, height_px=backbone.height_px
            )
            for parameter, first in zip(model.backbone.parameters(), start.parameters(), strict=True):
                parameter.lerp_(first, start_share)
    if recipe.discriminant is not None and not (recipe.distillation and recipe.distillation.has_teacher):
        fit_to_recipe(model, recipe)
    return model.eval()


def best_share(rows: Sequence[Row]) -> float:
    """The start's share with the highest mAP on the left-out domains; all domains and sets of queries count equally."""
    scores: dict[float, list[float]] = {}
    for row in rows:
        if row["left_out"] and row["start_share"] is not None:
            scores.setdefault(row["start_share"], []).append(float(np.mean(list(row["scores"].values()))))
    return max(scores, key=lambda share: float(np.mean(scores[share])))


def table(rows: Sequence[Row]) -> str:
    """Markdown of the rows; `mean` is over all sets of occluded queries."""
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    lines = [
        f"{HEADING}. A domain in the first column is left out of training, or none of the runs has it.",
        "",
        f"| tested on | network | {' | '.join([*names, 'mean'])} |",
        f"|---|---|{'---:|' * (len(names) + 1)}",
    ]
    for row in rows:
        scores = row["scores"]
        occluded = [score for name, score in scores.items() if name != CLEAN]
        cells = [f"{scores[name]:.1f}" if name in scores else "" for name in names]
        cells.append(f"{np.mean(occluded):.1f}" if occluded else "")
        ours = "ours without it" if row["left_out"] else "ours, average of the runs"
        network = row["network"] or f"{ours}, {100 * (row['start_share'] or 0):.0f} % of the start"
        lines.append(f"| {row['data']} | {network} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _guarded(recipe_path: Path, recipe: Recipe, out: Path, force: bool) -> Guard:
    guard = Guard([recipe_path, *recipe.inputs()], force=force)
    guard.check(out / JSON_FILE, lambda path: begins_with(path, '[\n  {\n    "data": '))
    guard.check(out / TABLE_FILE, lambda path: begins_with(path, HEADING))
    guard.check(out / AVERAGE_FILE, is_own_checkpoint)
    return guard


def _read(folder: Path, section: LeaveOneOutSection) -> _TestData:
    queries = {CLEAN: read_split(folder, "query")}
    if section.occluded is not None:
        with failing_as(DatasetError, section.occluded):
            sets = sorted(section.occluded.glob(f"{folder.name}/*/query"))
        queries |= {one.parent.name: read_crop_set(one) for one in sets}
    return _TestData(folder.name, queries, read_split(folder, "gallery"))


def _row(model: ReidModel, data: _TestData, left_out: bool, share: float) -> Row:
    gallery = embed_images(model, data.gallery.images)
    scores = {}
    for name, query in data.queries.items():
        found = compare_metrics(embed_images(model, query.images), query, gallery, data.gallery)
        scores[name] = 100 * found["masked"].mean_average_precision
    return Row(data=data.name, left_out=left_out, network=None, start_share=share, scores=scores)


def _baseline_row(baseline: Baseline, data: _TestData, left_out: bool) -> Row:
    gallery = baseline.embed(data.gallery.images)
    scores = {}
    for name, query in data.queries.items():
        similarity = baseline.embed(query.images) @ gallery.T
        labels = query.pids, query.camids, data.gallery.pids, data.gallery.camids
        scores[name] = 100 * ranking_scores(similarity, *labels).mean_average_precision
    return Row(data=data.name, left_out=left_out, network=baseline.name, start_share=None, scores=scores)


def _write(out: Path, rows: Sequence[Row]) -> None:
    write_text(out / JSON_FILE, json.dumps(rows, indent=2) + "\n")
    write_text(out / TABLE_FILE, table(rows))
