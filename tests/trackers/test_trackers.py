"""Every tracker keeps the promises of the protocol."""

import numpy as np
import pytest

from reidpipe.trackers import TRACKERS, Detections, TrackerSettings

from .scripted import FPS, FrameTracker, people


@pytest.fixture(params=sorted(TRACKERS))
def new_tracker(request):
    return lambda **settings: FrameTracker(TRACKERS[request.param](TrackerSettings(**settings)))


def test_a_walker_keeps_one_id(new_tracker):
    tracker = new_tracker()
    for step in range(40):
        tracker.update(people(50 + 4 * step))
    assert {i for ids in tracker.ids() for i in ids} == {1}


def test_two_walkers_who_approach_keep_their_ids(new_tracker):
    tracker = new_tracker()
    for step in range(30):
        tracker.update(people(50 + 3 * step, 350 - 3 * step))
    last = tracker.finish()[-1]
    assert last.track_ids[np.argsort(last.xyxy[:, 0])].tolist() == [1, 2]


def test_every_frame_is_returned_once_in_order_with_its_own_boxes(new_tracker):
    tracker, seconds, frames = new_tracker(), [], [people(50 + 4 * step, 300) for step in range(60)]
    for detections in frames:
        tracker.update(detections)
        seconds.append(tracker.seconds)
    settled = tracker.finish()
    assert [frame.seconds for frame in settled] == seconds
    for frame, detections in zip(settled[1:], frames[1:], strict=True):
        assert len(frame.rows) == 2
        np.testing.assert_array_equal(frame.xyxy, detections.xyxy[frame.rows])
        np.testing.assert_array_equal(frame.confidence, detections.confidence[frame.rows])


def test_frames_are_not_held_back_for_long(new_tracker):
    tracker = new_tracker(fill_seconds=1.0)
    for step in range(60):
        tracker.update(people(50 + 4 * step))
        oldest = tracker.frames[-1].seconds if tracker.frames else 0
        assert step < 4 * FPS or tracker.seconds - oldest < 3


def test_a_frame_without_people_gives_empty_arrays(new_tracker):
    tracker = new_tracker()
    for _ in range(3):
        tracker.update(people())
    for frame in tracker.finish():
        assert frame.xyxy.shape == (0, 4)
        assert frame.track_ids.shape == frame.rows.shape == frame.confidence.shape == (0,)
    assert tracker.tracker.people == 0


def test_a_short_absence_keeps_the_id_and_a_long_one_does_not(new_tracker):
    tracker = new_tracker(lost_seconds=0.5, appearance="none")
    for _ in range(5):
        tracker.update(people(100))
    for _ in range(4):
        tracker.update(people())
    tracker.update(people(100))
    for _ in range(8):
        tracker.update(people())
    for _ in range(40):
        tracker.update(people(100))
    assert 1 not in tracker.tracker.open_ids
    ids = tracker.ids()
    assert ids[9] == [1]
    assert len(ids[-1]) == 1
    assert ids[-1] != [1]


def test_a_gap_in_the_footage_ends_all_tracks(new_tracker):
    tracker = new_tracker(lost_seconds=0.5)
    for _ in range(5):
        tracker.update(people(100, 300))
    for step in range(40):
        tracker.update(people(100), after=1 / FPS if step else 60)
    assert {1, 2}.isdisjoint(tracker.tracker.open_ids)
    last = tracker.ids()[-1]
    assert len(last) == 1
    assert last not in ([1], [2])


def test_two_cameras_share_no_ids(new_tracker):
    first, second = new_tracker(), new_tracker()
    for _ in range(3):
        first.update(people(50, 200, 350))
        second.update(people(100))
    assert sorted(first.ids()[-1]) == [1, 2, 3]
    assert second.ids()[-1] == [1]


def test_boxes_of_low_confidence_start_no_track(new_tracker):
    tracker = new_tracker(new_track_confidence=0.6)
    for _ in range(5):
        tracker.update(people(100, confidence=0.5))
    assert tracker.ids() == [[]] * 5


def test_a_short_gap_is_filled_by_interpolation_and_marked(new_tracker):
    tracker = new_tracker(fill_seconds=1.0)
    for step in range(30):
        tracker.update(people(*(() if 10 <= step < 14 else (100 + 2 * step,))))
    frames = tracker.finish()
    assert [len(frame.rows) for frame in frames[1:]] == [1] * 29
    for step in range(10, 14):
        assert frames[step].rows.tolist() == [-1]
        assert frames[step].confidence.tolist() == [0]
        np.testing.assert_allclose(frames[step].xyxy, people(100 + 2 * step).xyxy, atol=0.01)
    assert all(frame.rows.tolist() == [0] for frame in frames[1:10] + frames[14:])


def test_a_gap_longer_than_allowed_is_not_filled(new_tracker):
    tracker = new_tracker(fill_seconds=0.3, lost_seconds=2.0)
    for step in range(30):
        tracker.update(people(*(() if 10 <= step < 14 else (100,))))
    assert [len(frame.rows) for frame in tracker.finish()][10:14] == [0] * 4


def test_no_more_crops_are_embedded_than_the_budget_allows(new_tracker):
    tracker = new_tracker(crops_per_second=0.5, interval_seconds=0.1)
    for step in range(100):
        tracker.update(people(50 + step, 300 - step))
    person_seconds = 2 * 100 / FPS
    assert 0 < len(tracker.embedded) <= 0.5 * person_seconds


def test_a_person_in_plain_view_is_embedded_about_once_per_interval(new_tracker):
    tracker = new_tracker(crops_per_second=5.0, interval_seconds=1.0)
    for _ in range(100):
        tracker.update(people(100))
    assert 9 <= len(tracker.embedded) <= 14  # with the first few of a new track


def test_small_people_are_tracked_but_not_embedded(new_tracker):
    tracker = new_tracker(min_height_px=101)
    for _ in range(30):
        tracker.update(people(100))
    assert tracker.embedded == []
    assert tracker.ids()[-1] == [1]


def test_a_frame_before_anything_was_seen_needs_no_detections(new_tracker):
    tracker = new_tracker()
    tracker.update(Detections(xyxy=np.zeros((0, 4), np.float32), confidence=np.zeros(0, np.float32)))
    assert tracker.ids() == [[]]
