"""What does a whole evaluation say?  One model, clean and occluded queries, baselines and speed, in one report."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..appearance import Appearance
from ..data.dataset import CropSet, read_crop_set, read_split
from ..embedder import SHIPPED_WEIGHTS, Embedder
from ..errors import DatasetError, WeightsError
from ..similarity import masked_similarity
from .baselines import BATCH_CROPS, Baseline
from .mask_metrics import MaskStatistics, compare_metrics, mask_statistics, occluded_queries
from .metrics import RankingScores, ranking_scores
from .ranked_page import draw_ranked_page
from .speed import Speed, measure_speeds

OURS, CLEAN, SYNTHETIC = "ours", "clean", "synthetic"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What to evaluate.

    Attributes:
        data: a published data set, or a folder with query and bounding_box_test.
        layout: one of `layouts.LAYOUTS`; told from the folder where None.
        weights: an exported model.
        occluded: folders with further queries against the same gallery, in query/ or directly, in Market-1501 naming.
        synthetic: also hide the clean queries by our own occlusion.
        baselines: networks of others.
        with_speed: also measure crops per second.
        with_page: also draw ranked examples.
    """

    data: Path
    layout: str | None = None
    weights: Path = SHIPPED_WEIGHTS
    occluded: Sequence[Path] = ()
    synthetic: bool = False
    baselines: Sequence[Path] = ()
    with_speed: bool = False
    with_page: bool = False


@dataclass(frozen=True)
class QueryReport:
    """One set of queries.

    Attributes:
        queries: the set's name.
        scores: of ours by the names of `compare_metrics`, and of each baseline by plain cosine under its name.
        mask: of the queries' masks.
    """

    queries: str
    scores: Mapping[str, RankingScores]
    mask: MaskStatistics


@dataclass(frozen=True)
class Report:
    """The whole evaluation; `page` is uint8 (H, W, 3) BGR, and only there where it was asked for."""

    data: str
    weights: str
    queries: list[QueryReport]
    gallery_mask: MaskStatistics
    speeds: list[Speed]
    page: NDArray[np.uint8] | None


def evaluate(task: Task) -> Report:
    """Do it all.

    Raises:
        DatasetError: crops are missing, unreadable or misnamed.
        WeightsError: the model or a baseline cannot be used.
    """
    embedder = Embedder(task.weights)
    baselines = [Baseline(path) for path in task.baselines]
    if len({baseline.name for baseline in baselines} - WAYS.keys()) < len(baselines):
        names = ", ".join(baseline.name for baseline in baselines)
        raise WeightsError(f"baselines: expected different names, got {names}")
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
        for baseline in baselines:
            scores[baseline.name] = ranking_scores(baseline.embed(query.images) @ gallery_of[baseline.name].T, *labels)
        reports.append(QueryReport(name, scores, mask_statistics(appearance.mask)))
    speeds, page = [], None
    if task.with_speed:
        crops = gallery.images[np.resize(np.arange(len(gallery)), BATCH_CROPS)]
        speeds = measure_speeds(OURS, embedder, baselines, list(crops))
    if task.with_page:
        name = next((one for one in sets if one != CLEAN), CLEAN)  # hidden people are what the mask is for
        page = _page(f"{task.data.name}, {name} queries", sets[name], appearances[name], gallery, gallery_appearance)
    statistics = mask_statistics(gallery_appearance.mask)
    return Report(str(task.data), str(task.weights), reports, statistics, speeds, page)


def _check_matches(data: Path, name: str, queries: int, counted: int) -> None:
    missing = queries - counted
    if counted == 0:
        raise DatasetError(f"{data}: none of the {queries} {name} queries has a match from another camera")
    if missing:
        logger.warning("%s: warning: %d of %d queries have no match from another camera", name, missing, queries)


def _query_sets(task: Task, gallery: CropSet) -> dict[str, CropSet]:
    sets = {CLEAN: read_split(task.data, "query", task.layout)}
    for folder in task.occluded:
        if folder.name in sets:
            raise DatasetError(f"{folder}: there are queries of the name {folder.name} already; rename the folder")
        inner = folder / "query"
        sets[folder.name] = read_crop_set(inner if inner.is_dir() else folder)
    if task.synthetic:
        if SYNTHETIC in sets:
            raise DatasetError(f"{SYNTHETIC} is the name of our own occlusion; rename the folder of occluded queries")
        sets[SYNTHETIC] = occluded_queries(sets[CLEAN], gallery)
    return sets


def _page(
    title: str, query: CropSet, query_appearance: Appearance, gallery: CropSet, gallery_appearance: Appearance
) -> NDArray[np.uint8]:
    plain = masked_similarity(query_appearance, gallery_appearance, "plain")
    return draw_ranked_page(title, query, gallery, plain, masked_similarity(query_appearance, gallery_appearance))


def markdown_table(report: Report) -> str:
    """mAP in per cent: a row per way of comparing, a column per set of queries, their mean but for the clean ones.

    The last column, where speeds were measured, is crops per second relative to the first baseline.
    """
    hidden = [one for one in report.queries if one.queries != CLEAN]
    head = ["mAP", *(one.queries for one in report.queries)]
    head += [f"mean of {len(hidden)} occluded"] * bool(hidden)
    head += [f"crops/s of {one.name}" for one in (report.speeds[1:] or report.speeds)[:1]]
    ratios = {speed.name: f"{speed.ratio:.2f} ×" for speed in report.speeds}
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for way in report.queries[0].scores:
        name = f"{OURS}, {WAYS[way]}" if way in WAYS else way
        values = [100 * one.scores[way].mean_average_precision for one in report.queries]
        if hidden:
            values.append(100 * float(np.mean([one.scores[way].mean_average_precision for one in hidden])))
        cells = [name, *(f"{value:.1f}" for value in values)]
        lines.append(cells + [ratios.get(way, ratios.get(OURS, ""))] * bool(report.speeds))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


WAYS = {
    "plain": "plain",
    "masked": "masked",
    "query": "masked by the query alone",
    "permuted": "masks dealt out at random",
}
