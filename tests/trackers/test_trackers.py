"""Every tracker keeps the promises of the protocol."""

import numpy as np
import pytest
import supervision as sv

from reidpipe.trackers import TRACKERS, TrackerSettings

FPS = 10


def people(*centres_x: float, confidence: float = 0.9) -> sv.Detections:
    xyxy = np.array([[x - 20, 100, x + 20, 200] for x in centres_x], np.float32).reshape(-1, 4)
    return sv.Detections(xyxy=xyxy, confidence=np.full(len(xyxy), confidence, np.float32))


class FrameTracker:
    """A tracker whose frames come at a fixed rate, unless their time is given."""

    def __init__(self, tracker):
        self.tracker, self.seconds = tracker, 1772442000.0

    def update(self, detections, after=1 / FPS):
        self.seconds += after
        return self.tracker.update(detections, self.seconds)


@pytest.fixture(params=sorted(TRACKERS))
def new_tracker(request):
    return lambda **settings: FrameTracker(TRACKERS[request.param](TrackerSettings(**settings)))


def test_a_walker_keeps_one_id(new_tracker):
    tracker = new_tracker()
    ids = {int(i) for step in range(20) for i in tracker.update(people(50 + 4 * step)).tracker_id}
    assert ids == {1}


def test_two_walkers_who_approach_keep_their_ids(new_tracker):
    tracker = new_tracker()
    for step in range(30):
        tracked = tracker.update(people(50 + 3 * step, 350 - 3 * step))
    left_to_right = tracked.tracker_id[np.argsort(tracked.xyxy[:, 0])]
    assert left_to_right.tolist() == [1, 2]


def test_boxes_are_returned_as_they_were_detected(new_tracker):
    tracker = new_tracker()
    for step in range(5):
        detections = people(50 + 4 * step, 300)
        tracked = tracker.update(detections)
    np.testing.assert_array_equal(np.sort(tracked.xyxy, axis=0), np.sort(detections.xyxy, axis=0))


def test_a_frame_without_people_gives_empty_arrays(new_tracker):
    tracker = new_tracker()
    for _ in range(3):
        tracked = tracker.update(people())
        assert tracked.xyxy.shape == (0, 4)
        assert tracked.tracker_id.shape == (0,)


def test_a_short_absence_keeps_the_id_and_a_long_one_does_not(new_tracker):
    tracker = new_tracker(lost_seconds=0.5)
    for _ in range(5):
        tracker.update(people(100))
    for _ in range(4):
        tracker.update(people())
    assert tracker.update(people(100)).tracker_id.tolist() == [1]
    for _ in range(5):
        tracker.update(people())
        assert 1 in tracker.tracker.open_ids
    tracker.update(people())
    assert 1 not in tracker.tracker.open_ids
    for _ in range(3):
        tracked = tracker.update(people(100))
    assert len(tracked) == 1
    assert tracked.tracker_id.tolist() != [1]


def test_a_gap_in_the_footage_ends_all_tracks(new_tracker):
    tracker = new_tracker(lost_seconds=0.5)
    for _ in range(5):
        tracker.update(people(100, 300))
    for step in range(3):
        tracked = tracker.update(people(100), after=1 / FPS if step else 60)
    assert len(tracked) == 1
    assert tracked.tracker_id.tolist() not in ([1], [2])
    assert {1, 2}.isdisjoint(tracker.tracker.open_ids)


def test_two_cameras_share_no_ids(new_tracker):
    first, second = new_tracker(), new_tracker()
    for _ in range(3):
        tracked = first.update(people(50, 200, 350))
        other = second.update(people(100))
    assert sorted(tracked.tracker_id.tolist()) == [1, 2, 3]
    assert other.tracker_id.tolist() == [1]


def test_boxes_of_low_confidence_start_no_track(new_tracker):
    tracker = new_tracker(new_track_confidence=0.6)
    for _ in range(5):
        assert len(tracker.update(people(100, confidence=0.5))) == 0
