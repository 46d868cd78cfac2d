"""Our tracker keeps people apart by appearance, where motion and overlap cannot."""

import subprocess
import sys

import numpy as np
import pytest

from reidpipe.trackers import MaskedTracker, TrackerSettings

from ..scripted import FPS, FrameTracker, people

RED, BLUE = [1, 0, 0], [0, 1, 0]


def new_tracker(**settings):
    return FrameTracker(MaskedTracker(TrackerSettings(**settings)))


def turn_back(tracker, turn, frames=60):
    """Two people walk towards each other; they pass, or turn back where they meet. Returns their ids by looks.

    The boxes are the same in both cases: only looks differ.
    """
    for step in range(frames):
        distance = abs(frames / 2 - step) * 4
        left, right = 200 - distance / 2, 200 + distance / 2
        first_is_left = turn or step < frames / 2
        tracker.update(people(left, right), looks=[RED, BLUE] if first_is_left else [BLUE, RED])
    ids = []
    for step, frame in enumerate(tracker.finish()):
        by_row = dict(zip(frame.rows.tolist(), frame.track_ids.tolist(), strict=True))
        first_is_left = turn or step < frames / 2
        ids.append((by_row.get(0 if first_is_left else 1), by_row.get(1 if first_is_left else 0)))
    return ids


@pytest.mark.parametrize("turn", [True, False], ids=["they turn back", "they pass"])
def test_two_people_who_meet_keep_their_ids(turn):
    ids = turn_back(new_tracker(), turn)
    apart = ids[:20] + ids[40:]
    assert len(set(apart)) == 1, set(apart)




def test_a_track_that_changes_over_to_somebody_else_is_split_there():
    tracker = new_tracker()
    for step in range(80):
        tracker.update(people(100), looks=[RED if step < 40 else BLUE])
    ids = [one for (one,) in tracker.ids()]
    assert len(set(ids)) == 2
    changed = next(step for step in range(80) if ids[step] != ids[0])
    assert abs(changed - 40) <= FPS
    assert len(set(ids[changed:])) == 1


def test_somebody_who_was_lost_for_a_moment_gets_their_id_back_by_appearance():
    tracker = new_tracker(lost_seconds=2.0)
    for _ in range(30):
        tracker.update(people(100), looks=[RED])
    for _ in range(12):
        tracker.update(people())
    for _ in range(40):
        tracker.update(people(160), looks=[RED])  # too far away for overlap
    assert {one for ids in tracker.ids() for one in ids} == {1}


def test_somebody_else_at_the_same_place_gets_a_new_id():
    tracker = new_tracker(lost_seconds=2.0)
    for _ in range(30):
        tracker.update(people(100), looks=[RED])
    for _ in range(6):
        tracker.update(people())
    for _ in range(40):
        tracker.update(people(100), looks=[BLUE])
    ids = tracker.ids()
    assert ids[0] != ids[-1]
    assert ids[36] == ids[-1]


def test_masked_dims_do_not_make_somebody_different():
    """Half of the person is hidden after the gap: what both sides show is the same."""
    tracker = MaskedTracker(TrackerSettings())
    whole = np.float32([[0.6, 0.8, 0.0]]), np.float32([[1, 1, 1]])
    half = np.float32([[0.6, 0.0, 0.8]]), np.float32([[1, 0.001, 0.001]])
    frames = []
    for step in range(80):
        view = whole if step < 40 else half
        frames += tracker.update(people(100), 100 + step / FPS, lambda rows, view=view: view)
    frames += tracker.finish()
    assert {one for frame in frames for one in frame.track_ids.tolist()} == {1}
    plain = MaskedTracker(TrackerSettings(appearance="plain"))
    frames = []
    for step in range(80):
        view = whole if step < 40 else (np.float32([[0.28, 0.0, 0.96]]), half[1])
        frames += plain.update(people(100), 100 + step / FPS, lambda rows, view=view: view)
    assert len({one for frame in frames + plain.finish() for one in frame.track_ids.tolist()}) == 2


def test_a_single_false_detection_is_removed():
    tracker = new_tracker()
    for step in range(60):
        tracker.update(people(100, 400) if step == 20 else people(100))
    assert tracker.ids() == [[1]] * 60


def test_the_first_box_of_a_person_belongs_to_the_track():
    tracker = new_tracker()
    for step in range(20):
        tracker.update(people(*((100,) if step >= 5 else ())))
    assert tracker.ids()[5] == [1]


def test_memory_does_not_grow_with_the_footage():
    tracker = new_tracker()
    for step in range(600):
        tracker.update(people(50 + step % 300, 400), looks=[RED, BLUE])
    held = tracker.tracker._window
    assert len(held._frames) <= 3 * FPS
    assert all(len(track.views) <= 16 for track in tracker.tracker._tracks)


def test_tracking_imports_neither_torch_nor_ultralytics():
    script = (
        "import sys\n"
        "import numpy as np\n"
        "from reidpipe.trackers import TRACKERS, Detections, TrackerSettings\n"
        "tracker = TRACKERS['masked'](TrackerSettings())\n"
        "boxes = Detections(xyxy=np.float32([[0, 0, 50, 100]]), confidence=np.float32([0.9]))\n"
        "look = lambda rows: (np.float32([[1, 0]]), np.float32([[1, 1]]))\n"
        "frames = [one for step in range(40) for one in tracker.update(boxes, step / 10, look)]\n"
        "assert frames and frames[-1].track_ids.tolist() == [1]\n"
        "print({'torch', 'ultralytics'} & set(sys.modules))\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
