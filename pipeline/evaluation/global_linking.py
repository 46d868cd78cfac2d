"""Link tracklets with all of them at hand, at a cost that grows with their number: a baseline for the linker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...reid import Appearance, concatenate, masked_similarity, shared_mask_share
from ..config.schema import LinkingConfig
from ..linking.constraints import compatible, gap_seconds
from ..linking.spans import spans_of
from ..types import Link, Tracklet

Matrix = NDArray[np.float32]

FORBIDDEN = np.float32(-1e3)  # of pairs that cannot be one person; finite, because the assignment adds it up
MAX_SWEEPS = 8  # assignments settle after two or three sweeps; the limit only guards against a cycle
NEAREST_VIEWS = 3  # an identity is seen from many sides: only its most similar tracklets count


def link_globally(tracklets: Sequence[Tracklet], config: LinkingConfig) -> list[Link]:
    """Assign every tracklet that can be recognised to an identity, and state the evidence.

    Tracklets that one camera sees at the same time are different people, so they form a round that is assigned at once:
    an optimal assignment (Kuhn, 1955) to the identities known so far, or to new ones. Rounds are then removed and
    assigned again, now with knowledge of what came later, until no assignment changes [ours].

    Args:
        tracklets: of all cameras; those without an appearance row or with too few observations get no identity.
        config: the `linking` section of a config.

    Returns:
        One link per tracklet with an identity; identities are numbered from 1 by first appearance.
    """
    chosen = [t for t in tracklets if len(t.appearance) and t.observations >= config.min_observations]
    chosen.sort(key=lambda t: (t.first_seconds, t.camera, t.track_id))
    if not chosen:
        return []
    appearance = concatenate([t.appearance for t in chosen])  # (T, D)
    similarity = masked_similarity(appearance, appearance, config.mode)  # (T, T)
    similarity[~_possible(chosen, config)] = FORBIDDEN
    labels = _assign(chosen, similarity, config.similarity)
    return _links(chosen, appearance, similarity, labels)


def _possible(tracklets: Sequence[Tracklet], config: LinkingConfig) -> NDArray[np.bool_]:
    """bool (T, T): whether time and place allow two tracklets to be one person."""
    spans = spans_of(tracklets, {name: number for number, name in enumerate(sorted({t.camera for t in tracklets}))})
    return compatible(spans, spans, config.max_speed) & (gap_seconds(spans, spans) <= config.max_gap_seconds)


def _rounds(tracklets: Sequence[Tracklet]) -> list[NDArray[np.int64]]:
    """Rows of tracklets that one camera saw at the same time, in time order; every tracklet is in one round."""
    rounds: list[list[int]] = []
    current: dict[str, list[int]] = {}
    for row, tracklet in enumerate(tracklets):
        group = current.get(tracklet.camera)
        if group is None or min(tracklets[other].last_seconds for other in group) < tracklet.first_seconds:
            group = current[tracklet.camera] = []
            rounds.append(group)
        group.append(row)
    return [np.array(group) for group in rounds]


def _assign(tracklets: Sequence[Tracklet], similarity: Matrix, threshold: float) -> NDArray[np.int64]:
    """Identity labels, int64 (T,), in no particular order."""
    labels = np.full(len(tracklets), -1, np.int64)
    rounds = _rounds(tracklets)
    for _ in range(MAX_SWEEPS):
        before = labels.copy()
        for rows in rounds:
            labels[rows] = -1
            labels[rows] = _assign_round(similarity[rows], labels, threshold)
        _merge(similarity, labels, threshold)
        if _same_partition(before, labels):
            break
    return labels


def _assign_round(similarity: Matrix, labels: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """One optimal assignment of N tracklets, similarity (N, T), to the identities in labels (T,) or to new ones."""
    count = len(similarity)
    known = np.unique(labels[labels >= 0])  # (K,)
    to_known = [_identity_similarity(similarity[:, labels == identity]) for identity in known]
    # The last N columns are new identities: they gain nothing, but more than an identity below the threshold.
    gain = np.column_stack([*(column - threshold for column in to_known), np.zeros((count, count))])  # (N, K + N)
    _, columns = linear_sum_assignment(gain, maximize=True)
    new = labels.max(initial=-1) + 1 + np.arange(count)
    return np.asarray(np.concatenate([known, new])[columns], np.int64)


def _identity_similarity(similarity: Matrix) -> NDArray[np.float32]:
    """Similarity of N tracklets to one identity's M tracklets, (N, M) → (N,); forbidden if any pair is forbidden."""
    nearest = np.sort(similarity, axis=1)[:, -NEAREST_VIEWS:].mean(1)  # (N,)
    return np.where((similarity <= FORBIDDEN).any(1), FORBIDDEN, nearest)


def _merge(similarity: Matrix, labels: NDArray[np.int64], threshold: float) -> None:
    """Merge identities that turn out to be one person, most similar first; changes labels (T,) in place."""
    known = np.unique(labels)  # (K,)
    columns = [_identity_similarity(similarity[:, labels == identity]) for identity in known]
    to_known = np.column_stack(columns)  # (T, K)
    while True:
        members = labels == known[:, None]  # (K, T)
        mutual = members @ to_known / members.sum(1, keepdims=True)  # (K, K)
        mutual = np.minimum(mutual, mutual.T)
        np.fill_diagonal(mutual, FORBIDDEN)
        one, other = np.unravel_index(int(mutual.argmax()), mutual.shape)
        if mutual[one, other] <= threshold:
            return
        labels[members[other]] = known[one]
        to_known[:, one] = _identity_similarity(similarity[:, labels == known[one]])
        to_known, known = np.delete(to_known, other, axis=1), np.delete(known, other)


def _same_partition(before: NDArray[np.int64], after: NDArray[np.int64]) -> bool:
    return bool(((before[:, None] == before) == (after[:, None] == after)).all())


def _links(
    tracklets: Sequence[Tracklet], appearance: Appearance, similarity: Matrix, labels: NDArray[np.int64]
) -> list[Link]:
    """Number identities by first appearance, and state each link's evidence."""
    shared = shared_mask_share(appearance, appearance)  # (T, T)
    numbers: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    links = []
    for row, (tracklet, label) in enumerate(zip(tracklets, labels.tolist(), strict=True)):
        identity = numbers.setdefault(label, len(numbers) + 1)
        earlier = members.setdefault(label, [])
        others = np.flatnonzero((labels == label) & (np.arange(len(labels)) != row))
        link = Link(tracklet.camera, tracklet.track_id, identity, None, None, None)
        if earlier:
            nearest = others[similarity[row, others].argmax()]
            link = replace(
                link,
                similarity=float(_identity_similarity(similarity[row : row + 1, others])[0]),
                shared_mask=float(shared[row, nearest]),
                gap_seconds=tracklet.first_seconds - max(tracklets[other].last_seconds for other in earlier),
            )
        links.append(link)
        earlier.append(row)
    return links
