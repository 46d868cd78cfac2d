"""Evaluate a model on clean and occluded queries, beside baselines, with mask statistics and speed, in one report."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..appearance import Appearance
from ..data.dataset import CropSet, read_crop_set, read_split
from ..disk.files import failing_as
from ..embedder import CROPS_AT_ONCE, SHIPPED_WEIGHTS, Embedder
from ..engines.network_runner import Arithmetic
from ..errors import DatasetError, WeightsError
from ..similarity import masked_similarity
from .baselines import BATCH_CROPS, Baseline
from .mask_metrics import MaskStatistics, compare_metrics, mask_statistics, occluded_queries, with_oracle_mask
from .metrics import RankingScores, ranking_scores
from .ranked_page import draw_ranked_page
from .speed import Speed, measure_speeds

OURS, CLEAN, SYNTHETIC, ORACLE = "ours", "clean", "synthetic", "oracle"
SIMILARITIES = {  # of `compare_metrics`, and how tables name them
    "plain": "plain",
    "masked": "masked",
    "query": "query's mask alone",
    "permuted": "masks permuted",
    ORACLE: "masks of an oracle",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What to evaluate.

    Attributes:
        data: a published data set, or a folder with query and bounding_box_test.
        layout: one of `layouts.LAYOUTS`; recognised by the folder's content where None.
        weights: an exported model.
        arithmetic: how it is computed, as of `Embedder`.
        occluded: folders of occluded queries against the same gallery, with query/ or the crops themselves, in
            Market-1501 naming.
        synthetic: also occlude the clean queries with the synthetic occluders of training.
        with_oracle: also score the masks of an oracle that sees every occluded query unoccluded; needs sets of the
            clean queries in their order.
        baselines: networks to compare with, as `Baseline` loads them.
        with_speed: also measure crops per second.
        with_page: also draw a page of ranked examples.
    """

    data: Path
    layout: str | None = None
    weights: Path = SHIPPED_WEIGHTS
    arithmetic: Arithmetic = "auto"
    occluded: Sequence[Path] = ()
    synthetic: bool = False
    with_oracle: bool = False
    baselines: Sequence[Path] = ()
    with_speed: bool = False
    with_page: bool = False


@dataclass(frozen=True)
class QueryReport:
    """Results on one set of queries.

    Attributes:
        queries: the set's name.
        scores: our model's under the names of `compare_metrics` and "oracle", each baseline's (plain cosine) under its
            own.
        mask: statistics of the queries' masks.
    """

    queries: str
    scores: Mapping[str, RankingScores]
    mask: MaskStatistics


@dataclass(frozen=True)
class Report:
    """Results of an evaluation.

    Attributes:
        data: the data set's folder.
        weights: the model's file.
        queries: one report per set of queries, the clean one first.
        gallery_mask: statistics of the gallery's masks.
        speeds: our model's and the baselines' speeds; empty where they were not measured.
        page: ranked examples, uint8 (H, W, 3) BGR; None where they were not drawn.
    """

    data: str
    weights: str
    queries: list[QueryReport]
    gallery_mask: MaskStatistics
    speeds: list[Speed]
    page: NDArray[np.uint8] | None


