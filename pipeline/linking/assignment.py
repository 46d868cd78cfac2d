"""Which tracklets, over all cameras, are the same person: masked similarity and optimal assignment."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...reid import Appearance, concatenate, masked_similarity, shared_mask_share
from ..config.schema import LinkingConfig
from ..types import Link, Tracklet
from .constraints import walkable

Matrix = NDArray[np.float32]

FORBIDDEN = np.float32(-1e3)  # finite, so that it can be added and assigned; no similarity comes near it
SWEEPS = 8  # re-assignments settle after two or three; the bound only guards against a cycle
VIEWS = 3  # an identity is as alike as its most alike tracklets: it has been seen from many sides


def link_tracklets(
    tracklets: Sequence[Tracklet],
    config: LinkingConfig,
    on_floor: Container[str] = (),
) -> list[Link]:
    """Give every tracklet that can be told apart an identity, and say why.

    People seen at one time in one camera are different people, so they are assigned together: each such round is
    one optimal assignment (Kuhn, 1955) of its tracklets to the identities known so far, or to new ones. Then every
    round is taken out and assigned again, now knowing what came later, until nothing changes.

    Args:
        tracklets: of all cameras; those without an appearance row or with too few observations get no identity.
        config: the `linking` part of a config.
        on_floor: names of the cameras whose paths are in metres on the common floor.

    Returns:
        One link per identified tracklet, identities numbered from 1 by first appearance.
    """
    chosen = [t for t in tracklets if len(t.appearance) and t.observations >= config.min_observations]
    chosen.sort(key=lambda t: (t.first_seconds, t.camera, t.track_id))
    if not chosen:
        return []
    looks = concatenate([t.appearance for t in chosen])  # (T, D)
    similarity = masked_similarity(looks, looks, config.mode)  # (T, T)
    similarity[~_possible(chosen, config, on_floor)] = FORBIDDEN
    labels = _assign(chosen, similarity, config.similarity)
    return _explain(chosen, looks, similarity, labels)


def _possible(tracklets: Sequence[Tracklet], config: LinkingConfig, on_floor: Container[str]) -> NDArray[np.bool_]:
    """bool (T, T): may these two be one person, going by time and place alone?"""
    first = np.array([t.first_seconds for t in tracklets])
    last = np.array([t.last_seconds for t in tracklets])
    names = {name: number for number, name in enumerate(sorted({t.camera for t in tracklets}))}
    camera = np.array([names[t.camera] for t in tracklets])
    gap = np.maximum(first[:, None] - last[None], first[None] - last[:, None])  # (T, T), negative where they overlap
    possible = (gap <= config.max_gap_seconds) & ~((camera[:, None] == camera) & (gap <= 0))
    placed = [number for number, t in enumerate(tracklets) if t.camera in on_floor]
    for one, other in combinations(placed, 2):
        if possible[one, other]:
            may_walk = walkable(tracklets[one], tracklets[other], config.max_speed)
            possible[one, other] = possible[other, one] = may_walk
    return np.asarray(possible, np.bool_)


def _rounds(tracklets: Sequence[Tracklet]) -> list[NDArray[np.int64]]:
    """Groups of tracklets that were all in one camera at one time, in time order; every tracklet in one group."""
    rounds: list[list[int]] = []
    current: dict[str, list[int]] = {}
    for row, tracklet in enumerate(tracklets):
        group = current.get(tracklet.camera)
        if group is None or min(tracklets[other].last_seconds for other in group) < tracklet.first_seconds:
            group = current[tracklet.camera] = []
            rounds.append(group)
        group.append(row)
    return [np.array(group) for group in rounds]


def _assign(tracklets: Sequence[Tracklet], similarity: Matrix, least: float) -> NDArray[np.int64]:
    """Identity numbers, int64 (T,), not yet in any order."""
    labels = np.full(len(tracklets), -1, np.int64)
    rounds = _rounds(tracklets)
    for _ in range(SWEEPS):
        before = labels.copy()
        for rows in rounds:
            labels[rows] = -1
            labels[rows] = _assign_round(similarity[rows], labels, least)
        _merge(similarity, labels, least)
        if _same_partition(before, labels):
            break
    return labels


def _assign_round(similarity: Matrix, labels: NDArray[np.int64], least: float) -> NDArray[np.int64]:
    """One optimal assignment of N tracklets, similarity (N, T), to the identities in labels (T,) or to new ones."""
    people = len(similarity)
    known = np.unique(labels[labels >= 0])  # (K,)
    alike = [_to_identity(similarity[:, labels == identity]) for identity in known]
    # The last N columns are new identities: worth nothing, but better than somebody not alike enough.
    gain = np.column_stack([*(column - least for column in alike), np.zeros((people, people))])  # (N, K + N)
    _, columns = linear_sum_assignment(gain, maximize=True)
    fresh = labels.max(initial=-1) + 1 + np.arange(people)
    return np.asarray(np.concatenate([known, fresh])[columns], np.int64)


def _to_identity(similarity: Matrix) -> NDArray[np.float32]:
    """How alike N tracklets are to one identity's M tracklets, (N, M) → (N,); forbidden if any one is forbidden."""
    best = np.sort(similarity, axis=1)[:, -VIEWS:].mean(1)  # (N,)
    return np.where((similarity <= FORBIDDEN).any(1), FORBIDDEN, best)


def _merge(similarity: Matrix, labels: NDArray[np.int64], least: float) -> None:
    """Join identities that turned out to be one person, most alike first; changes labels (T,) in place."""
    known = np.unique(labels)  # (K,)
    alike = np.column_stack([_to_identity(similarity[:, labels == identity]) for identity in known])  # (T, K)
    while True:
        belongs = labels == known[:, None]  # (K, T)
        mutual = belongs @ alike / belongs.sum(1, keepdims=True)  # (K, K)
        mutual = np.minimum(mutual, mutual.T)
        np.fill_diagonal(mutual, FORBIDDEN)
        one, other = np.unravel_index(int(mutual.argmax()), mutual.shape)
        if mutual[one, other] <= least:
            return
        labels[belongs[other]] = known[one]
        alike[:, one] = _to_identity(similarity[:, labels == known[one]])
        alike, known = np.delete(alike, other, axis=1), np.delete(known, other)


def _same_partition(before: NDArray[np.int64], after: NDArray[np.int64]) -> bool:
    return bool(((before[:, None] == before) == (after[:, None] == after)).all())


def _explain(
    tracklets: Sequence[Tracklet], looks: Appearance, similarity: Matrix, labels: NDArray[np.int64]
) -> list[Link]:
    """Number identities by first appearance, and state each link's evidence."""
    shared = shared_mask_share(looks, looks)  # (T, T)
    numbers: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    links = []
    for row, (tracklet, label) in enumerate(zip(tracklets, labels.tolist(), strict=True)):
        identity = numbers.setdefault(label, len(numbers) + 1)
        earlier = members.setdefault(label, [])
        everybody = np.flatnonzero((labels == label) & (np.arange(len(labels)) != row))
        link = Link(tracklet.camera, tracklet.track_id, identity, None, None, None)
        if earlier:
            best = everybody[similarity[row, everybody].argmax()]
            gap = tracklet.first_seconds - max(tracklets[other].last_seconds for other in earlier)
            alike = float(_to_identity(similarity[row : row + 1, everybody])[0])
            link = replace(link, similarity=alike, shared_mask=float(shared[row, best]), gap_seconds=gap)
        links.append(link)
        earlier.append(row)
    return links
