"""The tables of a reidpipe database. Migrations create them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "0007"  # the newest migration; a database of this revision is opened without Alembic
NAME_LENGTH = 200  # characters, of people's names and of those who correct
BLOB_BYTES = 2**24 - 1  # MySQL's plain BLOB ends at 64 KiB, which a large crop exceeds; other databases ignore the size


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite and MySQL store no zone, so it is removed on writing and restored on reading."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware datetime to naive UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Naive UTC to aware datetime."""
        return None if value is None else value.replace(tzinfo=UTC)


class Fixed(TypeDecorator[float]):
    """A number with a fixed number of parts of 1, stored as an integer: SQLite then needs 1 to 3 bytes instead of 8.

    Args:
        parts: stored units per 1, e.g. 64 for sixty-fourths.
    """

    impl = Integer
    cache_ok = True

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def process_bind_param(self, value: float | None, dialect: Dialect) -> int | None:
        """To the nearest stored unit."""
        return None if value is None else round(value * self.parts)

    def process_result_value(self, value: int | None, dialect: Dialect) -> float | None:
        """Stored units to the number."""
        return None if value is None else value / self.parts


PIXEL_PARTS = 64  # finer than exports print boxes; coordinates that a network gives in 1/16 pixel stay exact
CONFIDENCE_PARTS = 10_000
VISIBLE_PARTS = 9_600  # the visible share is measured in 1/96, and stays exact


class Base(DeclarativeBase):
    """Base of all tables: constraint names that later migrations can refer to, and 8-byte floats."""

    metadata = MetaData(naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    })
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it off the class)
        float: Double(), datetime: UtcDateTime(), bytes: LargeBinary(BLOB_BYTES)}


class Run(Base):
    """One start of the program over one set of cameras."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(16))  # running, complete, partial
    version: Mapped[str] = mapped_column(String(64))
    config: Mapped[str] = mapped_column(Text)  # JSON
    writer: Mapped[str] = mapped_column(String(255))  # the process that writes it, see writing/processes.py
    heartbeat_at: Mapped[datetime]  # when that process last wrote
    inputs: Mapped[str | None] = mapped_column(Text)  # JSON, what the results depend on; see pipeline/running/resume.py


class Camera(Base):
    """One camera of one run, and how its footage was used."""

    __tablename__ = "cameras"
    __table_args__ = (UniqueConstraint("run_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(Text)
    width: Mapped[int]
    height: Mapped[int]
    fps: Mapped[float]
    start_seconds: Mapped[float]  # UTC epoch
    homography: Mapped[str | None] = mapped_column(Text)  # JSON 3x3, pixels to metres
    decoded: Mapped[int]  # frames: decoded = analysed + thinned + dropped
    analysed: Mapped[int]
    thinned: Mapped[int]  # left out on purpose (`every`, `fps`)
    dropped: Mapped[int]  # decoded but not analysed because the run ended or, live, because a newer frame came
    damaged: Mapped[int]  # packets or frames that could not be decoded
    status: Mapped[str] = mapped_column(String(16))  # running, complete, partial, failed
    error: Mapped[str] = mapped_column(Text)


class FloorPlanRow(Base):
    """The picture of the floor of a run that was given one."""

    __tablename__ = "floor_plans"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    image: Mapped[bytes]  # a WebP file
    width: Mapped[int]
    height: Mapped[int]
    homography: Mapped[str] = mapped_column(Text)  # JSON 3x3, its pixels to metres


class AnalysedFrame(Base):
    """One analysed frame, with people or without; evaluation counts these frames only."""

    __tablename__ = "frames"
    __table_args__ = ({"sqlite_with_rowid": False},)

    camera_id: Mapped[int] = mapped_column(ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seconds: Mapped[float | None]  # UTC epoch; unknown for frames without boxes that were stored by revision 0001


class LinkSet(Base):
    """One linking of a run's tracklets: by the run itself, or later with other settings."""

    __tablename__ = "link_sets"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    number: Mapped[int]  # 1-based within the run; 1 is the run's own
    created_at: Mapped[datetime]
    config: Mapped[str] = mapped_column(Text)  # JSON, the `linking` section
    selected: Mapped[int]  # 1 for the set that results show, else 0; exactly one per run


