"""The identities that look most like a query."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from ....reid import Appearance, merge_tracklet
from ...search.ranking import appearance_probability
from ..access.requests import RequestError
from ..reads.timeline import Filters, Timeline
from .gallery import Gallery

MOST_FOUND = 12  # identities


class FoundPerson(TypedDict):
    """An identity that looks like the query, and its visits within what was asked for."""

    identity: int
    name: str | None
    probability: float
    similarity: float
    visits: list[dict[str, object]]


def rank_people(gallery: Gallery, timeline: Timeline, query: Appearance, filters: Filters) -> list[FoundPerson]:
    """The identities that look most like a query, (1, D), among the tracklets that were seen there and then.

    Raises:
        RequestError: there is no such camera.
        StoreError: the run's embeddings are of another model.
    """
    known = [one["id"] for one in timeline.cameras]
    for camera in filters.cameras:
        if camera not in known:
            raise RequestError(f"the run has no camera {camera}")
    there = filters.there(gallery.camera, gallery.first, gallery.last)
    nearest = gallery.nearest(merge_tracklet(query), np.flatnonzero(there), MOST_FOUND)
    shown = timeline.shown(filters)
    found: list[FoundPerson] = []
    for identity, similarity in nearest:
        row = int(np.searchsorted(timeline.number, identity))
        visits = [timeline.visits[place] for place in np.flatnonzero(shown & (timeline.row == row)).tolist()]
        found.append({
            "identity": identity, "name": timeline.identities[row].name, "similarity": similarity,
            "probability": appearance_probability(similarity, gallery.linking.calibration),
            "visits": [
                {"camera": one.camera, "first_seconds": one.first_seconds, "last_seconds": one.last_seconds}
                for one in sorted(visits, key=lambda visit: visit.first_seconds)]})
    return found
