"""Short clips become a long day: the same people, frames and ground truth again and again."""

import csv
from pathlib import Path

import av
import pytest

from reidpipe.pipeline.config.loader import load_config
from sample_videos.measuring.long_run import write_long_footage

ROOT = Path(__file__).parents[3]
EVERY_SECONDS, REPEATS = 600.0, 3


def times(path):
    with av.open(str(path)) as video:
        return [float(frame.time) for frame in video.decode(video=0)]


def truth_rows(path):
    with path.open() as file:
        return [(int(row["frame"]), float(row["seconds"]), row["identity"], row["x1"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    out = tmp_path_factory.mktemp("long")
    config, truth = ROOT / "configs/tiny.yaml", ROOT / "sample_videos/tiny/truth"
    hours = REPEATS * EVERY_SECONDS / 3600
    assert list(write_long_footage(config, truth, out, hours, EVERY_SECONDS)) == ["left", "right"]
    return out


@pytest.mark.parametrize("camera", ["left", "right"])
def test_frames_and_ground_truth_repeat_with_advancing_time(day, camera):
    clip, rows = times(ROOT / f"sample_videos/tiny/{camera}.mp4"), truth_rows(
        ROOT / f"sample_videos/tiny/truth/{camera}.csv")
    assert len(clip) > 50 and len(rows) > 50
    assert times(day / f"{camera}.mp4") == pytest.approx(
        [repeat * EVERY_SECONDS + one for repeat in range(REPEATS) for one in clip], abs=1e-3)
    assert truth_rows(day / "truth" / f"{camera}.csv") == [
        (frame + repeat * len(clip), pytest.approx(seconds + repeat * EVERY_SECONDS), identity, x1)
        for repeat in range(REPEATS) for frame, seconds, identity, x1 in rows]


def test_the_config_is_that_of_the_clips(day):
    config, before = load_config(day / "store.yaml"), load_config(ROOT / "configs/tiny.yaml")
    assert [one.source for one in config.cameras.values()] == [str(day / f"{name}.mp4") for name in before.cameras]
    assert [one.homography for one in config.cameras.values()] == [one.homography for one in before.cameras.values()]
