"""Synthetic people who come, walk, are seen in pieces by several cameras, leave and come back; for linking benchmarks.

Appearances, their spread within a person, the lengths of tracklets and the pauses between them are those of a stored
run. A person's mean is drawn from a normal distribution around the mean of the run's people: a part of the variance has
their covariance, the rest all directions, because n people show n - 1 directions only; the parts are such that the
similarities of different people vary as much as in the run. Each tracklet's deviation is drawn from one with the
covariance of the run's deviations, and is as long as one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity
from ..errors import ConfigError
from ..evaluation.scene import join
from ..evaluation.tracking import MIN_VISIBLE, run_scenes
from ..storage.runs import find_run
from ..storage.store import Store
from ..storage.tracklets import stored_tracklets
from ..types import Tracklet

FLOOR_METRES = (24.0, 12.0)
CAMERA_RANGES = ((0.0, 6.5), (6.0, 13.5), (11.0, 18.0), (17.5, 24.0))  # metres of x; the second and third overlap most
STEP_SECONDS = 0.5
WALKING_SPEED = (0.4, 1.4)  # metres per second
POSITION_NOISE = 0.5  # metres
FEWEST_SECONDS = 1.0  # of a tracklet
LONGEST_PAUSE = 10.0  # seconds between two tracklets of a person in one camera; longer ones are absences
COMES_BACK = 0.4  # share of the people who come twice
ABSENCE_SECONDS = (120.0, 7200.0)  # log-uniform
PATH_ROWS = 8  # floor positions per tracklet
TRIAL_VISITS = 200  # to measure how many tracklets a minute gives
SHARES = np.linspace(0, 1, 21)
SHARE_PEOPLE = 500  # drawn to choose among them
LEAST_PEOPLE = 5  # of a run that shows how people differ


@dataclass(frozen=True, slots=True)
class Measured:
    """What a stored run shows of its people.

    Attributes:
        means: float32 (n, D), one row per person.
        deviations: float32 (m, D), of tracklets from their person's mean.
        masks: float32 (m, D), of the same tracklets.
        seconds: float64 (m,), their lengths.
        pauses: float64 (k,), seconds between tracklets of a person in one camera.
        spread: standard deviation of the similarities of different people's tracklets.
    """

    means: NDArray[np.float32]
    deviations: NDArray[np.float32]
    masks: NDArray[np.float32]
    seconds: NDArray[np.float64]
    pauses: NDArray[np.float64]
    spread: float


def measure_run(store: Store, truth: Path, run: int | None = None) -> Measured:
    """Measure how people look, vary and walk in a stored run with ground truth.

    Raises:
        ConfigError: the ground truth cannot be read, or too few people have several tracklets.
        StoreError: there is no such run.
    """
    number = find_run(store, run).run
    scene = join(list(run_scenes(store, truth, number, MIN_VISIBLE, labelled_only=False).cameras.values()))
    shown = scene.matched_people()
    boxes = np.zeros((len(scene.track_keys), max(shown.max(initial=0) + 1, 1)), np.int64)  # (tracks, people)
    np.add.at(boxes, (scene.tracks[shown >= 0], shown[shown >= 0]), 1)
    person_of = {key: int(row.argmax()) for key, row in zip(scene.track_keys, boxes, strict=True) if row.any()}
    tracklets = [one for one in stored_tracklets(store, number) if len(one.appearance) and one.key in person_of]
    person = np.array([person_of[one.key] for one in tracklets], np.int64)
    people, counts = np.unique(person, return_counts=True)
    if (counts > 1).sum() < LEAST_PEOPLE:
        raise ConfigError(
            f"run {number}: expected at least {LEAST_PEOPLE} people with several tracklets: use a longer run")
    appearance = concatenate([one.appearance for one in tracklets])  # (m, D)
    means = np.stack([appearance.embedding[person == one].mean(0) for one in people])
    place = np.searchsorted(people, person)
    several = counts[place] > 1
    # A mean over n tracklets is nearer to them than the person's true mean is.
    unbiased = np.sqrt(counts / np.maximum(counts - 1, 1)).astype(np.float32)
    deviations = (appearance.embedding - means[place])[several] * unbiased[place[several], None]
    seconds = np.array([one.last_seconds - one.first_seconds for one in tracklets])
    spread = float(masked_similarity(appearance, appearance)[person[:, None] != person].std())
    return Measured(
        means, deviations, appearance.mask[several], seconds[several], _pauses(tracklets, person), spread)


def _pauses(tracklets: list[Tracklet], person: NDArray[np.int64]) -> NDArray[np.float64]:
    by_place: dict[tuple[int, str], list[Tracklet]] = {}
    for one, who in zip(tracklets, person.tolist(), strict=True):
        by_place.setdefault((who, one.camera), []).append(one)
    gaps = [
        later.first_seconds - earlier.last_seconds
        for group in by_place.values()
        for earlier, later in pairwise(sorted(group, key=lambda one: one.first_seconds))]
    return np.array([gap for gap in gaps if 0 < gap < LONGEST_PAUSE] or [1.0])


class SyntheticDay:
    """T tracklets of synthetic people, in the order in which they end; the same seed gives the same ones.

    Attributes:
        person: int64 (T,), who it is; people who were away for longer than `max_gap_seconds` count as new ones.
        last: float64 (T,), seconds since the beginning, rising.
        share: of the variance between people that lies in the directions of the run's people.
    """

    cameras = tuple(f"camera{number}" for number in range(1, len(CAMERA_RANGES) + 1))

    def __init__(
        self, measured: Measured, tracklets: int, people: int, hours: float, max_gap_seconds: float, seed: int = 0
    ) -> None:
        self._measured, self._seed = measured, seed
        rng = np.random.default_rng(seed)
        self.share = self._fitting_share()
        self._looks = self._people(rng, people, self.share)  # (people, D)
        trial = [self._visit(rng, 0.0, 240.0) for _ in range(TRIAL_VISITS)]
        per_second = sum(map(len, trial)) / (TRIAL_VISITS * 240.0)
        visit_seconds = tracklets / people / (1 + COMES_BACK) / per_second
        rows: list[NDArray[np.float64]] = []
        who: list[NDArray[np.int64]] = []
        looks: list[NDArray[np.int64]] = []
        counted = 0
        for look in range(people):
            begin, ended = rng.uniform(0, hours * 3600 - 2 * visit_seconds), -np.inf
            for _ in range(1 + (rng.random() < COMES_BACK)):
                visit = self._visit(rng, begin, visit_seconds * rng.uniform(0.5, 1.5))
                visit = visit[visit[:, 2] < hours * 3600]
                if not len(visit):
                    continue
                counted += visit[:, 1].min() - ended > max_gap_seconds
                ended = visit[:, 2].max()
                rows.append(visit)
                who.append(np.full(len(visit), counted))
                looks.append(np.full(len(visit), look))
                begin = ended + np.exp(rng.uniform(*np.log(ABSENCE_SECONDS)))
        spans = np.concatenate(rows)
        order = np.argsort(spans[:, 2], kind="stable")
        self._spans = spans[order].astype(np.float64)  # (T, 3 + 3 PATH_ROWS): camera, first, last, path
        self._look = np.concatenate(looks)[order]
        self.person = np.concatenate(who)[order]
        self.last = self._spans[:, 2]

    def __len__(self) -> int:
        return len(self.person)

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        return int(self._measured.means.shape[1])

    def batches(self, batch_seconds: float) -> Iterator[list[Tracklet]]:
        """The tracklets, those that end within the same time together; appearances are drawn as they are needed."""
        ends = np.flatnonzero(np.diff(self.last // batch_seconds, append=-1)) + 1
        for start, end in pairwise([0, *ends.tolist()]):
            yield self.tracklets(np.arange(start, end))

    def tracklets(self, rows: NDArray[np.int64]) -> list[Tracklet]:
        """Some of the tracklets, int64 (N,)."""
        appearance = self._seen(np.random.default_rng([self._seed, int(rows[0])]), self._look[rows])
        found = []
        for place, row in enumerate(rows.tolist()):
            camera, first, last, *path = self._spans[row].tolist()
            found.append(Tracklet(
                self.cameras[int(camera)], row + 1, first, last, max(int((last - first) * 12), 1),
                appearance[[place]], floor_path=np.array(path, np.float32).reshape(PATH_ROWS, 3)))
        return found

    def more_people(self, count: int, seed: int) -> Appearance:
        """One tracklet each of other people, (count, D)."""
        rng = np.random.default_rng([self._seed, seed])
        return self._appearance(rng, self._people(rng, count, self.share))

    def _fitting_share(self) -> float:
        """Share of the variance between people in the run's directions that gives the run's spread of similarities."""
        spreads = []
        for share in SHARES:
            rng = np.random.default_rng(self._seed)
            seen = self._appearance(rng, self._people(rng, SHARE_PEOPLE, share))
            spreads.append(masked_similarity(seen, seen)[np.triu_indices(SHARE_PEOPLE, 1)].std())
        return float(SHARES[np.abs(np.array(spreads) - self._measured.spread).argmin()])

    def _people(self, rng: np.random.Generator, count: int, share: float) -> NDArray[np.float32]:
        """Means of other people, float32 (count, D)."""
        means = self._measured.means
        away = means - means.mean(0)
        weights = rng.standard_normal((count, len(means)), np.float32) / np.sqrt(len(means) - 1)
        variance = float((away**2).sum()) / (len(means) - 1)
        rest = rng.standard_normal((count, means.shape[1]), np.float32) * np.sqrt(variance / means.shape[1])
        return np.asarray(
            means.mean(0) + np.sqrt(share) * (weights @ away) + np.sqrt(1 - share) * rest, np.float32)

    def _seen(self, rng: np.random.Generator, look: NDArray[np.int64]) -> Appearance:
        return self._appearance(rng, self._looks[look])

    def _appearance(self, rng: np.random.Generator, means: NDArray[np.float32]) -> Appearance:
        """A view of N people, float32 (N, D)."""
        deviations = self._measured.deviations
        away = rng.standard_normal((len(means), len(deviations)), np.float32) @ deviations  # (N, D)
        model = rng.integers(0, len(deviations), len(means))
        length = np.linalg.norm(deviations[model], axis=1, keepdims=True)
        embedding = means + away * length / np.linalg.norm(away, axis=1, keepdims=True)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        return Appearance(embedding.astype(np.float32), self._measured.masks[model])

    def _visit(self, rng: np.random.Generator, begin: float, seconds: float) -> NDArray[np.float64]:
        """The n tracklets of one visit, (n, 3 + 3 PATH_ROWS)."""
        count = int(seconds / 4) + 2  # enough places to walk to
        places = rng.uniform((0, 0), FLOOR_METRES, (count, 2))
        metres = np.linalg.norm(np.diff(places, axis=0), axis=1)
        arrivals = np.concatenate([[0], np.cumsum(metres / rng.uniform(*WALKING_SPEED, count - 1))])
        moments = np.arange(0, seconds, STEP_SECONDS)
        xy = np.column_stack([np.interp(moments, arrivals, places[:, axis]) for axis in (0, 1)])
        rows = []
        for camera, (low, high) in enumerate(CAMERA_RANGES):
            inside = np.concatenate([[False], (xy[:, 0] >= low) & (xy[:, 0] <= high), [False]])
            for enters, leaves in np.flatnonzero(np.diff(inside)).reshape(-1, 2).tolist():
                rows += self._pieces(rng, camera, begin, moments[enters:leaves], xy[enters:leaves])
        return np.array(rows).reshape(len(rows), 3 + 3 * PATH_ROWS)

    def _pieces(
        self,
        rng: np.random.Generator,
        camera: int,
        begin: float,
        moments: NDArray[np.float64],
        xy: NDArray[np.float64],
    ) -> list[NDArray[np.float64]]:
        """The tracklets of one stay in view: as long and as far apart as those of the run."""
        pieces = []
        start = float(moments[0])
        while moments[-1] - start >= FEWEST_SECONDS:
            end = min(start + max(float(rng.choice(self._measured.seconds)), FEWEST_SECONDS), float(moments[-1]))
            times = np.linspace(start, end, PATH_ROWS)
            seen = np.column_stack([np.interp(times, moments, xy[:, axis]) for axis in (0, 1)])
            seen += POSITION_NOISE * rng.standard_normal(seen.shape)
            path = np.column_stack([times - start, seen]).ravel()
            pieces.append(np.concatenate([[camera, begin + start, begin + end], path]))
            start = end + float(rng.choice(self._measured.pauses))
        return pieces
