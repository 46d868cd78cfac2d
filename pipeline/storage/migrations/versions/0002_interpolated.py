"""Mark boxes that fill gaps between detections."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision: all boxes of earlier runs were detected."""
    op.add_column("observations", sa.Column("interpolated", sa.Boolean(), nullable=False, server_default=sa.false()))
