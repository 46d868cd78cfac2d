"""Regenerate the marked tables of the documentation: `python -m docs.tables`, or `make tables`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->` in docs/*.md and the model cards.  Measured tables come
from docs/results/NAME.json: the command, the machine, and under `result` what the command prints with `--json` (fields
that no table shows may be missing).  Tables of config keys, recipe keys, command options and data sets come from the
code.  With `--check` nothing is written, and stale pages are an error.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reidpipe.pipeline.cli import main as cli
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.reid.data.layouts import PUBLISHED
from reidpipe.reid.recipe.schema import Recipe

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PAGES = (*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/weights/MODEL_CARD.md")))
MARKED = re.compile(r"^(<!-- table: (.+?) -->\n).*?^(<!-- end -->)", re.S | re.M)
ATTRIBUTE = re.compile(r"^    ([\w, ]+): (.+(?:\n {8}.+)*)", re.M)  # of a docstring's "Attributes:"
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
Rows = Iterator[Sequence[object]]  # the first is the heading


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
             "float": "whole pipeline with the float detector", "before": "whole pipeline, earlier code"}
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


def _config_keys() -> Rows:
    yield "key", "default", "meaning"
    for prefix, model in (("", Config), ("cameras.NAME.", CameraConfig)):
        for name, field in model.model_fields.items():
            for key, one in _flat(name, field) if name != "cameras" else [(name, field)]:
                yield f"`{prefix}{key}`", _default(one), _meaning(one.description or "", one)


def _flat(name: str, field: FieldInfo) -> Iterator[tuple[str, FieldInfo]]:
    """A key, or those of the section that it holds, with dots."""
    section = section_of(field)
    if section is None:
        yield name, field
        return
    for key, one in section.model_fields.items():
        yield from _flat(f"{name}.{key}", one)


def recipe_keys(place: str = "") -> Rows:
    """Every key of one section of a recipe, `place` such as occlusion.saliency; "" for those at the top."""
    model: type[BaseModel] = Recipe
    for part in filter(None, place.split(".")):
        model = section_of(model.model_fields[part]) or model
    text = inspect.cleandoc(model.__doc__ or "")
    meanings = {name: " ".join(one.split()) for names, one in ATTRIBUTE.findall(text) for name in names.split(", ")}
    rows = [
        (name, _default(field), _meaning(meanings.get(name) or field.description or text.splitlines()[0], field))
        for name, field in model.model_fields.items()
    ]
    yield "key", "default", "meaning"
    for meaning, group in groupby(rows, key=lambda row: row[2]):
        names, defaults, _ = zip(*group, strict=True)
        keys = ", ".join(f"`{place}{'.' if place else ''}{name}`" for name in names)
        yield keys, defaults[0] if len(set(defaults)) == 1 else ", ".join(defaults), meaning


def _options(path: str) -> Rows:
    command: click.Command = cli.main
    for name in path.split():
        assert isinstance(command, click.Group)
        command = command.commands[name]
    yield "option", "meaning"
    for option in (one for one in command.params if isinstance(one, click.Option) and not one.hidden):
        names, text = option.get_help_record(click.Context(command)) or ("", "")
        yield f"`{names}`".replace("|", "\\|"), text.replace("|", "\\|") or "–"


def _data_sets() -> Rows:
    yield "data set", "train", "query", "gallery"
    for name, splits in PUBLISHED.items():
        counts = [splits.get(split) for split in ("train", "query", "gallery")]
        yield name, *("–" if one is None else f"{one.identities:,} / {one.images:,}" for one in counts)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a key holds, also where it may be null."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((one for one in kinds if inspect.isclass(one) and issubclass(one, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return "–" if field.default is None else "a section"
    return f"`{field.default if isinstance(field.default, str) else json.dumps(field.default)}`"


def _meaning(text: str, field: FieldInfo) -> str:
    kinds = (field.annotation, *get_args(field.annotation))
    choices = [value for one in kinds if get_origin(one) is Literal for value in get_args(one)]
    missing = any(str(choice) not in text for choice in choices)
    text = text if text.endswith("...") else text.rstrip(".")
    return text + (f"; one of {', '.join(f'`{one}`' for one in choices)}" if missing else "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


MEASURED: dict[str, Callable[..., Rows]] = {
    "store": _store, "detector": _detector, "detector_agreement": _agreement,
    "appearance": _appearance, "appearance_store": _appearance, "unseen_cameras": _appearance,
    "market1501": _appearance,
    "held_out": _held_out, "bench": _bench, "quiet": _quiet, "search": _search, "ablation": _ablation,
}  # fmt: skip
FROM_CODE = {"config": _config_keys, "recipe": recipe_keys, "options": _options, "data_sets": _data_sets}


def table(name: str) -> str:
    """One table as Markdown, with the command and the machine below it if it was measured."""
    kind, _, argument = name.partition(" ")
    caption = ""
    if kind in FROM_CODE:
        rows = FROM_CODE[kind](*[argument] * bool(argument))  # type: ignore[operator]
    else:
        content = json.loads((RESULTS / f"{kind}.json").read_text(encoding="utf-8"))
        rows = MEASURED[kind](content["result"], *[argument] * bool(argument))
        note = f", {content['note']}" if "note" in content else ""
        caption = f"\n`{content['command']}`{note}. Machine: {content['machine']}.\n"
    heading, *others = ([str(cell) for cell in row] for row in rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in (heading, ["---"] * len(heading), *others)) + caption


def regenerated(page: Path) -> str:
    """A page with all of its tables made anew."""
    return MARKED.sub(lambda found: found[1] + table(found[2]) + found[3], page.read_text(encoding="utf-8"))


def rebuild() -> None:
    """Rewrite the pages, or with --check only compare them."""
    stale = [page for page in PAGES if regenerated(page) != page.read_text(encoding="utf-8")]
    for page in stale:
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv:
            page.write_text(regenerated(page), encoding="utf-8")
    sys.exit("stale: run make tables" if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    rebuild()
