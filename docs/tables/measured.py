"""Tables of measured results, from docs/results/NAME.json.

Such a file holds the command, the machine, and under `result` what the command prints with `--json` (fields that no
table shows may be missing).
"""

from collections.abc import Callable
from itertools import groupby
from statistics import median
from typing import Any

from . import Rows

WAYS = {
    "plain": "ours, plain",
    "masked": "ours, masked",
    "query": "ours, query's mask alone",
    "permuted": "ours, masks permuted",
    "person-reidentification-retail-0277": "OpenVINO 0277",
    "person-reidentification-retail-0286": "OpenVINO 0286",
    "osnet_x0_25_msmt17": "published OSNet x0.25",
}
QUERIES = {
    "object-light": "object 30 %",
    "object-heavy": "object 60 %",
    "cut-light": "cut 30 %",
    "cut-heavy": "cut 50 %",
}

Json = Any


def _store(result: Json, part: str = "cameras") -> Rows:
    if part == "stages":
        yield from _stages(result)
        return
    yield "camera", "people", "MOTA", "IDF1", "HOTA", "AssA", "switches", "fragments", "purity", "identity IDF1"
    for one in result["cameras"]:
        tracking = (_percent(one[name]) for name in ("mota", "tracking_idf1", "tracking_hota", "tracking_assa"))
        shares = (_percent(one[name]) for name in ("purity", "identity_idf1"))
        yield one["camera"], one["people"], *tracking, one["switches"], one["fragments"], *shares
    yield "**all cameras at once**", result["people"], *[""] * 7, f"**{_percent(result['cross_idf1'])}**"


def _stages(result: Json) -> Rows:
    meanings = ("detection: perfect identities on these boxes", "tracklets: perfect linking of these tracklets",
                "linking: as it is")
    yield "stage", "IDF1", "lost here", "IDP", "IDR", "AssA"
    for meaning, one in zip(meanings, result["decomposition"], strict=True):
        yield meaning, *(_percent(one[name]) for name in ("idf1", "lost", "idp", "idr", "assa"))


def _detector(result: Json) -> Rows:
    yield "camera", "people", "AP50", "recall at confidence 0.25"
    for one in result:
        yield one["camera"], one["people"], f"{one['average_precision']:.3f}", f"{one['recall']:.3f}"


def _agreement(result: Json) -> Rows:
    yield "footage", "original's boxes", "found", "false boxes", "original's false boxes"
    for one in result:
        counts = one["false_boxes"], one["reference_false_boxes"]
        yield one["camera"], one["reference_boxes"], f"{_percent(one['found'])} %", *counts


def _appearance(result: Json) -> Rows:
    names = [one["queries"] for one in result["queries"]]
    occluded = [name for name in names if name != "clean"]
    speeds = {one["name"]: f"{one['ratio']:.2f}×" for one in result["speeds"]}
    extra = [f"mean of {len(occluded)} occluded"] * bool(occluded) + ["crops/s"] * bool(speeds)
    yield "mAP", *(QUERIES.get(name, name.replace("-", ", ")) for name in names), *extra
    for way in result["queries"][0]["scores"]:
        scores = {one["queries"]: 100 * one["scores"][way]["mean_average_precision"] for one in result["queries"]}
        cells = [f"{score:.1f}" for score in scores.values()]
        if occluded:
            cells.append(f"{sum(scores[name] for name in occluded) / len(occluded):.1f}")
        yield WAYS.get(way, way), *cells, *[speeds.get(way, speeds.get("ours", ""))] * bool(speeds)


def _held_out(result: Json) -> Rows:
    ways = ("plain", "masked", "query", "permuted")
    yield "mAP", "queries", *(WAYS[way].removeprefix("ours, ") for way in ways)
    for folder, tables in result["held_out"].items():
        for queries, scores in tables.items():
            yield folder, queries, *(_percent(scores[way]["mean_average_precision"]) for way in ways)


def _bench(result: Json, part: str = "") -> Rows:
    if part:
        yield "cameras", "threads of each network", "frames/s, of the first row's", "peak memory, MiB"
        first = result["scaling"][0]["frames_per_second"]
        for one in result["scaling"]:
            yield one["cameras"], one["threads"], f"{one['frames_per_second'] / first:.2f}", f"{one['peak_mib']:.0f}"
        return
    names = {"pipeline": "whole pipeline", "bare": "bare loop: decode and detect, same threads and weights",
             "float": "whole pipeline with the float detector", "before": "whole pipeline, the commit compared with"}
    yield "", "of the bare loop's frames/s", "peak memory, MiB", "busy time"
    of_bare = result["ratios"]["bare"]
    for turns in zip(*result["rounds"], strict=True):
        what, shares = turns[0]["what"], turns[0]["stage_seconds"]
        busy = ", ".join(f"{name} {_percent(part / sum(shares.values()))} %" for name, part in shares.items()) or "–"
        name = names.get(what) or f"`ultralytics track` with {what.removeprefix('baseline ')}"
        memory = median(one["peak_mib"] for one in turns)
        yield name, f"{of_bare / result['ratios'].get(what, 1.0):.2f}", f"{memory:.0f}", busy


def _quiet(result: Json) -> Rows:
    yield "footage", "changed", "frames", "searched", "people seen", "recall", "IDF1, all searched", "IDF1", "agreement"
    for (footage, variation), group in groupby(result, key=lambda one: (one["footage"], one["variation"])):
        rows = list(group)
        frames, people = sum(one["frames"] for one in rows), sum(one["people"] for one in rows)
        searched, lost = sum(one["searched"] for one in rows), sum(one["lost"] for one in rows)
        columns = ("idf1_full", "idf1_quiet", "agreement")
        scores = [[one[key] for one in rows if one[key] is not None] for key in columns]
        means = [_percent(sum(column) / len(column)) if column else "–" for column in scores]
        share, recall = f"{_percent(searched / frames)} %", f"{100 - 100 * lost / people:.2f}"
        yield footage, variation.replace("plain", "–"), frames, share, people, recall, *means


def _search(result: Json) -> Rows:
    yield "rows", "exact", "fast", "recall@10 of fast"
    for one in result:
        times = f"{one['exact_of_flat']:.2f}", f"{one['fast_of_flat']:.2f}"
        yield f"{one['rows']:,}", *times, f"{one['recall_at_10']:.3f}"


def _ablation(result: Json) -> Rows:
    yield "off", "seeds", *result[0]["scores"]
    for one in result:
        yield one["part"].replace("everything", "(everything on)"), one["seeds"], *one["scores"].values()


def _study(result: Json) -> Rows:
    from reidpipe.reid.training.studies.ablation import cells  # imported late: it needs PyTorch

    yield from cells(result)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


MEASURED: dict[str, Callable[..., Rows]] = {
    "store": _store, "detector": _detector, "detector_agreement": _agreement,
    "appearance": _appearance, "appearance_store": _appearance, "unseen_cameras": _appearance,
    "market1501": _appearance,
    "held_out": _held_out, "bench": _bench, "quiet": _quiet, "search": _search, "ablation": _ablation,
    "mask_study": _study,
}  # fmt: skip
