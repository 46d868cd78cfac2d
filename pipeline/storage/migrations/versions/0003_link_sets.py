"""Several sets of links per run: identities belong to a set."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a selected set of every run's links.  There is no way back: keep a copy of the file."""
    op.create_table(
        "link_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("selected", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_link_sets_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_link_sets"),
        sa.UniqueConstraint("run_id", "number", name="uq_link_sets_run_id_number"),
    )
    connection = op.get_bind()
    runs = sa.table("runs", sa.column("id"), sa.column("started_at", sa.DateTime()), sa.column("config"))
    link_sets = sa.table(
        "link_sets", *map(sa.column, ("id", "run_id", "number")), sa.column("created_at", sa.DateTime()),
        *map(sa.column, ("config", "selected")))
    for run_id, started_at, config in connection.execute(sa.select(runs)).all():
        linking = json.dumps(json.loads(config).get("linking", {}))
        connection.execute(sa.insert(link_sets).values(
            run_id=run_id, number=1, created_at=started_at, config=linking, selected=1))
    with op.batch_alter_table("identities") as identities:
        identities.add_column(sa.Column("link_set_id", sa.Integer(), nullable=True))
    table = sa.table("identities", sa.column("run_id"), sa.column("link_set_id"))
    own = sa.select(link_sets.c.id).where(link_sets.c.run_id == table.c.run_id).scalar_subquery()
    connection.execute(sa.update(table).values(link_set_id=own))
    with op.batch_alter_table("identities") as identities:
        identities.alter_column("link_set_id", existing_type=sa.Integer(), nullable=False)
        identities.drop_constraint("uq_identities_run_id_number", type_="unique")
        identities.create_unique_constraint("uq_identities_link_set_id_number", ["link_set_id", "number"])
        identities.create_foreign_key(
            "fk_identities_link_set_id", "link_sets", ["link_set_id"], ["id"], ondelete="CASCADE")
