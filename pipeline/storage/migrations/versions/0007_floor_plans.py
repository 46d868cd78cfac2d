"""A picture of the floor of each run, for the map of the review page."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BLOB_BYTES = 2**24 - 1


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "floor_plans",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image", sa.LargeBinary(BLOB_BYTES), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("homography", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], "fk_floor_plans_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_floor_plans"))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("floor_plans")
