"""Benchmark the linker on a synthetic day: time per hour, memory, and accuracy at the beginning and at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ..config.linking import LinkingConfig
from ..linking.linker import BATCH_SECONDS, Linker, link_tracklets
from ..storage.store import Store
from ..types import Link, Tracklet
from .own_process import in_own_process
from .process_memory import peak_mib
from .synthetic_day import SyntheticDay, measure_run

HOUR_SECONDS = 3600.0
CROWD_BATCH = 2000  # identities that are prepared at once
CROWD_TRACKLETS = 1000  # of the day, linked beside the crowd


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Identities of some tracklets against the truth, in [0, 1].

    Attributes:
        what: which tracklets, linked how.
        tracklets, people, identities: how many.
        precision, recall: of pairs of tracklets with one identity, and of pairs of one person.
        idf1: of tracklets, by the best matching of identities and people (Ristani et al., 2016).
    """

    what: str
    tracklets: int
    people: int
    identities: int
    precision: float
    recall: float
    idf1: float


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the day: tracklets that ended in it, seconds spent on linking them, and what the linker then held."""

    hour: int
    tracklets: int
    wall_seconds: float
    cpu_seconds: float
    recent: int
    known: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """Time per tracklet while many identities can come back."""

    identities: int
    tracklets: int
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class LinkingBenchmark:
    """The results of one benchmark.

    Attributes:
        tracklets, people, hours: of the day; whoever was away for too long counts as another person.
        wall_seconds, cpu_seconds: of linking alone, the latter over all threads.
        peak_mib: peak resident memory of the process, with the synthetic day in it.
        hourly: one entry per hour.
        last_of_second: CPU seconds per tracklet of the last hour, relative to the second; None for a short day.
        accuracy: at the beginning, at the end, over all, and of the method that sees everything at once.
        crowd: None if it was not asked for.
    """

    tracklets: int
    people: int
    hours: float
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    hourly: list[Hour]
    last_of_second: float | None
    accuracy: list[Accuracy]
    crowd: Crowd | None


@dataclass(frozen=True, slots=True)
class Day:
    """What to benchmark; `part` tracklets are also linked by the global method, `crowd` identities held in all."""

    tracklets: int
    people: int
    hours: float
    part: int
    crowd: int
    seed: int


def benchmark_linking(database: str, truth: Path, run: int | None, config: LinkingConfig, day: Day) -> LinkingBenchmark:
    """Link a synthetic day whose people look and vary as those of a stored run.

    Raises:
        ConfigError: the ground truth cannot be read, or shows too few people.
        StoreError: there is no such run.
    """
    return in_own_process(_Measure(database, truth, run, config, day))


@dataclass(frozen=True, slots=True)
class _Measure:
    """The benchmark, for a process of its own."""

    database: str
    truth: Path
    run: int | None
    config: LinkingConfig
    day: Day

    def __call__(self) -> LinkingBenchmark:
        with Store.open(self.database) as store:
            measured = measure_run(store, self.truth, self.run)
        asked = self.day
        day = SyntheticDay(
            measured, asked.tracklets, asked.people, asked.hours, self.config.max_gap_seconds, asked.seed)
        linker = Linker(self.config, day.cameras, measured.means.shape[1])
        identity, hourly = _link_day(linker, day)
        peak = peak_mib()
        costs = [one.cpu_seconds / max(one.tracklets, 1) for one in hourly]
        accuracy = _accuracies(day, identity, self.config, asked)
        crowd = _crowd(day, self.config, asked.crowd) if asked.crowd else None
        return LinkingBenchmark(
            len(day), len(np.unique(day.person)), asked.hours, sum(one.wall_seconds for one in hourly),
            sum(one.cpu_seconds for one in hourly), peak, hourly,
            costs[-1] / costs[1] if len(costs) > 2 else None, accuracy, crowd)


def _link_day(linker: Linker, day: SyntheticDay) -> tuple[NDArray[np.int64], list[Hour]]:
    """Identities of all tracklets, int64 (T,), 0 for none; and the cost of every hour."""
    identity = np.zeros(len(day), np.int64)
    hours = int(np.ceil(day.last[-1] / HOUR_SECONDS))
    count, wall, cpu = np.zeros(hours, np.int64), np.zeros(hours), np.zeros(hours)
    held = np.zeros((hours, 2), np.int64)
    for batch in day.batches(BATCH_SECONDS):
        now = batch[-1].last_seconds
        hour = int(now // HOUR_SECONDS)
        began = time.perf_counter(), time.process_time()
        links = linker.add(batch, now)
        wall[hour] += time.perf_counter() - began[0]
        cpu[hour] += time.process_time() - began[1]
        count[hour] += len(batch)
        held[hour] = linker.held()
        for link in links:
            identity[link.track_id - 1] = link.identity
    for link in linker.finish():
        identity[link.track_id - 1] = link.identity
    return identity, [
        Hour(hour + 1, int(count[hour]), float(wall[hour]), float(cpu[hour]), int(held[hour, 0]), int(held[hour, 1]))
        for hour in range(hours)]


def _accuracies(
    day: SyntheticDay, identity: NDArray[np.int64], config: LinkingConfig, asked: Day
) -> list[Accuracy]:
    hour = day.last // HOUR_SECONDS
    found = [score("first hour", day.person[hour == 0], identity[hour == 0])]
    if hour[-1] > 0:
        full = (day.last > day.last[-1] - HOUR_SECONDS)
        found += [score("last hour", day.person[full], identity[full]), score("all", day.person, identity)]
    part = np.arange(min(asked.part, len(day)))
    if len(part):
        tracklets = day.tracklets(part)
        for what, method in (("part, linker", link_tracklets), ("part, all at once", link_at_once)):
            of_part = np.zeros(len(part), np.int64)
            for link in method(tracklets, config):
                of_part[link.track_id - 1] = link.identity
            found.append(score(what, day.person[part], of_part))
    return found


def link_at_once(tracklets: Sequence[Tracklet], config: LinkingConfig) -> list[Link]:
    """Link tracklets that are all there in one revision, as if the linker had seen the end at the beginning."""
    linker = Linker(config, sorted({one.camera for one in tracklets}), tracklets[0].appearance.dimensions)
    links = linker.add(tracklets, max(one.last_seconds for one in tracklets))
    latest = {(link.camera, link.track_id): link for link in [*links, *linker.finish()]}
    return list(latest.values())


def _crowd(day: SyntheticDay, config: LinkingConfig, identities: int) -> Crowd:
    """Link tracklets while `identities` more can come back: each was seen once, minutes before."""
    linker = Linker(config, day.cameras, day.dimensions)
    start = day.last[0] - config.max_gap_seconds / 2
    for first in range(0, identities, CROWD_BATCH):
        seen = day.more_people(min(CROWD_BATCH, identities - first), first + 1)
        linker.remember(seen, np.full(len(seen), start))
    count, began = 0, (0.0, 0.0)
    for number, batch in enumerate(day.batches(BATCH_SECONDS)):
        if number == 1:  # the first one builds the index
            began = time.perf_counter(), time.process_time()
            count = 0
        linker.add(batch, batch[-1].last_seconds)
        count += len(batch)
        if count >= CROWD_TRACKLETS:
            break
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    return Crowd(linker.held()[1], count, 1000 * wall / max(count, 1), 1000 * cpu / max(count, 1))


def score(what: str, person: NDArray[np.int64], identity: NDArray[np.int64]) -> Accuracy:
    """Compare identities with people, int64 (T,) each; tracklets with identity 0 have none."""
    named = identity > 0
    people, rows = np.unique(person, return_inverse=True)
    identities, columns = np.unique(identity[named], return_inverse=True)
    shared = csr_array(
        (np.ones(len(columns)), (rows[named], columns)), shape=(len(people), max(len(identities), 1)))
    shared.sum_duplicates()
    together = _pairs(shared.data)
    by_identity, by_person = _pairs(shared.sum(0)), _pairs(np.bincount(rows))
    return Accuracy(
        what, len(person), len(people), len(identities),
        together / by_identity if by_identity else 1.0, together / by_person if by_person else 1.0,
        float(2 * _matched(shared) / max(len(person) + int(named.sum()), 1)))


def _pairs(counts: NDArray[np.floating] | NDArray[np.integer]) -> float:
    return float((counts * (counts - 1.0) / 2).sum())


def _matched(shared: csr_array) -> float:
    """Tracklets on which people and identities agree by the best matching, one connected part after the other."""
    people, identities = shared.shape
    table = shared.tocoo()
    both = csr_array(
        (table.data, (table.row, table.col + people)), shape=(people + identities, people + identities))
    _, part = connected_components(both, directed=False)
    order = np.argsort(part[table.row], kind="stable")
    ends = np.flatnonzero(np.diff(part[table.row][order], append=-1)) + 1
    matched = 0.0
    for entries in np.split(order, ends[:-1]):
        rows, row = np.unique(table.row[entries], return_inverse=True)
        columns, column = np.unique(table.col[entries], return_inverse=True)
        dense = np.zeros((len(rows), len(columns)))
        dense[row, column] = table.data[entries]
        matched += dense[linear_sum_assignment(dense, maximize=True)].sum()
    return float(matched)
