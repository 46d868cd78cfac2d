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
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "0002"  # the newest migration; a database of this revision is opened without Alembic
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
    writer: Mapped[str] = mapped_column(String(255))  # the process that writes it, see Store
    heartbeat_at: Mapped[datetime]  # when that process last wrote


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


class AnalysedFrame(Base):
    """One analysed frame, with people or without; evaluation counts these frames only."""

    __tablename__ = "frames"
    __table_args__ = ({"sqlite_with_rowid": False},)

    camera_id: Mapped[int] = mapped_column(ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Identity(Base):
    """One person over all cameras of a run."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    number: Mapped[int]  # 1-based within the run


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
    identity_id: Mapped[int | None] = mapped_column(ForeignKey("identities.id", ondelete="SET NULL"), index=True)


class Observation(Base):
    """One box. The key is also the order on disk, so that a tracklet is read sequentially."""

    __tablename__ = "observations"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seconds: Mapped[float]
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    confidence: Mapped[float]
    visible: Mapped[float]
    interpolated: Mapped[bool] = mapped_column(server_default=false())  # fills a gap; confidence 0


class AppearanceRow(Base):
    """Appearance of a tracklet: one row of kind `tracklet`, and one of kind `crop` per embedded crop."""

    __tablename__ = "appearances"
    __table_args__ = (Index(None, "tracklet_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    seconds: Mapped[float]  # of the crop; for kind `tracklet`, its first
    dims: Mapped[int]
    embedding: Mapped[bytes]  # float16 (dims,), little-endian
    mask: Mapped[bytes]  # float16 (dims,), little-endian


class LinkRow(Base):
    """Why a tracklet got its identity. Rows are only added: a tracklet's last link is valid."""

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(primary_key=True)
    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), index=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id", ondelete="CASCADE"), index=True)
    similarity: Mapped[float | None]
    shared_mask: Mapped[float | None]
    gap_seconds: Mapped[float | None]
    by: Mapped[str] = mapped_column(String(16))  # model, person
    created_at: Mapped[datetime]


class CropRow(Base):
    """One of the best crops of a tracklet."""

    __tablename__ = "crops"

    tracklet_id: Mapped[int] = mapped_column(ForeignKey("tracklets.id", ondelete="CASCADE"), primary_key=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seconds: Mapped[float]
    quality: Mapped[float]
    jpeg: Mapped[bytes]
