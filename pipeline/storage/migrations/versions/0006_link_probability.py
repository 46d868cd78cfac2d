"""How sure each link is; links of earlier versions have no probability."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("links", sa.Column("probability", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("links") as links:
        links.drop_column("probability")
