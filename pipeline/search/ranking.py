"""Rank a run's identities by masked similarity to a query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity, merge_tracklet, shared_mask_share
from ..config.linking import CalibrationConfig, LinkingConfig
from ..corrections.identities import identity_names
from ..errors import ConfigError, CorrectionError, StoreError
from ..linking.evidence.calibration import probability
from ..linking.evidence.views import mean_of_nearest, nearest_views
from ..output.visits import Visit, list_visits
from ..relinking.relink import shown_linking
from ..storage.queries import StoredAppearance, stored_appearances, tracklet_rows
from ..storage.runs import list_cameras, run_number
from ..storage.store import Store
from ..types import TrackKey

ROWS_AT_ONCE = 1024  # appearances in memory


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where and when somebody is looked for: tracklets that were seen there and then, for a part of them at least.

    Attributes:
        cameras: names; all if empty.
        first_seconds, last_seconds: UTC epoch seconds.
    """

    cameras: tuple[str, ...] = ()
    first_seconds: float = -np.inf
    last_seconds: float = np.inf

    def holds(self, camera: str, first_seconds: float, last_seconds: float) -> bool:
        """Whether a stay in a camera's view is among what is looked for."""
        in_time = first_seconds <= self.last_seconds and last_seconds >= self.first_seconds
        return in_time and (not self.cameras or camera in self.cameras)


@dataclass(frozen=True, slots=True)
class FoundIdentity:
    """One identity, by how much it looks like the query.

    Attributes:
        identity: its number.
        name: that a person gave it.
        probability: that it is the person, by its appearance alone.
        similarity: masked similarity, the mean over its three most similar tracklets.
        shared_mask: share of the mask that is reliable in the query and in the most similar tracklet.
        tracklets: its compared tracklets, the most similar first, with their similarities.
        visits: when it was in which camera, in time order.
    """

    identity: int
    name: str | None
    probability: float
    similarity: float
    shared_mask: float
    tracklets: list[tuple[TrackKey, float]]
    visits: list[Visit]


def appearance_probability(similarity: float, calibration: CalibrationConfig) -> float:
    """Probability that two people are one, from their similarity: there is no cohort of a query, and no place."""
    return probability(calibration.bias + calibration.similarity * similarity)


def identity_query(store: Store, run: int | None, identity: int) -> Appearance:
    """The appearances of an identity's tracklets, (N, D), as a query.

    Raises:
        StoreError: there is no such run.
        CorrectionError: there is no such identity, or nothing of its appearance is stored.
    """
    rows = [one.appearance for one in stored_appearances(store, run) if one.identity == identity]
    if rows:
        return concatenate(rows)
    if all(one.identity != identity for one in tracklet_rows(store, run)):
        raise CorrectionError(f"{store.name}: there is no identity {identity}: "
                              "`reidpipe identities list` shows those that there are")
    raise CorrectionError(f"{store.name}: no appearance of identity {identity} is stored")


def rank_identities(
    store: Store, run: int | None, query: Appearance, wanted: Wanted | None = None, without: int | None = None,
    most: int = 10,
) -> list[FoundIdentity]:
    """The identities that look most like a query.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        query: (N, D), N ≥ 1 rows of one person, which are merged into one.
        wanted: where and when; everywhere and always by default.
        without: an identity that is left out, such as the query's own.
        most: how many.

    Raises:
        StoreError: there is no such run, or its embeddings are of another model.
        ConfigError: the run has no such camera, or its links were made with settings of another version.
    """
    number, wanted = run_number(store, run), wanted or Wanted()
    _check_cameras(store, number, wanted)
    one = merge_tracklet(query)
    config = shown_linking(store, number)
    times = {row[:2]: row[2:4] for row in tracklet_rows(store, number)}
    chosen = (
        row for row in stored_appearances(store, number)
        if row.identity not in (None, without) and wanted.holds(row.camera, *times[row.camera, row.track]))
    identity, keys, similarity, share = _compare(store, one, chosen, config)
    order = np.argsort(identity, kind="stable")
    numbers, starts = np.unique(identity[order], return_index=True)
    if not len(numbers):
        return []
    means = mean_of_nearest(nearest_views(similarity[None, order], starts))[0]  # (L,)
    names = identity_names(store, number)
    visits = _visits(store, number, wanted)
    found = []
    for place in np.argsort(-means, kind="stable")[:most].tolist():
        own = np.flatnonzero(identity == numbers[place])
        own = own[np.argsort(-similarity[own], kind="stable")]
        who, mean = int(numbers[place]), float(means[place])
        found.append(FoundIdentity(
            who, names.get(who), appearance_probability(mean, config.calibration), mean, float(share[own[0]]),
            [(keys[row], float(similarity[row])) for row in own.tolist()], visits.get(who, [])))
    return found


def _compare(
    store: Store, query: Appearance, rows: Iterator[StoredAppearance], config: LinkingConfig
) -> tuple[NDArray[np.int64], list[TrackKey], NDArray[np.float64], NDArray[np.float64]]:
    """Of each of M tracklets: identity, key, similarity and shared mask share, (M,) each."""
    identities: list[int] = []
    keys: list[TrackKey] = []
    similarity, share = [np.zeros(0)], [np.zeros(0)]
    while some := list(islice(rows, ROWS_AT_ONCE)):
        gallery = concatenate([row.appearance for row in some])
        if gallery.dimensions != query.dimensions:
            raise StoreError(f"{store.name}: its embeddings have {gallery.dimensions} dimensions, the query has "
                             f"{query.dimensions}: the run was made with another appearance model")
        identities += [row.identity for row in some if row.identity is not None]
        keys += [(row.camera, row.track) for row in some]
        similarity.append(masked_similarity(query, gallery, config.mode)[0])
        share.append(shared_mask_share(query, gallery)[0])
    return (np.array(identities, np.int64), keys, np.concatenate(similarity).astype(np.float64),
            np.concatenate(share).astype(np.float64))


def _visits(store: Store, run: int, wanted: Wanted) -> dict[int, list[Visit]]:
    found: dict[int, list[Visit]] = {}
    for visit in list_visits(store, run):
        if wanted.holds(visit.camera, visit.enter_seconds, visit.leave_seconds):
            found.setdefault(visit.identity, []).append(visit)
    return found


def _check_cameras(store: Store, run: int, wanted: Wanted) -> None:
    known = [camera.camera for camera in list_cameras(store, run)]
    for camera in wanted.cameras:
        if camera not in known:
            raise ConfigError(f"run {run} has no camera {camera}: it has {', '.join(known)}")
