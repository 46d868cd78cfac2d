"""Smaller rows: boxes as integers, their time once per frame, embeddings as int8 and masks as uint8."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 2000
STORED_PARTS = {"x1": 64, "y1": 64, "x2": 64, "y2": 64, "confidence": 10_000, "visible": 9_600}  # of 1

BOXES = """
CREATE VIEW boxes AS
SELECT tracklets.camera_id, observations.tracklet_id, tracklets.track_id, observations.frame_index, frames.seconds,
    observations.x1 / 64.0 AS x1, observations.y1 / 64.0 AS y1,
    observations.x2 / 64.0 AS x2, observations.y2 / 64.0 AS y2,
    observations.confidence / 10000.0 AS confidence, observations.visible / 9600.0 AS visible,
    observations.interpolated
FROM observations
JOIN tracklets ON tracklets.id = observations.tracklet_id
JOIN frames ON frames.camera_id = tracklets.camera_id AND frames.frame_index = observations.frame_index
"""


def upgrade() -> None:
    """To this revision.  There is no way back: keep a copy of the file."""
    move_times_to_frames()
    store_boxes_as_integers()
    pack_appearances()
    op.execute("ALTER TABLE crops RENAME COLUMN jpeg TO image")
    op.execute(BOXES)


def move_times_to_frames() -> None:
    """One time per frame instead of one per box."""
    op.add_column("frames", sa.Column("seconds", sa.Double(), nullable=True))
    found = sa.text(
        "SELECT tracklets.camera_id, observations.frame_index, MIN(observations.seconds) FROM observations "
        "JOIN tracklets ON tracklets.id = observations.tracklet_id "
        "GROUP BY tracklets.camera_id, observations.frame_index")
    store = sa.text("UPDATE frames SET seconds = :seconds WHERE camera_id = :camera AND frame_index = :frame")
    for rows in in_parts(found):
        op.get_bind().execute(store, [
            {"camera": camera, "frame": frame, "seconds": seconds} for camera, frame, seconds in rows])


def store_boxes_as_integers() -> None:
    """To at least the decimals that exports print."""
    op.execute("UPDATE observations SET " + ", ".join(
        f"{name} = ROUND({name} * {parts})" for name, parts in STORED_PARTS.items()))
    with op.batch_alter_table("observations") as table:
        for name in STORED_PARTS:
            table.alter_column(name, type_=sa.Integer(), existing_type=sa.Double(), existing_nullable=False)
        table.drop_column("seconds")
        table.add_column(sa.Column("interpolated", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("observations") as table:
        table.alter_column("interpolated", server_default=None, existing_type=sa.Integer(), existing_nullable=False)


def pack_appearances() -> None:
    """Float16 to one byte per number; a mask that is the same everywhere to a single byte."""
    found = sa.text("SELECT id, embedding, mask FROM appearances ORDER BY id")
    store = sa.text("UPDATE appearances SET embedding = :embedding, mask = :mask WHERE id = :id")
    for rows in in_parts(found):
        op.get_bind().execute(store, [
            {"id": row, "embedding": pack_embedding(embedding), "mask": pack_mask(mask)}
            for row, embedding, mask in rows])


def pack_embedding(stored: bytes) -> bytes:
    """Int8, the largest number at 127."""
    row = np.frombuffer(stored, "<f2").astype(np.float32)
    return bytes(np.rint(row / np.abs(row).max() * 127).astype(np.int8))


def pack_mask(stored: bytes) -> bytes:
    """Uint8, 255 for 1."""
    row = np.rint(np.frombuffer(stored, "<f2").astype(np.float32) * 255).astype(np.uint8)
    return bytes(row[:1] if (row == row[0]).all() else row)


def in_parts(query: sa.TextClause) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a query, some thousands at once.  Updates of rows already read do not disturb it."""
    rows = op.get_bind().execute(query)
    while part := rows.fetchmany(ROWS_AT_ONCE):
        yield [tuple(row) for row in part]
