"""Store the checkpoint of a run, and wind the database back to it, inside the caller's transaction.

Rows are stored before and after a checkpoint, as results come. To continue, everything after it is deleted, and what
was changed is made as it was; the run then stores the same rows again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from ..schema import (
    AnalysedFrame,
    AppearanceRow,
    Camera,
    CheckpointPart,
    CheckpointRow,
    CropRow,
    Identity,
    LinkRow,
    LinkSet,
    Observation,
    Run,
    TrackletRow,
)

PART_BYTES = 1 << 20  # each is copied twice on its way; MySQL's MEDIUMBLOB ends at 16 MiB
IDS_AT_ONCE = 500  # in one statement; databases limit the number of its parameters


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run can be continued.

    Attributes:
        seconds: UTC epoch, how far the footage is; None before the first frame.
        content: the state of the stages.
    """

    seconds: float | None
    content: bytes


def write_checkpoint(
    connection: Connection, run: int, camera_ids: Mapping[str, int], checkpoint: Checkpoint
) -> None:
    """Replace a run's checkpoint, and note the newest row of every table: what is newer is deleted by `wind_back`."""
    frames = {
        name: connection.scalar(
            select(func.max(AnalysedFrame.frame_index)).where(AnalysedFrame.camera_id == camera_id))
        for name, camera_id in camera_ids.items()}
    newest = {"frames": {name: -1 if index is None else index for name, index in frames.items()}} | {
        name: connection.scalar(select(func.max(table.id))) or 0
        for name, table in (
            ("tracklets", TrackletRow), ("appearances", AppearanceRow), ("links", LinkRow), ("identities", Identity))}
    delete_checkpoint(connection, run)
    connection.execute(insert(CheckpointRow).values(run_id=run, seconds=checkpoint.seconds, newest=json.dumps(newest)))
    for number, start in enumerate(range(0, len(checkpoint.content), PART_BYTES)):
        connection.execute(insert(CheckpointPart).values(
            run_id=run, number=number, content=checkpoint.content[start : start + PART_BYTES]))


def read_checkpoint(connection: Connection, run: int) -> bytes | None:
    """The content of a run's checkpoint, empty if it has none yet; None if the run cannot be continued."""
    if connection.scalar(select(CheckpointRow.run_id).where(CheckpointRow.run_id == run)) is None:
        return None
    parts = select(CheckpointPart.content).where(CheckpointPart.run_id == run).order_by(CheckpointPart.number)
    return b"".join(connection.scalars(parts))


def delete_checkpoint(connection: Connection, run: int) -> None:
    """Delete a run's checkpoint, if it has one."""
    connection.execute(delete(CheckpointPart).where(CheckpointPart.run_id == run))
    connection.execute(delete(CheckpointRow).where(CheckpointRow.run_id == run))


def delete_checkpoints(connection: Connection, run: int) -> None:
    """Delete the checkpoints of a run that has ended, and of earlier ones with the same inputs: nobody needs them."""
    own = select(Run.inputs).where(Run.id == run).scalar_subquery()
    for one in connection.scalars(select(Run.id).where((Run.id == run) | (Run.id < run) & (Run.inputs == own))).all():
        delete_checkpoint(connection, one)


def wind_back(connection: Connection, run: int, camera_ids: Mapping[str, int]) -> int:
    """Make a run's rows those that it had at its checkpoint; returns the row id of its own set of links.

    Sets of links that were made since by other commands are deleted: they are about tracklets that come again.
    """
    newest = json.loads(connection.scalars(select(CheckpointRow.newest).where(CheckpointRow.run_id == run)).one())
    own_set = connection.scalars(select(LinkSet.id).where(LinkSet.run_id == run, LinkSet.number == 1)).one()
    others = connection.execute(delete(LinkSet).where(LinkSet.run_id == run, LinkSet.number != 1)).rowcount
    connection.execute(update(LinkSet).where(LinkSet.id == own_set).values(selected=1))
    for name, camera_id in camera_ids.items():
        _wind_back_camera(connection, camera_id, newest["frames"][name], newest)
    _wind_back_links(connection, own_set, newest, all_tracklets=bool(others))
    connection.execute(update(Camera).where(Camera.run_id == run).values(status="running", error=""))
    return own_set


