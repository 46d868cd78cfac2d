"""Fit the probability of a link to runs with ground truth, and show how well it is calibrated on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....reid import concatenate, masked_similarity
from ...config.linking import CalibrationConfig, LinkingConfig
from ...errors import ConfigError
from ...linking.candidates import KnownIdentities
from ...linking.evidence.calibration import log_odds
from ...linking.evidence.constraints import gap_seconds
from ...linking.evidence.spans import spans_of
from ...linking.linker import can_be_linked, sure_seconds
from ...linking.recent import UNDECIDED, Recent
from ...relinking.relink import run_linking
from ...storage.queries import stored_appearances
from ...storage.runs import find_run
from ...storage.store import Store
from ...storage.tracklets import stored_tracklets
from ...types import TrackKey, Tracklet
from ..decomposition import main_people
from ..scene import join
from ..tracking import MIN_VISIBLE, run_scenes

SMALLEST = 1e-9
APART_SECONDS = 2.0  # crops of one moment are nearly one picture
BINS = 10  # of a reliability diagram
WEAKEST_PENALTY = 100.0  # C of the logistic regressions: a few hundred examples carry three weights


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pairs of a tracklet and an identity that it may be, when other tracklets are linked rightly.

    Attributes:
        similarity: float64 (N,), relative to the usual level of both sides.
        motion: float64 (N,), log-likelihood ratio of the floor positions.
        right: bool (N,), whether they are one person.
        tracklet: int64 (N,), number of the tracklet.
        earlier: bool (N,), whether only those that begin earlier count: a decision at once, before its revision.
    """

    similarity: NDArray[np.float64]
    motion: NDArray[np.float64]
    right: NDArray[np.bool_]
    tracklet: NDArray[np.int64]
    earlier: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Decisions:
        return Decisions(*(getattr(self, field.name)[rows] for field in fields(self)))

    def odds(self, calibration: CalibrationConfig) -> NDArray[np.float64]:
        """Log-odds by a calibration, float64 (N,)."""
        looks, places = calibration.similarity * self.similarity, calibration.motion * self.motion
        return calibration.bias + looks + places

    def likeliest(self, calibration: CalibrationConfig) -> Decisions:
        """Of each tracklet the earlier identity that it most probably is: what a linker decides about."""
        own = self[self.earlier]
        order = np.lexsort((-own.odds(calibration), own.tracklet))
        return own[order[np.diff(own.tracklet[order], prepend=-1) != 0]]


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often links are right, by their stated probability.

    Attributes:
        bins: number of decisions, mean stated probability and share that is right, of each tenth that is not empty.
        decisions: number of tracklets.
        brier: mean squared difference between the probability and 1 for right, 0 for wrong.
        error: expected calibration error: the mean difference between stated and true share, over the decisions.
        links: number of decisions above the operating point.
        stated, found: share of these that the probabilities say are false, and that are false; None without links.
    """

    bins: list[tuple[int, float, float]]
    decisions: int
    brier: float
    error: float
    links: int
    stated: float | None
    found: float | None


@dataclass(frozen=True, slots=True)
class Looks:
    """Similarities whose truth is known without ground truth.

    Attributes:
        one_person: float64 (N,), between crops of one tracklet that are at least `APART_SECONDS` apart.
        two_people: float64 (M,), between tracklets that one camera saw at the same time.
    """

    one_person: NDArray[np.float64]
    two_people: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Assessment:
    """How sure the links of a run are.

    Attributes:
        run: its number.
        false_link_rate: of its config.
        needed_similarity: that is enough for a link if places say nothing.
        looks: similarities whose truth is known without ground truth.
        missed_looks: share of `looks.one_person` below the needed similarity; None without any.
        false_looks: share of `looks.two_people` above it; None without any.
        odds, right: float64 (T,) and bool (T,), the decisions about T tracklets; empty without ground truth.
        reliability: of these; None without ground truth.
    """

    run: int
    false_link_rate: float
    needed_similarity: float
    looks: Looks
    missed_looks: float | None
    false_looks: float | None
    odds: NDArray[np.float64]
    right: NDArray[np.bool_]
    reliability: Reliability | None


def assess(store: Store, run: int | None, truth: Path | None) -> Assessment:
    """Measure how well a stored run's similarities separate people and, with ground truth, how well its links hold.

    Args:
        truth: folder of ground truth, as of `evaluate_run`; None for none.

    Raises:
        StoreError: there is no such run.
        ConfigError: the ground truth cannot be read, or matches too few tracklets.
    """
    number = find_run(store, run).run
    config, looks = run_linking(store, number), read_looks(store, number)
    rate, weights = config.false_link_rate, config.calibration
    needed = (log_odds(1 - rate) - weights.bias) / max(weights.similarity, SMALLEST)
    decisions = None if truth is None else read_decisions(store, number, truth)
    likeliest = None if decisions is None else decisions.likeliest(weights)
    return Assessment(
        number,
        rate,
        needed,
        looks,
        float((looks.one_person <= needed).mean()) if len(looks.one_person) else None,
        float((looks.two_people > needed).mean()) if len(looks.two_people) else None,
        np.zeros(0) if likeliest is None else likeliest.odds(weights),
        np.zeros(0, np.bool_) if likeliest is None else likeliest.right,
        None if decisions is None else reliability(decisions, weights, rate),
    )


def read_looks(store: Store, run: int) -> Looks:
    """Similarities of a run whose truth follows from time and place.

    Raises:
        StoreError: there is no such run.
    """
    mode = run_linking(store, run).mode
    rows = sorted(stored_appearances(store, run, "crop"), key=lambda one: (one.camera, one.track, one.seconds))
    one_person = [np.zeros(0)]
    for _, group in groupby(rows, key=lambda one: (one.camera, one.track)):
        crops = list(group)
        appearance = concatenate([one.appearance for one in crops])
        seconds = np.array([one.seconds for one in crops])
        apart = seconds - seconds[:, None] >= APART_SECONDS  # (T, T), each pair once
        one_person.append(masked_similarity(appearance, appearance, mode)[apart])
    tracklets = [one for one in stored_tracklets(store, run) if len(one.appearance)]
    if not tracklets:
        return Looks(np.concatenate(one_person), np.zeros(0))
    cameras = {name: number for number, name in enumerate(sorted({one.camera for one in tracklets}))}
    spans = spans_of(tracklets, cameras)
    at_once = (spans.camera[:, None] == spans.camera) & (gap_seconds(spans, spans) <= 0)
    appearance = concatenate([one.appearance for one in tracklets])
    two_people = masked_similarity(appearance, appearance, mode)[np.triu(at_once, 1)]
    return Looks(np.concatenate(one_person).astype(np.float64), two_people.astype(np.float64))


def read_decisions(store: Store, run: int | None, truth: Path) -> Decisions:
    """The decisions of a stored run.

    Args:
        truth: folder of ground truth, as of `evaluate_run`.

    Raises:
        StoreError: there is no such run.
        ConfigError: the ground truth cannot be read, or matches too few tracklets.
    """
    number = find_run(store, run).run
    config = run_linking(store, number)
    scene = join(list(run_scenes(store, truth, number, MIN_VISIBLE, False).cameras.values()))
    people = dict(zip(scene.track_keys, main_people(scene, scene.matched_people()).tolist(), strict=True))
    tracklets = [
        one for one in stored_tracklets(store, number)
        if can_be_linked(one, config) and people.get(one.key, -1) >= 0]
    if len(tracklets) < 2:
        raise ConfigError(f"{truth}: expected at least two tracklets that show people, got {len(tracklets)}")
    return decisions_of(tracklets, people, config)


def decisions_of(tracklets: Sequence[Tracklet], people: dict[TrackKey, int], config: LinkingConfig) -> Decisions:
    """The decisions about each tracklet, with those linked rightly that begin earlier, and with all others."""
    ordered = sorted(tracklets, key=lambda one: one.first_seconds)
    cameras = {name: number for number, name in enumerate(sorted({one.camera for one in ordered}))}
    person = np.unique([people[one.key] for one in ordered], return_inverse=True)[1].reshape(-1)
    known = KnownIdentities(config, ordered[0].appearance.dimensions)
    recent = Recent(config, known, list(cameras), ordered[0].appearance.dimensions)
    appearance = concatenate([one.appearance for one in ordered])
    undecided = np.full(len(ordered), UNDECIDED)
    recent.append(
        [one.key for one in ordered], spans_of(ordered, cameras), appearance,
        np.array([sure_seconds(one, config) for one in ordered]), undecided, undecided, np.full(len(ordered), np.nan))
    found = []
    for row in range(len(ordered)):
        for earlier in (True, False):
            counts = np.arange(len(ordered)) < (row if earlier else len(ordered))
            recent.identity[:] = np.where(counts, person, UNDECIDED)
            numbers, similarity, motion = recent.measure(np.array([row]), person[[row]])
            possible = np.isfinite(similarity[0])
            right = numbers[possible] == person[row]
            found.append(Decisions(
                similarity[0, possible], motion[0, possible], right, np.full(len(right), row),
                np.full(len(right), earlier)))
    return _stacked(found)


def fit(decisions: Sequence[Decisions]) -> CalibrationConfig:
    """Fit the weights by two logistic regressions: over all pairs, then over each tracklet's likeliest identity.

    The first learns what tells people apart, with earlier and later tracklets; the second how sure decisions are that
    know the earlier ones only (Platt, 1999).

    Args:
        decisions: of several runs, which count by their numbers.

    Raises:
        ConfigError: there are no pairs of one person, or none of two.
    """
    from sklearn.linear_model import LogisticRegression

    pairs = _joined(decisions)
    if pairs.right.all() or not pairs.right.any():
        raise ConfigError("expected tracklets of people who come back, and of several people")
    late = pairs[~pairs.earlier]
    measured = np.stack([late.similarity, late.motion], 1)  # (N, 2)
    looks, places = LogisticRegression(C=WEAKEST_PENALTY).fit(measured, late.right).coef_[0]
    usual = CalibrationConfig().level
    weights = CalibrationConfig(similarity=float(looks), motion=float(places), bias=0.0, level=usual)
    likeliest = pairs.likeliest(weights)
    scaled = LogisticRegression(C=WEAKEST_PENALTY).fit(likeliest.odds(weights)[:, None], likeliest.right)
    scale, bias = float(scaled.coef_[0, 0]), float(scaled.intercept_[0])
    return CalibrationConfig(
        similarity=scale * weights.similarity, motion=scale * weights.motion, bias=bias, level=usual)


def reliability(decisions: Decisions, calibration: CalibrationConfig, false_link_rate: float) -> Reliability:
    """Compare stated probabilities with what is right, over each tracklet's likeliest identity."""
    likeliest = decisions.likeliest(calibration)
    probability = 1 / (1 + np.exp(-likeliest.odds(calibration)))
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = [
        (int(own.sum()), float(probability[own].mean()), float(likeliest.right[own].mean()))
        for own in (place == number for number in range(BINS)) if own.any()]
    linked = probability > 1 - false_link_rate
    return Reliability(
        bins,
        len(likeliest),
        float(((probability - likeliest.right) ** 2).mean()),
        float(sum(count * abs(stated - right) for count, stated, right in bins) / max(len(likeliest), 1)),
        int(linked.sum()),
        float((1 - probability[linked]).mean()) if linked.any() else None,
        float((~likeliest.right[linked]).mean()) if linked.any() else None,
    )


def _joined(decisions: Sequence[Decisions]) -> Decisions:
    """All decisions, the tracklets of different runs apart."""
    offsets = np.cumsum([0, *(one.tracklet.max(initial=0) + 1 for one in decisions[:-1])]).tolist()
    return _stacked([
        replace(one, tracklet=one.tracklet + offset) for one, offset in zip(decisions, offsets, strict=True)])


def _stacked(parts: Sequence[Decisions]) -> Decisions:
    return Decisions(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Decisions)))
