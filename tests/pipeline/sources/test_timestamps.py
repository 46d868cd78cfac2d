"""Time only ever goes forward, whatever the stream says; thinning keeps what its setting promises."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reidpipe.pipeline.sources.timestamps import LONGEST_PAUSE_SECONDS, Clock, Thinning

MILLISECOND = Fraction(1, 1000)
DAY_MS = 86_400_000


def times(clock, *pts):
    return [clock.seconds(now, after) for now, after in zip(pts, [*pts, None][1:], strict=True)]


@given(st.lists(st.none() | st.integers(-(10**9), 10**9), max_size=50), st.floats(0.1, 240))
def test_seconds_always_increase(pts, fps):
    seconds = times(Clock(MILLISECOND, fps), *pts)
    assert np.all(np.diff([0.0, *seconds])[1:] > 0)
    assert all(second >= 0 for second in seconds[:1])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50), st.none() | st.integers(-(2**63), 2**63 - 1))
def test_damaged_timestamps_never_leave_the_calendar(pts, damage_before):
    clock = Clock(MILLISECOND, 10)
    if damage_before is not None:
        clock.starts_at(damage_before)
    assert all(second <= (place + 1) * LONGEST_PAUSE_SECONDS for place, second in enumerate(times(clock, *pts)))


@given(st.sets(st.integers(0, 10**7), min_size=1, max_size=50), st.integers(-(10**9), 10**9))
def test_good_timestamps_are_kept_whatever_they_start_at(pts, start):
    ordered = sorted(pts)
    seconds = times(Clock(MILLISECOND, 25), *(start + value for value in ordered))
    assert seconds == pytest.approx([(value - ordered[0]) / 1000 for value in ordered], abs=1e-9)


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        pytest.param([0, 100, 100, 200], [0, 0.1, 0.15, 0.2], id="repeated"),
        pytest.param([0, 100, 80, 200], [0, 0.04, 0.08, 0.2], id="a little back"),
        pytest.param([0, 100, 100, 100, 200], [0, 0.1, 0.101, 0.15, 0.2], id="repeated twice"),
        pytest.param([0, 100, 10**9, 300], [0, 0.1, 0.2, 0.3], id="one far ahead"),
        pytest.param([0, 100, -(10**9), 300], [0, 0.1, 0.2, 0.3], id="one far back"),
        pytest.param([0, 100, 9000, 9100], [0, 0.1, 9.0, 9.1], id="a gap stays"),
        pytest.param([5000, 5100, 0, 100, 200], [0, 0.1, 0.2, 0.3, 0.4], id="clock set anew"),
        pytest.param([0, 100, DAY_MS, DAY_MS + 100], [0, 0.1, 86_400, 86_400.1], id="a day's pause stays"),
        pytest.param([0, 100, 8 * DAY_MS, 8 * DAY_MS + 100], [0, 0.1, 0.2, 0.3], id="clock set ahead"),
        pytest.param([0, 100, 8 * 10**15, 8 * 10**15 + 100, 300], [0, 0.1, 0.2, 0.3, 0.4], id="two far ahead"),
        pytest.param([0, None, None, 300], [0, 0.1, 0.2, 0.3], id="some without"),
        pytest.param([None, None, 700, 800], [0, 0.1, 0.2, 0.3], id="the first without"),
        pytest.param([None, None], [0, 0.1], id="none at all"),
    ],
)
def test_odd_timestamps_are_repaired(pts, expected):
    assert times(Clock(MILLISECOND, 10), *pts) == pytest.approx(expected)


def test_footage_begins_at_its_damaged_start():
    clock = Clock(MILLISECOND, 10)
    clock.starts_at(1200)
    clock.starts_at(1000)
    assert times(clock, 1500, 1600) == pytest.approx([0.5, 0.6])
    assert clock.end_seconds == pytest.approx(0.7)


@given(st.floats(0.2, 120), st.floats(1, 120), st.integers(1, 400))
def test_a_rate_is_never_exceeded_and_reached_where_there_is_enough(fps, source_fps, count):
    thinning = Thinning(1, fps, source_fps)
    kept = [number / source_fps for number in range(count) if thinning.keeps(number, number / source_fps)]
    span = (count - 1) / source_fps
    wanted = span * min(fps, source_fps)
    assert kept[0] == 0
    assert wanted - 1 <= len(kept) <= wanted + 2


@given(st.integers(1, 50), st.integers(1, 200))
def test_every_nth_is_kept(every, count):
    thinning = Thinning(every, None, 25)
    assert [n for n in range(count) if thinning.keeps(n, n / 25)] == list(range(0, count, every))
