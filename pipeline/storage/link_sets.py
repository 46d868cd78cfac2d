"""List, add and select the sets of links of a stored run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, update

from ..errors import StoreError
from ..types import Link
from .runs import run_number
from .schema import Camera, Identity, LinkRow, LinkSet, TrackletRow
from .store import Store
from .times import iso_time
from .writing.corrected import apply_corrections
from .writing.link_rows import new_link_set, write_links


@dataclass(frozen=True, slots=True)
class LinkSetSummary:
    """One set of links, before corrections; `config` is the `linking` section, as JSON, `created` ISO 8601."""

    number: int
    created: str
    selected: bool
    identities: int
    links: int
    config: str


def list_link_sets(store: Store, run: int | None = None) -> list[LinkSetSummary]:
    """The sets of a run, the oldest first.

    Raises:
        StoreError: there is no such run.
    """
    run_id = run_number(store, run)
    with store.reading() as connection:
        rows = connection.execute(
            select(LinkSet.number, LinkSet.created_at, LinkSet.selected,
                   func.count(LinkRow.identity_id.distinct()), func.count(LinkRow.id), LinkSet.config)
            .outerjoin(Identity, Identity.link_set_id == LinkSet.id)
            .outerjoin(LinkRow, (LinkRow.identity_id == Identity.id) & (LinkRow.by == "model"))
            .where(LinkSet.run_id == run_id).group_by(LinkSet.id).order_by(LinkSet.number)).all()
    return [
        LinkSetSummary(number, iso_time(created.timestamp()), bool(selected), people, links, config)
        for number, created, selected, people, links, config in rows]


def add_link_set(store: Store, run: int, linking_json: str, links: Sequence[Link]) -> int:
    """Store links as a new set, and select it; returns its number.

    Args:
        run: number of a finished run.
        linking_json: the `linking` section that they were made with.
        links: one per tracklet with an identity.
    """
    with store.writing() as connection:
        cameras = connection.execute(select(Camera.name, Camera.id).where(Camera.run_id == run))
        camera_ids = {name: row_id for name, row_id in cameras}  # noqa: C416 - rows are no tuples to the type checker
        link_set_id = new_link_set(connection, run, linking_json)
        write_links(connection, link_set_id, camera_ids, links, shown=False)
        number = connection.execute(select(LinkSet.number).where(LinkSet.id == link_set_id)).scalar_one()
        _select(connection, run, number)
    return number


def select_link_set(store: Store, run: int | None, number: int) -> None:
    """Let results show another set of a run.

    Raises:
        StoreError: there is no such run or set.
    """
    run_id = run_number(store, run)
    known = [one.number for one in list_link_sets(store, run_id)]
    if number not in known:
        raise StoreError(f"{store.name}: run {run_id} has no set {number} of links: the newest is {max(known)}")
    with store.writing() as connection:
        _select(connection, run_id, number)


def _select(connection: Connection, run: int, number: int) -> None:
    cameras = select(Camera.id).where(Camera.run_id == run)
    connection.execute(update(TrackletRow).where(TrackletRow.camera_id.in_(cameras)).values(identity_id=None))
    connection.execute(update(LinkSet).where(LinkSet.run_id == run).values(selected=0))
    chosen = (LinkSet.run_id == run) & (LinkSet.number == number)
    connection.execute(update(LinkSet).where(chosen).values(selected=1))
    valid = (
        select(func.max(LinkRow.id)).join(Identity, LinkRow.identity_id == Identity.id).join(LinkSet)
        .where(chosen).group_by(LinkRow.tracklet_id))
    rows = connection.execute(select(LinkRow.tracklet_id, LinkRow.identity_id).where(LinkRow.id.in_(valid))).all()
    if rows:
        by_id = update(TrackletRow).where(TrackletRow.id == bindparam("tracklet"))
        connection.execute(
            by_id.values(identity_id=bindparam("identity")),
            [{"tracklet": tracklet, "identity": identity} for tracklet, identity in rows])
    apply_corrections(connection, run)