class Identity(Base):
    """One person over all cameras of a run, by one set of links."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("link_set_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    number: Mapped[int]  # 1-based within the set
    link_set_id: Mapped[int] = mapped_column(ForeignKey("link_sets.id", ondelete="CASCADE"))
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))  # by the corrections in force


class TrackletRow(Base):
    """One person in one camera; the row is inserted with the first observation."""

    __tablename__ = "tracklets"
    __table_args__ = (UniqueConstraint("camera_id", "track_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    camera_id: Mapped[int] = mapped_column(ForeignKey("cameras.id", ondelete="CASCADE"))
    track_id: Mapped[int] = mapped_column(BigInteger)
    first_seconds: Mapped[float]
    last_seconds: Mapped[float]
    observations: Mapped[int]
    identity_id: Mapped[int | None] = mapped_column(  # of the selected set
        ForeignKey("identities.id", ondelete="SET NULL"), index=True)
    taken_from: Mapped[int | None]  # id of the tracklet whose track it was the end of, before that was split


class Observation(Base):
    """One box. The key is also the order on disk, so that a tracklet is read sequentially.

    Its time is that of its frame. The view `boxes` shows the numbers in pixels and shares, for use in SQL.
    """

    __tablename__ = "observations"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    x1: Mapped[float] = mapped_column(Fixed(PIXEL_PARTS))
    y1: Mapped[float] = mapped_column(Fixed(PIXEL_PARTS))
    x2: Mapped[float] = mapped_column(Fixed(PIXEL_PARTS))
    y2: Mapped[float] = mapped_column(Fixed(PIXEL_PARTS))
    confidence: Mapped[float] = mapped_column(Fixed(CONFIDENCE_PARTS))
    visible: Mapped[float] = mapped_column(Fixed(VISIBLE_PARTS))
    interpolated: Mapped[int] = mapped_column(default=0)  # 1: no detection, but filled in between two of its track


class AppearanceRow(Base):
    """Appearance of a tracklet: one row of kind `tracklet`, and one of kind `crop` per embedded crop."""

    __tablename__ = "appearances"
    __table_args__ = (Index(None, "tracklet_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    seconds: Mapped[float]  # of the crop; for kind `tracklet`, its first
    dims: Mapped[int]
    embedding: Mapped[bytes]  # int8 (dims,), of any length: see packing.py
    mask: Mapped[bytes]  # uint8 (dims,), 255 is 1; or one byte, if all dimensions have the same


class LinkRow(Base):
    """Why a tracklet got its identity. A tracklet's last link to the identity that it has is valid."""

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(primary_key=True)
    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), index=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), index=True)
    similarity: Mapped[float | None]
    shared_mask: Mapped[float | None]
    gap_seconds: Mapped[float | None]
    probability: Mapped[float | None]  # unknown for links that were stored by revision 0005 or before
    by: Mapped[str] = mapped_column(String(16))  # model, person
    created_at: Mapped[datetime]


class CropRow(Base):
    """One of the best crops of a tracklet."""

    __tablename__ = "crops"

    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seconds: Mapped[float]
    quality: Mapped[float]
    image: Mapped[bytes]  # a WebP file; JPEG if it was stored by revision 0001


class CorrectionRow(Base):
    """A decision by a person about a run's identities: the audit. Rows are never changed, except that `forget` blanks.

    The numbers are those of the time of the decision; what the decision is about is in `correction_tracklets`.
    """

    __tablename__ = "corrections"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(NAME_LENGTH))
    why: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))  # rename, merge, split, different, forget, undo
    identity: Mapped[int | None]
    other_identity: Mapped[int | None]
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))  # of a rename; empty takes the name away
    undoes: Mapped[int | None] = mapped_column(ForeignKey("corrections.id", ondelete="CASCADE"))


class CorrectionTracklet(Base):
    """A tracklet that a correction is about; tracklets of different sides are different people."""

    __tablename__ = "correction_tracklets"
    __table_args__ = ({"sqlite_with_rowid": False},)

    correction_id: Mapped[int] = mapped_column(ForeignKey("corrections.id", ondelete="CASCADE"), primary_key=True)
    tracklet_id: Mapped[int] = mapped_column(
        ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True, index=True)
    side: Mapped[int]  # 0; 1 for those who are not the person of side 0


class CheckpointRow(Base):
    """Where a run that has not ended can be continued; runs that have ended have none."""

    __tablename__ = "checkpoints"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    seconds: Mapped[float | None]  # UTC epoch, how far the footage was; unknown before the first frame
    newest: Mapped[str] = mapped_column(Text)  # JSON, the newest rows at that moment; see checkpoints.py


class CheckpointPart(Base):
    """A part of the state of a run's stages at its checkpoint: an .npz file in pieces."""

    __tablename__ = "checkpoint_parts"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("checkpoints.run_id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes]
