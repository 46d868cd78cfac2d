"""Checkpoints of unfinished runs, what a run's results depend on, and which track a split tracklet was part of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BLOB_BYTES = 2**24 - 1  # as in schema.py


def upgrade() -> None:
    """To this revision.  Runs of earlier revisions have no checkpoint; keep a copy of the file to go back."""
    op.create_table(
        "checkpoints",
        sa.Column("run_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("newest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_checkpoints_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_checkpoints"),
    )
    op.create_table(
        "checkpoint_parts",
        sa.Column("run_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("content", sa.LargeBinary(BLOB_BYTES), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["checkpoints.run_id"], name="fk_checkpoint_parts_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_checkpoint_parts"),
    )
    op.add_column("runs", sa.Column("inputs", sa.Text(), nullable=True))
    op.add_column("tracklets", sa.Column("taken_from", sa.Integer(), nullable=True))
