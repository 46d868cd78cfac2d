"""Corrections by a person: an audit of decisions, the tracklets that they are about, and names of identities."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision.  There is no way back: keep a copy of the file."""
    op.add_column("identities", sa.Column("name", sa.String(200), nullable=True))
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("identity", sa.Integer(), nullable=True),
        sa.Column("other_identity", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("undoes", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_corrections_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["undoes"], ["corrections.id"], name="fk_corrections_undoes", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
    )
    op.create_index("ix_corrections_run_id", "corrections", ["run_id"])
    op.create_table(
        "correction_tracklets",
        sa.Column("correction_id", sa.Integer(), nullable=False),
        sa.Column("tracklet_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["corrections.id"], name="fk_correction_tracklets_correction_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tracklet_id"], ["tracklets.id"], name="fk_correction_tracklets_tracklet_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("correction_id", "tracklet_id", name="pk_correction_tracklets"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_correction_tracklets_tracklet_id", "correction_tracklets", ["tracklet_id"])
