"""Link a stored run again over a grid of settings, and score each against ground truth."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ...config.linking import LinkingConfig
from ...errors import ConfigError
from ...linking.linker import link_tracklets
from ...relinking.relink import run_linking, validated_linking
from ...storage.runs import find_run
from ...storage.store import Store
from ...storage.tracklets import stored_tracklets
from ...types import TrackKey, Tracklet
from ..decomposition import decompose, link_score
from ..metrics import hota_score, identity_score
from ..scene import Ints, Scene, join, newest_track_only, once_a_frame
from ..tracking import MIN_VISIBLE, run_scenes
from .baseline import clusterings

Value = float | str
Setting = dict[str, Value]  # keys of the `linking` section

DEFAULT_GRID: Mapping[str, Sequence[Value]] = {
    "false_link_rate": [0.01, 0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98, 0.99]}
MAX_SETTINGS = 2000  # a larger grid is more likely a typing error than a wish


CSV_SCORES = ("identities", "idf1", "idp", "idr", "assa", "false", "missed", "purity", "completeness")


@dataclass(frozen=True, slots=True)
class Point:
    """One setting and its scores over all cameras, in [0, 1]; None where the denominator is 0.

    Attributes:
        setting: the swept keys.
        identities: number of identities among the scored boxes.
        idf1, idp, idr, assa: as `cross_` of an Evaluation.
        false, missed, purity, completeness: as in LinkScore.
    """

    setting: Setting
    identities: int
    idf1: float | None
    idp: float | None
    idr: float | None
    assa: float | None
    false: int
    missed: int
    purity: float | None
    completeness: float | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """The scores over a grid.

    Attributes:
        run: its number.
        people: counted identities of the ground truth over all cameras.
        detection_idf1, tracklets_idf1: ceilings of any linking: with perfect identities on the run's boxes, and on its
            tracklets.
        current: the run's own setting, linked again, whether it is on the grid or not.
        best: the point with the highest IDF1; of equal ones, the current one, or else the one in the middle.
        points: all settings of the grid, the last key varying fastest.
        baseline: the plain recipe with the threshold that is best for this ground truth; None without two tracklets.
        seconds: wall-clock time of linking and scoring all settings.
    """

    run: int
    people: int
    detection_idf1: float | None
    tracklets_idf1: float | None
    current: Point
    best: Point
    points: list[Point]
    baseline: Point | None
    seconds: float


def sweep_run(
    store: Store,
    truth: Path,
    grid: Mapping[str, Sequence[Value]],
    run: int | None = None,
    min_visible: float = MIN_VISIBLE,
    labelled_only: bool = False,
) -> Sweep:
    """Link a run's tracklets with every setting of a grid.

    Args:
        grid: values per key of the `linking` section; all combinations are scored. Empty: the default grid.
        truth, run, min_visible, labelled_only: as for evaluate_run.

    Raises:
        StoreError: there is no such run.
        ConfigError: a key or value is not valid, the grid is too large, or the ground truth cannot be read.
    """
    grid = grid or DEFAULT_GRID
    number = find_run(store, run).run
    own = run_linking(store, number)
    settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if len(settings) > MAX_SETTINGS:
        raise ConfigError(f"the grid has {len(settings)} settings: expected at most {MAX_SETTINGS}: use larger steps")
    configs = [validated_linking({**own.model_dump(), **setting}, "the grid") for setting in settings]
    scenes = run_scenes(store, truth, number, min_visible, labelled_only)
    scene, tracklets = join(list(scenes.cameras.values())), stored_tracklets(store, number)
    shown = scene.matched_people()
    began = time.perf_counter()
    points = [_point(scene, shown, tracklets, config, setting)
              for config, setting in zip(configs, settings, strict=True)]
    seconds = time.perf_counter() - began
    current = _point(scene, shown, tracklets, own, {key: getattr(own, key) for key in grid})
    detection, perfect, _ = decompose(scene, shown)
    return Sweep(
        number, len(scenes.numbers), detection.idf1, perfect.idf1, current, _best(points, current), points,
        _baseline(scene, shown, tracklets), seconds)


def parse_values(key: str, text: str) -> list[Value]:
    """Values as `0.3:0.6:0.02` (first, last and step, with both ends) or `joint,plain`.

    Raises:
        ConfigError: a range is not valid.
    """
    if ":" not in text:
        return [part.strip() for part in text.split(",")]
    try:
        first, last, step = (float(part) for part in text.split(":"))
        count = int(np.floor((last - first) / step + 1e-6)) + 1
        if step <= 0 or not 0 < count <= MAX_SETTINGS:
            raise ValueError
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        expected = (f"expected first:last:step with a step above 0 and at most {MAX_SETTINGS} values, such as "
                    "0.1:0.9:0.1, or values separated by commas")
        raise ConfigError(f'{key}: {expected}, got "{text}"') from error
    return [round(first + step * number, 10) for number in range(count)]


def _point(
    scene: Scene, shown: Ints, tracklets: Sequence[Tracklet], config: LinkingConfig, setting: Setting
) -> Point:
    identity = {(link.camera, link.track_id): link.identity for link in link_tracklets(tracklets, config)}
    return _scored(scene, shown, identity, {key: getattr(config, key) for key in setting})  # numbers instead of text


def _scored(scene: Scene, shown: Ints, identity: Mapping[TrackKey, int], setting: Setting) -> Point:
    ids = newest_track_only(scene, np.array([identity.get(key, 0) for key in scene.track_keys], np.int64)[scene.tracks])
    distinct = once_a_frame(scene, ids)
    score, links = identity_score(scene, distinct), link_score(scene, shown, ids)
    return Point(
        setting, len(np.unique(ids[ids != 0])), score.idf1, score.idp, score.idr, hota_score(scene, distinct).assa,
        links.false, links.missed, links.purity, links.completeness)


def _baseline(scene: Scene, shown: Ints, tracklets: Sequence[Tracklet]) -> Point | None:
    """The plain recipe with the threshold that suits this ground truth best."""
    points = [_scored(scene, shown, identity, {"similarity": similarity})
              for similarity, identity in clusterings(tracklets)]
    return max(points, key=lambda point: point.idf1 or 0.0, default=None)


def _best(points: Sequence[Point], current: Point) -> Point:
    """The highest IDF1; of equal ones the current setting, or the middle of the plateau, which is the safest choice."""
    highest = max(point.idf1 or 0.0 for point in points)
    if (current.idf1 or 0.0) >= highest:
        return current
    plateau = [point for point in points if (point.idf1 or 0.0) >= highest]
    return plateau[len(plateau) // 2]


def is_sweep_csv(path: Path) -> bool:
    """Whether a file begins as `sweep_csv` writes it: any keys, then the scores."""
    with path.open(encoding="utf-8") as file:
        return file.readline(1000).endswith(f",{','.join(CSV_SCORES)}\n")


def sweep_csv(sweep: Sweep) -> str:
    """All points as CSV with a header."""
    keys = list(sweep.current.setting)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, *CSV_SCORES])
    for point in sweep.points:
        writer.writerow([*(point.setting[key] for key in keys), *(getattr(point, name) for name in CSV_SCORES)])
    return text.getvalue()
