"""Tracklets read from the database are those that the run linked."""

from dataclasses import replace

import numpy as np
import pytest

from reidpipe.pipeline.config.stages import AppearanceConfig
from reidpipe.pipeline.errors import StoreError
from reidpipe.pipeline.stages.embed import FrameCrops
from reidpipe.pipeline.stages.tracklet_builder import TrackletBuilder
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.storage.tracklets import stored_tracklets
from reidpipe.pipeline.types import Frame
from reidpipe.trackers import TrackedFrame

from ..stored_runs import appearance, small_run

HOMOGRAPHY = [[0.01, 0.002, 1.0], [0.001, 0.02, -2.0], [0.0, 0.0005, 1.0]]


class NobodyEmbeds:
    """No crop is asked for."""

    dimensions = 8


def built(name: str, homography: list[list[float]] | None, writer) -> object:
    """One walk through the pipeline's own builder: 40 frames, one of them missing, an irregular clock."""
    builder = TrackletBuilder(name, AppearanceConfig(), None if homography is None else np.array(homography), 8)
    random = np.random.default_rng(3)
    for index in range(40):
        frame = Frame(name, index, 1e9 + index * 0.07 + float(random.uniform(0, 0.01)),
                      np.zeros((480, 640, 3), np.uint8))
        count = 0 if index == 17 else 1
        xyxy = np.array([[10 + 5 * index, 50, 70 + 5 * index, 300.3]] * count, np.float32).reshape(-1, 4)
        filled = index == 25
        people = TrackedFrame(frame.seconds, xyxy, np.full(count, 0.0 if filled else 0.9, np.float32),
                              np.ones(count, np.int64), np.full(count, -1 if filled else 0))
        writer.add_observations(builder.update(FrameCrops(frame, xyxy, NobodyEmbeds(), Stopwatch()), people))
    (plain,) = builder.close(())
    tracklet = replace(plain, appearance=appearance(1), crop_appearance=None)
    writer.add_tracklet(tracklet)
    return tracklet


def test_a_tracklet_is_read_as_it_was_built(tmp_path):
    cameras = [CameraRow("door", "x", 640, 480, 15.0, 0.0, HOMOGRAPHY), CameraRow("hall", "x", 640, 480, 15.0, 0.0)]
    with Store.open(tmp_path / "a.db", create=True) as store:
        with store.start_run("{}", cameras) as run:
            expected = [built("door", HOMOGRAPHY, run), built("hall", None, run)]
        read = stored_tracklets(store)
    for one, other in zip(read, expected, strict=True):
        assert (one.key, one.first_seconds, one.last_seconds, one.observations) == (
            other.key, other.first_seconds, other.last_seconds, other.observations)
        np.testing.assert_allclose(one.path, other.path, atol=1 / 64)  # pixels
        np.testing.assert_allclose(one.appearance.embedding, other.appearance.embedding, atol=4e-3)
        np.testing.assert_allclose(one.appearance.mask, other.appearance.mask, atol=2e-3)
    assert read[0].observations == 38  # one frame is empty, and one box is interpolated
    np.testing.assert_allclose(read[0].floor_path, expected[0].floor_path, rtol=1e-3)
    assert len(read[0].floor_path) == 5  # 2.7 s, one row per half second
    assert read[1].floor_path is None


def test_tracklets_without_appearance_have_no_row(tmp_path):
    small_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as store:
        found = {one.key: one for one in stored_tracklets(store)}
        assert {key: len(one.appearance) for key, one in found.items()} == {
            ("door", 1): 1, ("door", 2): 1, ("hall", 1): 0}
        assert len({one.appearance.dimensions for one in found.values()}) == 1
        with pytest.raises(StoreError, match="no run 9"):
            stored_tracklets(store, 9)
