"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BLOB = sa.LargeBinary(2**24 - 1)


def upgrade() -> None:
    """To this revision.  There is no way back: keep a copy of the file."""
    create_runs()
    create_cameras()
    create_people()
    create_observations()
    create_appearances()
    create_links()


def create_runs() -> None:
    """Who ran when, with what."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("writer", sa.String(255), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )


def create_cameras() -> None:
    """What was looked at."""
    op.create_table(
        "cameras",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("fps", sa.Double(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("homography", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False)
          for name in ("decoded", "analysed", "thinned", "dropped", "damaged")),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_cameras_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_cameras"),
        sa.UniqueConstraint("run_id", "name", name="uq_cameras_run_id_name"),
    )
    op.create_table(
        "frames",
        sa.Column("camera_id", sa.Integer(), nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["camera_id"], ["cameras.id"], name="fk_frames_camera_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("camera_id", "frame_index", name="pk_frames"),
        sqlite_with_rowid=False,
    )


def create_people() -> None:
    """Who was there: per camera, and over all cameras."""
    op.create_table(
        "identities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_identities_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sa.UniqueConstraint("run_id", "number", name="uq_identities_run_id_number"),
    )
    op.create_table(
        "tracklets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("camera_id", sa.Integer(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("first_seconds", sa.Double(), nullable=False),
        sa.Column("last_seconds", sa.Double(), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["camera_id"], ["cameras.id"], name="fk_tracklets_camera_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name="fk_tracklets_identity_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_tracklets"),
        sa.UniqueConstraint("camera_id", "track_id", name="uq_tracklets_camera_id_track_id"),
    )
    op.create_index("ix_tracklets_identity_id", "tracklets", ["identity_id"])


def create_observations() -> None:
    """Every box."""
    op.create_table(
        "observations",
        sa.Column("tracklet_id", sa.Integer(), nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False)
          for name in ("seconds", "x1", "y1", "x2", "y2", "confidence", "visible")),
        sa.ForeignKeyConstraint(
            ["tracklet_id"], ["tracklets.id"], name="fk_observations_tracklet_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tracklet_id", "frame_index", name="pk_observations"),
        sqlite_with_rowid=False,
    )


def create_appearances() -> None:
    """What they look like, to the model and to a person."""
    op.create_table(
        "appearances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tracklet_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("dims", sa.Integer(), nullable=False),
        sa.Column("embedding", BLOB, nullable=False),
        sa.Column("mask", BLOB, nullable=False),
        sa.ForeignKeyConstraint(
            ["tracklet_id"], ["tracklets.id"], name="fk_appearances_tracklet_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_appearances"),
    )
    op.create_index("ix_appearances_tracklet_id_kind", "appearances", ["tracklet_id", "kind"])
    op.create_table(
        "crops",
        sa.Column("tracklet_id", sa.Integer(), nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("jpeg", BLOB, nullable=False),
        sa.ForeignKeyConstraint(["tracklet_id"], ["tracklets.id"], name="fk_crops_tracklet_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tracklet_id", "frame_index", name="pk_crops"),
    )


def create_links() -> None:
    """Why a tracklet is who it is."""
    op.create_table(
        "links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tracklet_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True)
          for name in ("similarity", "shared_mask", "gap_seconds")),
        sa.Column("by", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tracklet_id"], ["tracklets.id"], name="fk_links_tracklet_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name="fk_links_identity_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
    )
    op.create_index("ix_links_tracklet_id", "links", ["tracklet_id"])
    op.create_index("ix_links_identity_id", "links", ["identity_id"])
