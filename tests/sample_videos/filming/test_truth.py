"""The committed truth agrees with the committed videos, and with itself."""

import csv
import json
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest

from sample_videos.filming.truth import HEADER

FOLDER = Path(__file__).parents[3] / "sample_videos"
OPENING = datetime.fromisoformat("2026-03-02T09:00:00+00:00").timestamp()
SETS = {"sample": FOLDER, "tiny": FOLDER / "tiny"}
CAMERAS = {
    "sample": ("entrance", "aisle_left", "aisle_right", "checkout"),
    "tiny": ("left", "right"),
}
FILMED = [(name, camera) for name, cameras in CAMERAS.items() for camera in cameras]


def described(name):
    return json.loads((SETS[name] / "truth" / "cameras.json").read_text())


def rows_of(name, camera):
    """Truth rows as floats, (N, 14) in HEADER's order."""
    with (SETS[name] / "truth" / f"{camera}.csv").open() as file:
        reader = csv.reader(file)
        assert next(reader) == HEADER
        return np.array([[float(value) for value in row] for row in reader])


def timestamps_of(name, camera):
    """Seconds from the stream's start of every frame, and the size."""
    with av.open(str(SETS[name] / f"{camera}.mp4")) as container:
        stream = container.streams.video[0]
        ticks = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        return np.array(ticks) * float(stream.time_base), (stream.width, stream.height)


@pytest.mark.parametrize("name", SETS)
def test_every_camera_is_described(name):
    assert tuple(described(name)) == CAMERAS[name]


@pytest.mark.parametrize(("name", "camera"), FILMED)
def test_streams_keep_their_rate_and_size(name, camera):
    camera_facts = described(name)[camera]
    seconds, size = timestamps_of(name, camera)
    assert size == (camera_facts["width"], camera_facts["height"])
    expected = np.arange(len(seconds)) / camera_facts["fps"]
    assert np.abs(seconds - seconds[0] - expected).max() < 1e-4
    assert seconds[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("name", "camera"), FILMED)
def test_truth_seconds_are_start_time_plus_the_streams_timestamps(name, camera):
    rows, (seconds, _) = rows_of(name, camera), timestamps_of(name, camera)
    frames = rows[:, 0].astype(int)
    assert frames.min() >= 0
    assert frames.max() < len(seconds)
    start = datetime.fromisoformat(described(name)[camera]["start_time"]).timestamp()
    assert np.abs(rows[:, 1] - start - seconds[frames]).max() < 0.002


def test_one_camera_starts_late_and_one_runs_slower():
    cameras = described("sample")
    starts = {
        name: datetime.fromisoformat(facts["start_time"]).timestamp() - OPENING for name, facts in cameras.items()
    }
    assert starts == {"entrance": 0, "aisle_left": 0, "aisle_right": 3, "checkout": 0}
    assert {name: facts["fps"] for name, facts in cameras.items()} == {
        "entrance": 12.5, "aisle_left": 12.5, "aisle_right": 12.5, "checkout": 12.0,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "camera"), FILMED)
def test_boxes_lie_in_the_image_and_seen_boxes_in_whole_ones(name, camera):
    facts, rows = described(name)[camera], rows_of(name, camera)
    x1, y1, x2, y2, sx1, sy1, sx2, sy2, share = rows[:, 3:12].T
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= facts["width"]).all() and (y2 <= facts["height"]).all()
    assert (x2 > x1).all() and (y2 > y1).all() and (sx2 > sx1).all() and (sy2 > sy1).all()
    assert (sx1 >= x1 - 1).all() and (sy1 >= y1 - 1).all() and (sx2 <= x2 + 1).all() and (sy2 <= y2 + 1).all()
    assert (share >= 0).all() and (share <= 1).all()


@pytest.mark.parametrize(("name", "camera"), FILMED)
def test_a_person_is_in_a_frame_once(name, camera):
    keys = rows_of(name, camera)[:, [0, 2]]
    assert len(np.unique(keys, axis=0)) == len(keys)


@pytest.mark.parametrize(("name", "camera"), FILMED)
def test_homography_takes_feet_to_the_floor_point(name, camera):
    facts, rows = described(name)[camera], rows_of(name, camera)
    whole = (
        (rows[:, 6] < facts["height"] - 3) & (rows[:, 3] > 3) & (rows[:, 5] < facts["width"] - 3) & (rows[:, 11] > 0.95)
    )
    rows = rows[whole]
    assert len(rows) > 50
    feet = np.column_stack([(rows[:, 3] + rows[:, 5]) / 2, rows[:, 6], np.ones(len(rows))])
    floor = feet @ np.array(facts["image_to_floor"]).T
    off = np.linalg.norm(floor[:, :2] / floor[:, 2:] - rows[:, 12:14], axis=1)
    # The lowest pixel is a toe or a heel in mid-step, up to half a step from the pelvis.
    assert np.median(off) < 0.35
    assert np.percentile(off, 95) < 0.9


def test_enough_people_and_most_appear_in_two_cameras():
    seen = {camera: set(rows_of("sample", camera)[:, 2].astype(int)) for camera in CAMERAS["sample"]}
    everybody = set.union(*seen.values())
    assert everybody == set(range(1, len(everybody) + 1))
    assert len(everybody) >= 16
    assert sum(sum(person in people for people in seen.values()) >= 2 for person in everybody) >= 14


def test_aisles_overlap_and_the_same_person_stands_at_one_place():
    left, right = rows_of("sample", "aisle_left"), rows_of("sample", "aisle_right")
    apart = []  # metres between the two cameras' floor points of a person, half a frame apart in time
    for person in np.unique(right[:, 2]):
        ours, theirs = left[left[:, 2] == person], right[right[:, 2] == person]
        late = np.abs(ours[:, None, 1] - theirs[None, :, 1])  # (N, M)
        mine, yours = np.nonzero(late < 0.045)
        apart.extend(np.linalg.norm(ours[mine, 12:14] - theirs[yours, 12:14], axis=1))
    assert len(apart) > 500
    assert max(apart) < 0.12


def test_checkout_shares_no_floor_with_another_camera():
    others = [rows_of("sample", camera)[:, 12] for camera in ("entrance", "aisle_left", "aisle_right")]
    assert rows_of("sample", "checkout")[:, 12].min() > max(floor_x.max() for floor_x in others)


def test_some_people_stay_half_hidden():
    for camera in ("aisle_left", "aisle_right"):
        share = rows_of("sample", camera)[:, 11]
        assert 0.1 < ((share > 0.1) & (share < 0.7)).mean() < 0.7


def test_footage_is_small_enough_to_ship():
    sample = sum((FOLDER / f"{camera}.mp4").stat().st_size for camera in CAMERAS["sample"])
    tiny = sum((FOLDER / "tiny" / f"{camera}.mp4").stat().st_size for camera in CAMERAS["tiny"])
    truth = sum(path.stat().st_size for path in (FOLDER / "truth").iterdir())
    assert sample <= 16e6
    assert tiny <= 300e3
    assert truth <= 1.5e6
