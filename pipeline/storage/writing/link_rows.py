"""Write sets of links, in bulk, inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select, update

from ...types import Link, TrackKey
from ..schema import Identity, LinkRow, LinkSet, TrackletRow
from .rows import insert_row

KEYS_AT_ONCE = 500  # in one statement; databases limit the number of its parameters


def new_link_set(connection: Connection, run_id: int, linking_json: str) -> int:
    """Begin a set of links; a run's first one is selected. Returns its row id.

    Args:
        run_id: of the run.
        linking_json: the `linking` section of a config.
    """
    before = connection.scalar(select(func.max(LinkSet.number)).where(LinkSet.run_id == run_id)) or 0
    return insert_row(connection, insert(LinkSet).values(
        run_id=run_id, number=before + 1, created_at=datetime.now(UTC), config=linking_json, selected=int(not before)))


def write_links(
    connection: Connection, link_set_id: int, camera_ids: Mapping[str, int], links: Sequence[Link], shown: bool
) -> None:
    """Insert links, and identities at their first link.

    Args:
        link_set_id: of their set.
        camera_ids: row ids of the run's cameras.
        links: of stored tracklets; of several of one tracklet, the last one is valid.
        shown: whether the set is selected, so that tracklets get these identities.

    Raises:
        ValueError: a tracklet is not stored.
    """
    if not links:
        return
    now = datetime.now(UTC)
    tracklets = _tracklet_ids(connection, camera_ids, links)
    identities = identity_ids(connection, link_set_id, sorted({link.identity for link in links}))
    rows = []
    for link in links:
        key = link.camera, link.track_id
        if key not in tracklets:
            raise ValueError(f"link: expected a stored tracklet, got {link.track_id} of {link.camera}")
        rows.append({
            "tracklet_id": tracklets[key], "identity_id": identities[link.identity], "similarity": link.similarity,
            "shared_mask": link.shared_mask, "gap_seconds": link.gap_seconds,
            "probability": link.probability, "by": link.by, "created_at": now})
    connection.execute(insert(LinkRow), rows)
    if shown:
        by_id = update(TrackletRow).where(TrackletRow.id == bindparam("tracklet"))
        connection.execute(
            by_id.values(identity_id=bindparam("identity")),
            [{"tracklet": row["tracklet_id"], "identity": row["identity_id"]} for row in rows])


def settle_links(connection: Connection, link_set_id: int) -> None:
    """Tidy up a finished set that is selected: keep each tracklet's valid link, and number people by first appearance.

    While a run goes on, decisions are revised: links are superseded, and identities merged. An identity that lost so
    much that the rest was seen for less than `min_seconds` is undecided again.
    """
    _leave_undecided(connection, link_set_id)
    own = select(Identity.id).where(Identity.link_set_id == link_set_id)
    by_model = LinkRow.identity_id.in_(own) & (LinkRow.by == "model")
    valid = select(func.max(LinkRow.id)).where(by_model).group_by(LinkRow.tracklet_id).subquery()
    connection.execute(delete(LinkRow).where(by_model, LinkRow.id.not_in(select(valid))))
    drop_empty_identities(connection, Identity.link_set_id == link_set_id)
    by_appearance = connection.scalars(
        select(Identity.id).join(TrackletRow, TrackletRow.identity_id == Identity.id)
        .where(Identity.link_set_id == link_set_id).group_by(Identity.id)
        .order_by(func.min(TrackletRow.first_seconds), func.min(Identity.number))).all()
    for sign in (-1, 1):  # numbers are unique at every moment
        if by_appearance:
            connection.execute(
                update(Identity).where(Identity.id == bindparam("identity")).values(number=bindparam("place")),
                [{"identity": one, "place": sign * place} for place, one in enumerate(by_appearance, 1)])


def drop_empty_identities(connection: Connection, where: ColumnElement[bool]) -> None:
    """Delete those of some identities that no tracklet and no link refers to any more."""
    used = select(TrackletRow.identity_id).where(TrackletRow.identity_id.is_not(None)).distinct().subquery()
    linked = select(LinkRow.identity_id).distinct().subquery()
    connection.execute(delete(Identity).where(
        where, Identity.id.not_in(select(used)), Identity.id.not_in(select(linked))))


def _leave_undecided(connection: Connection, link_set_id: int) -> None:
    """Remove the identities of a set whose tracklets together are shorter than its `min_seconds`."""
    config = connection.execute(select(LinkSet.config).where(LinkSet.id == link_set_id)).scalar_one()
    shortest = json.loads(config).get("min_seconds", 0.0)
    seconds = func.sum(TrackletRow.last_seconds - TrackletRow.first_seconds)
    too_short = connection.scalars(
        select(Identity.id).join(TrackletRow, TrackletRow.identity_id == Identity.id)
        .where(Identity.link_set_id == link_set_id).group_by(Identity.id).having(seconds < shortest)).all()
    own = select(Identity.id).where(Identity.link_set_id == link_set_id)
    for some in in_parts(list(too_short)):
        rows = connection.scalars(select(TrackletRow.id).where(TrackletRow.identity_id.in_(some))).all()
        for tracklets in in_parts(list(rows)):  # with earlier links, too: none is valid any more
            connection.execute(delete(LinkRow).where(
                LinkRow.tracklet_id.in_(tracklets), LinkRow.identity_id.in_(own), LinkRow.by == "model"))
            connection.execute(update(TrackletRow).where(TrackletRow.id.in_(tracklets)).values(identity_id=None))


def _tracklet_ids(
    connection: Connection, camera_ids: Mapping[str, int], links: Sequence[Link]
) -> dict[TrackKey, int]:
    tracks: dict[str, list[int]] = {}
    for link in links:
        tracks.setdefault(link.camera, []).append(link.track_id)
    found: dict[TrackKey, int] = {}
    for camera, track_ids in tracks.items():
        for some in in_parts(track_ids):
            query = select(TrackletRow.track_id, TrackletRow.id).where(
                TrackletRow.camera_id == camera_ids[camera], TrackletRow.track_id.in_(some))
            found |= {(camera, track_id): row_id for track_id, row_id in _pairs(connection, query)}
    return found


def identity_ids(connection: Connection, link_set_id: int, numbers: list[int]) -> dict[int, int]:
    """Row ids of identities by their numbers; those that are missing are inserted."""
    run_id = connection.execute(select(LinkSet.run_id).where(LinkSet.id == link_set_id)).scalar_one()
    found: dict[int, int] = {}
    for some in in_parts(numbers):
        query = select(Identity.number, Identity.id).where(
            Identity.link_set_id == link_set_id, Identity.number.in_(some))
        found |= dict(_pairs(connection, query))
        missing = [number for number in some if number not in found]
        if missing:
            connection.execute(insert(Identity), [
                {"run_id": run_id, "link_set_id": link_set_id, "number": number} for number in missing])
            found |= dict(_pairs(connection, query))
    return found


def _pairs(connection: Connection, query: Select[int, int]) -> list[tuple[int, int]]:
    return [(first, second) for first, second in connection.execute(query)]


def in_parts(values: list[int]) -> Iterator[list[int]]:
    """Lists of at most KEYS_AT_ONCE."""
    for start in range(0, len(values), KEYS_AT_ONCE):
        yield values[start : start + KEYS_AT_ONCE]
