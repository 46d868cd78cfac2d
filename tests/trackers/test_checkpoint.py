"""A tracker that is stored and restored goes on as if nothing had happened."""

import io

import numpy as np
import pytest

from reidpipe.trackers import MaskedTracker, TrackerSettings

from .scripted import START, people


def crowd(frames=160, seed=3):
    """Five people with looks of their own who walk about, meet, vanish for a moment and are missed at times."""
    random = np.random.default_rng(seed)
    looks = np.eye(8, dtype=np.float32)[:5]
    speed = random.uniform(-60, 60, 5)
    for frame in range(frames):
        seconds = frame / 10
        x = 300 + 250 * np.sin(speed / 40 * seconds + np.arange(5))
        there = random.random(5) > 0.1
        there[frame // 30 % 5] &= frame % 30 > 12
        noisy = looks[there] + random.normal(0, 0.05, (int(there.sum()), 8)).astype(np.float32)
        yield people(*x[there]), START + seconds, noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def saved_and_loaded(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        return dict(loaded)


def tracked(appearance, restore_every=None):
    """All settled frames of the crowd, and the rows that were embedded."""
    settings = TrackerSettings(lost_seconds=2.0, appearance=appearance)
    tracker, frames, embedded = MaskedTracker(settings), [], []
    for number, (detections, seconds, looks) in enumerate(crowd()):
        if restore_every is not None and number % restore_every == 0:
            state = tracker.state()
            tracker = MaskedTracker(settings)
            tracker.restore(saved_and_loaded(state))

        def embed(rows, looks=looks, number=number):
            embedded.append((number, rows.tolist()))
            return looks[rows], np.ones((len(rows), 8), np.float32)

        frames += tracker.update(detections, seconds, embed)
        frames.append(sorted(tracker.open_ids))
    return frames + tracker.finish(), embedded


@pytest.mark.parametrize("appearance", ["masked", "none"])
@pytest.mark.parametrize("restore_every", [1, 37])
def test_a_restored_tracker_goes_on_as_the_one_before(appearance, restore_every):
    unbroken, embedded = tracked(appearance)
    restored, embedded_again = tracked(appearance, restore_every)
    assert embedded_again == embedded
    assert len(restored) == len(unbroken)
    for one, other in zip(restored, unbroken, strict=True):
        if isinstance(one, list):
            assert one == other
            continue
        assert one.seconds == other.seconds
        for name in ("xyxy", "confidence", "track_ids", "rows"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
