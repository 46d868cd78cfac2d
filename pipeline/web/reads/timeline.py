"""The timeline: identities and their visits, of which the page asks for what is on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...corrections.identities import IdentitySummary, list_identities
from ...storage.schema import Camera, Identity, TrackletRow
from ...storage.store import Store
from .remembered import Remembered
from .runs import NamedCamera, camera_names
from .tracklets import LinkedTracklet, Visit, joined_visits, linked_tracklets

Sort = Literal["first", "number", "long", "cameras"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which visits are shown.

    Attributes:
        cameras: row ids; all if empty.
        first, last: UTC epoch seconds; visits that end before or begin after are left out.
        least_seconds: identities with no visit that is as long are left out.
        least_cameras: identities that were seen by fewer cameras in all are left out.
    """

    cameras: Sequence[int] = ()
    first: float | None = None
    last: float | None = None
    least_seconds: float = 0.0
    least_cameras: int = 1

    def there(
        self, camera: NDArray[np.int64], enter: NDArray[np.float64], leave: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which of N stays, by camera (row id) and UTC epoch seconds, were in the cameras then, bool (N,)."""
        there = np.ones(len(camera), np.bool_)
        if self.cameras:
            there &= np.isin(camera, np.array(self.cameras, np.int64))
        if self.first is not None:
            there &= leave >= self.first
        if self.last is not None:
            there &= enter <= self.last
        return there


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of a run: I identities by number, and V visits by identity, camera and time.

    Attributes:
        cameras: in the order of the config.
        identities: summaries.
        visits: as the page draws them.
        number: int64 (I,), first, last: float64 (I,) seconds, seen_by: int64 (I,) number of cameras; of identities.
        row: int64 (V,), places in `identities`; camera: int64 (V,), enter, leave: float64 (V,) seconds; of visits.
    """

    cameras: list[NamedCamera]
    identities: list[IdentitySummary]
    visits: list[Visit]
    number: NDArray[np.int64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    seen_by: NDArray[np.int64]
    row: NDArray[np.int64]
    camera: NDArray[np.int64]
    enter: NDArray[np.float64]
    leave: NDArray[np.float64]

    def shown(self, filters: Filters) -> NDArray[np.bool_]:
        """The visits that filters leave, bool (V,)."""
        shown = filters.there(self.camera, self.enter, self.leave)
        if filters.least_cameras > 1:
            shown &= self.seen_by[self.row] >= filters.least_cameras
        if filters.least_seconds > 0:
            long = np.zeros(len(self.identities), np.bool_)
            long[self.row[shown & (self.leave - self.enter >= filters.least_seconds)]] = True
            shown &= long[self.row]
        return shown

    def page(
        self, filters: Filters, sort: Sort = "number", offset: int = 0, limit: int | None = None
    ) -> dict[str, object]:
        """The identities with visits that filters leave, from one place of their order on, and these visits.

        Args:
            filters: which.
            sort: the order of identities.
            offset, limit: the part of the order; all by default.
        """
        shown = self.shown(filters)
        there = np.unique(self.row[shown])  # (N,)
        key = {
            "first": self.first, "number": self.number, "long": self.first - self.last, "cameras": -self.seen_by}[sort]
        order = there[np.lexsort((self.number[there], self.first[there], key[there]))]
        chosen = order[offset:None if limit is None else offset + limit]
        visits = np.flatnonzero(shown & np.isin(self.row, chosen))
        return {
            "cameras": self.cameras, "identities": [self.identities[row] for row in chosen.tolist()],
            "visits": [self.visits[visit] for visit in visits.tolist()],
            "matching": len(order), "matching_visits": int(shown.sum()), "offset": offset,
            "total": len(self.identities),
            "first_seconds": float(self.first.min()) if len(self.first) else None,
            "last_seconds": float(self.last.max()) if len(self.last) else None}


def timeline_of(remembered: Remembered, store: Store, run: int) -> Timeline:
    """The timeline of a run, as it is now.

    Raises:
        StoreError: there is no such run.
    """
    return remembered.get("timeline", store, run, read_timeline)


def read_timeline(store: Store, run: int) -> Timeline:
    """Read the timeline of a run.

    Raises:
        StoreError: there is no such run.
    """
    identities = list_identities(store, run)
    with store.reading() as connection:
        rows = connection.execute(
            linked_tracklets().where(Camera.run_id == run)
            .order_by(Identity.number, Camera.id, TrackletRow.first_seconds))
        tracklets = [LinkedTracklet._make(row) for row in rows]
    visits = [
        visit for _, own in groupby(tracklets, key=lambda one: (one.identity, one.camera_id))
        for visit in joined_visits(own)]
    number = np.array([one.identity for one in identities], np.int64)
    return Timeline(
        camera_names(store, run), identities, visits, number,
        np.array([one.first_seconds for one in identities], np.float64),
        np.array([one.last_seconds for one in identities], np.float64),
        np.array([len(one.cameras) for one in identities], np.int64),
        np.searchsorted(number, np.array([one.identity for one in visits], np.int64)),
        np.array([one.camera for one in visits], np.int64),
        np.array([one.first_seconds for one in visits], np.float64),
        np.array([one.last_seconds for one in visits], np.float64))