def evaluate(task: Task) -> Report:
    """Evaluate a model.

    Raises:
        DatasetError: crops are missing, unreadable or misnamed.
        WeightsError: the model or a baseline cannot be used.
    """
    embedder = Embedder(task.weights, arithmetic=task.arithmetic, batch=CROPS_AT_ONCE)
    baselines = [Baseline(path) for path in task.baselines]
    if len({baseline.name for baseline in baselines} - SIMILARITIES.keys()) < len(baselines):
        names = ", ".join(baseline.name for baseline in baselines)
        raise WeightsError(f"baselines: expected distinct file names, got {names}")
    gallery = read_split(task.data, "gallery", task.layout)
    sets = _query_sets(task, gallery)
    logger.info("gallery: %d crops", len(gallery))
    gallery_appearance = embedder.embed(list(gallery.images))
    gallery_of = {baseline.name: baseline.embed(gallery.images) for baseline in baselines}
    reports, appearances = [], {}
    for name, query in sets.items():
        logger.info("%s: %d crops", name, len(query))
        appearance = appearances[name] = embedder.embed(list(query.images))
        scores = compare_metrics(appearance, query, gallery_appearance, gallery)
        _check_matches(task.data, name, len(query), scores["plain"].queries)
        labels = query.pids, query.camids, gallery.pids, gallery.camids
        if task.with_oracle:
            _check_same_crops(name, query, sets[CLEAN])
            oracle = with_oracle_mask(appearance, appearances[CLEAN])
            scores[ORACLE] = ranking_scores(masked_similarity(oracle, gallery_appearance), *labels)
        for baseline in baselines:
            scores[baseline.name] = ranking_scores(baseline.embed(query.images) @ gallery_of[baseline.name].T, *labels)
        reports.append(QueryReport(name, scores, mask_statistics(appearance.mask)))
    speeds, page = [], None
    if task.with_speed:
        crops = gallery.images[np.resize(np.arange(len(gallery)), BATCH_CROPS)]
        speeds = measure_speeds(OURS, embedder, baselines, list(crops))
    if task.with_page:
        name = next((one for one in sets if one != CLEAN), CLEAN)  # occlusion is what the mask is for
        page = _page(f"{task.data.name}, {name} queries", sets[name], appearances[name], gallery, gallery_appearance)
    statistics = mask_statistics(gallery_appearance.mask)
    return Report(str(task.data), str(task.weights), reports, statistics, speeds, page)


def _check_matches(data: Path, name: str, queries: int, counted: int) -> None:
    missing = queries - counted
    if counted == 0:
        raise DatasetError(f"{data}: none of the {queries} {name} queries has a match from another camera")
    if missing:
        logger.warning("%s: warning: %d of %d queries have no match from another camera", name, missing, queries)


def _check_same_crops(name: str, query: CropSet, clean: CropSet) -> None:
    same = np.array_equal(query.pids, clean.pids) and np.array_equal(query.camids, clean.camids)
    if not same:
        expected = f"the {len(clean)} clean queries, occluded, under the same file names"
        raise DatasetError(f"{name}: an oracle needs {expected}")


def _query_sets(task: Task, gallery: CropSet) -> dict[str, CropSet]:
    sets = {CLEAN: read_split(task.data, "query", task.layout)}
    for folder in task.occluded:
        if folder.name in sets:
            raise DatasetError(f"{folder}: another set of queries is named {folder.name} already; rename the folder")
        inner = folder / "query"
        with failing_as(DatasetError, folder):
            has_inner = inner.is_dir()
        sets[folder.name] = read_crop_set(inner if has_inner else folder)
    if task.synthetic:
        if SYNTHETIC in sets:
            raise DatasetError(f"{SYNTHETIC} is the name of the synthetically occluded queries; rename the folder")
        sets[SYNTHETIC] = occluded_queries(sets[CLEAN], gallery)
    return sets


def _page(
    title: str, query: CropSet, query_appearance: Appearance, gallery: CropSet, gallery_appearance: Appearance
) -> NDArray[np.uint8]:
    plain = masked_similarity(query_appearance, gallery_appearance, "plain")
    return draw_ranked_page(title, query, gallery, plain, masked_similarity(query_appearance, gallery_appearance))


def markdown_table(report: Report) -> str:
    """A Markdown table of mAP in percent: a row per similarity or baseline, a column per set of queries.

    A further column holds the mean over the occluded sets; the last one, where speeds were measured, holds crops per
    second relative to the first baseline.
    """
    occluded = [one for one in report.queries if one.queries != CLEAN]
    head = ["mAP", *(one.queries for one in report.queries)]
    head += [f"mean of {len(occluded)} occluded"] * bool(occluded)
    head += [f"crops/s of {one.name}" for one in (report.speeds[1:] or report.speeds)[:1]]
    ratios = {speed.name: f"{speed.ratio:.2f} ×" for speed in report.speeds}
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name in report.queries[0].scores:
        row = f"{OURS}, {SIMILARITIES[name]}" if name in SIMILARITIES else name
        values = [100 * one.scores[name].mean_average_precision for one in report.queries]
        if occluded:
            values.append(100 * float(np.mean([one.scores[name].mean_average_precision for one in occluded])))
        cells = [row, *(f"{value:.1f}" for value in values)]
        lines.append(cells + [ratios.get(name, ratios.get(OURS, ""))] * bool(report.speeds))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