def _wind_back_camera(
    connection: Connection, camera_id: int, last_frame: int, newest: Mapping[str, int]
) -> None:
    """Delete one camera's newer frames, boxes, tracklets, appearances and crops; reopen tracklets that ended since."""
    of_camera = TrackletRow.camera_id == camera_id
    at = select(AnalysedFrame.seconds).where(
        AnalysedFrame.camera_id == camera_id, AnalysedFrame.frame_index == last_frame)
    last_seconds = connection.scalar(at)
    seen_since = of_camera if last_seconds is None else of_camera & (TrackletRow.last_seconds > last_seconds)
    continued = set(connection.scalars(
        select(TrackletRow.id).where(seen_since, TrackletRow.id <= newest["tracklets"])))
    continued |= _give_back_boxes(connection, camera_id, last_frame, newest)
    ended = connection.scalars(
        select(AppearanceRow.tracklet_id).join(TrackletRow, TrackletRow.id == AppearanceRow.tracklet_id)
        .where(of_camera, AppearanceRow.id > newest["appearances"]).distinct()).all()
    connection.execute(delete(TrackletRow).where(of_camera, TrackletRow.id > newest["tracklets"]))
    for some in _in_parts(ended):
        connection.execute(delete(CropRow).where(CropRow.tracklet_id.in_(some)))
        connection.execute(delete(AppearanceRow).where(AppearanceRow.tracklet_id.in_(some)))
    for some in _in_parts(sorted(continued)):
        connection.execute(delete(Observation).where(
            Observation.tracklet_id.in_(some), Observation.frame_index > last_frame))
    connection.execute(delete(AnalysedFrame).where(
        AnalysedFrame.camera_id == camera_id, AnalysedFrame.frame_index > last_frame))
    for tracklet_id in sorted(continued):
        _measure_again(connection, camera_id, tracklet_id)


def _give_back_boxes(
    connection: Connection, camera_id: int, last_frame: int, newest: Mapping[str, int]
) -> set[int]:
    """Return the boxes that newer tracklets took from a track that was split since; ids of the tracklets before."""
    newer = connection.execute(
        select(TrackletRow.id, TrackletRow.taken_from)
        .where(TrackletRow.camera_id == camera_id, TrackletRow.id > newest["tracklets"],
               TrackletRow.taken_from.is_not(None)).order_by(TrackletRow.id.desc())).all()
    for tracklet_id, before in newer:
        connection.execute(update(Observation).where(
            Observation.tracklet_id == tracklet_id, Observation.frame_index <= last_frame).values(tracklet_id=before))
    return {before for _, before in newer if before is not None and before <= newest["tracklets"]}


def _measure_again(connection: Connection, camera_id: int, tracklet_id: int) -> None:
    """Set a tracklet's last second and number of boxes by the boxes that are stored."""
    seconds = connection.scalar(
        select(func.max(AnalysedFrame.seconds))
        .join(Observation, Observation.frame_index == AnalysedFrame.frame_index)
        .where(Observation.tracklet_id == tracklet_id, AnalysedFrame.camera_id == camera_id))
    count = connection.scalar(select(func.count()).select_from(Observation).where(
        Observation.tracklet_id == tracklet_id, Observation.interpolated == 0))
    connection.execute(update(TrackletRow).where(TrackletRow.id == tracklet_id).values(
        last_seconds=seconds, observations=count))


def _wind_back_links(
    connection: Connection, link_set_id: int, newest: Mapping[str, int], all_tracklets: bool
) -> None:
    """Delete newer links and identities; tracklets whose links changed, or all, get that of their last link back."""
    own = Identity.link_set_id == link_set_id
    links = LinkRow.identity_id.in_(select(Identity.id).where(own))
    newer = links & (LinkRow.id > newest["links"])
    linked = connection.scalars(select(LinkRow.tracklet_id).where(links if all_tracklets else newer).distinct()).all()
    connection.execute(delete(LinkRow).where(newer))
    connection.execute(delete(Identity).where(own, Identity.id > newest["identities"]))
    for tracklet_id in linked:
        last = select(LinkRow.identity_id).where(LinkRow.tracklet_id == tracklet_id)
        identity = connection.scalar(last.order_by(LinkRow.id.desc()).limit(1))
        connection.execute(update(TrackletRow).where(TrackletRow.id == tracklet_id).values(identity_id=identity))


def _in_parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), IDS_AT_ONCE):
        yield ids[start : start + IDS_AT_ONCE]
