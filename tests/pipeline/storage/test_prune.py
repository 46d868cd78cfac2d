"""Old pictures, embeddings and boxes are deleted by their age, and the file becomes smaller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.schema import RetentionConfig
from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.storage.prune import DAY_SECONDS, Pruned, prune_database
from reidpipe.pipeline.storage.queries import analysed_frames, observation_rows, tracklet_rows
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Crop, Observations, Tracklet
from reidpipe.reid import Appearance

from ..stored_runs import rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOISE = np.random.default_rng(1)


def store_days(path, days=3, start=NOON, name="door", dims=16):
    """A run with one tracklet of ten boxes on each of some days."""
    with Store.open(path, create=True) as store, store.start_run(
            "{}", [CameraRow(name, "x.mp4", 640, 480, 10.0, start.timestamp())]) as run:
        for day in range(days):
            first = start.timestamp() + day * DAY_SECONDS
            for frame in range(10):
                run.add_observations(Observations(
                    name, 1000 * day + frame, first + frame / 10, np.array([day + 1]),
                    np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32), np.ones(1, np.float32)))
            look = Appearance(np.full((1, dims), dims**-0.5, np.float32), np.ones((1, dims), np.float32))
            picture = NOISE.integers(0, 256, (180, 90, 3)).astype(np.uint8)
            run.add_tracklet(Tracklet(name, day + 1, first, first + 0.9, 10, look,
                                      [Crop(1000 * day, first, 0.5, picture)], look))


@pytest.fixture
def path(tmp_path):
    store_days(tmp_path / "a.db")
    return tmp_path / "a.db"


def counts(path):
    return tuple(rows(path, f"select count(*) from {table}")[0][0] for table in (
        "crops", "appearances", "observations", "frames", "tracklets"))


@pytest.mark.parametrize(("retention", "left"), [
    pytest.param({"crops_days": 1.5}, (2, 6, 30, 30, 3), id="pictures"),
    pytest.param({"appearances_days": 0.5}, (3, 2, 30, 30, 3), id="embeddings"),
    pytest.param({"observations_days": 1.5}, (3, 6, 20, 20, 3), id="boxes with their frames"),
    pytest.param({"crops_days": 0, "appearances_days": 0, "observations_days": 0}, (0, 0, 0, 0, 3), id="everything"),
    pytest.param({}, (3, 6, 30, 30, 3), id="nothing"),
])
def test_what_is_older_than_its_limit_is_deleted(path, retention, left):
    with Store.open(path) as store:
        prune_database(store, RetentionConfig(**retention), NOON + timedelta(days=2, hours=1))
    assert counts(path) == left


def test_what_is_left_can_be_read(path):
    with Store.open(path) as store:
        prune_database(store, RetentionConfig(observations_days=1.5), NOON + timedelta(days=2))
        assert {row.track for row in observation_rows(store)} == {2, 3}
        assert len(list(tracklet_rows(store))) == 3
        assert min(analysed_frames(store, "door")) == 1000


def test_a_dry_run_counts_the_same_and_deletes_nothing(path):
    retention, now = RetentionConfig(crops_days=1.5, observations_days=1.5), NOON + timedelta(days=2)
    with Store.open(path) as store:
        planned = prune_database(store, retention, now, dry_run=True)
        assert counts(path) == (3, 6, 30, 30, 3)
        done = prune_database(store, retention, now)
    assert planned == Pruned(1, 0, 10, 0)
    assert (done.crops, done.appearances, done.observations) == (1, 0, 10)


def test_the_room_is_given_back_and_the_rest_is_not_in_the_file(tmp_path):
    path = tmp_path / "a.db"
    store_days(path, days=40)
    picture = rows(path, "select image from crops limit 1")[0][0]
    with Store.open(path) as store:
        done = prune_database(store, RetentionConfig(crops_days=0), NOON + timedelta(days=50))
        size = path.stat().st_size
    assert done.crops == 40
    assert done.freed_bytes > 0.8 * 40 * len(picture)
    assert picture not in path.read_bytes()
    assert size == path.stat().st_size


def test_footage_without_a_clock_ages_from_the_start_of_its_run(tmp_path):
    store_days(tmp_path / "a.db", start=datetime(1970, 1, 1, tzinfo=UTC))
    with Store.open(tmp_path / "a.db") as store:
        assert prune_database(store, RetentionConfig(crops_days=1)).crops == 0
        assert prune_database(store, RetentionConfig(crops_days=1), datetime.now(UTC) + timedelta(days=1.5)).crops == 1


def test_a_database_that_a_run_writes_is_left_alone(path):
    with Store.open(path) as store, store.start_run("{}", [CameraRow("door", "x", 1, 1, 1.0, 0.0)]):
        with pytest.raises(StoreError, match=r"run 2 is writing to it \(process \d+ on .*\): wait until"):
            prune_database(store, RetentionConfig(crops_days=0))
        assert counts(path)[0] == 3


def test_the_command_deletes_by_options_or_by_the_config(path, tmp_path):
    result = CliRunner().invoke(main, ["prune", "--database", str(path), "--crops", "0", "--dry-run"])
    assert result.output == f"{path}: 3 crops, 0 appearances, 0 observations would be deleted\n"
    config = tmp_path / "a.yaml"
    config.write_text(f"database: {path}\ncameras: {{door: {{source: x.mp4}}}}\nretention: {{appearances_days: 0}}\n")
    result = CliRunner().invoke(main, ["prune", "--cameras", str(config), "--json"])
    assert result.exit_code == 0, result.output
    assert counts(path) == (3, 0, 30, 30, 3)


@pytest.mark.parametrize("days", ["nan", "inf", "-1", "soon"])
def test_days_that_are_no_number_delete_nothing(path, days):
    before = counts(path)
    result = CliRunner().invoke(main, ["prune", "--database", str(path), "--crops", days])
    assert (result.exit_code, counts(path)) == (2, before)
    assert "--crops" in result.stderr


def test_the_command_without_limits_says_what_to_give(path):
    result = CliRunner().invoke(main, ["prune", "--database", str(path)])
    assert result.exit_code == 2
    assert "nothing to delete: give --crops, --appearances or --observations" in result.output
