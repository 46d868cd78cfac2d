"""Settled boxes become observations and tracklets; each embedded crop follows its box to the right one."""

import io
from dataclasses import fields, replace

import numpy as np
import pytest

from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.config.stages import AppearanceConfig
from reidpipe.pipeline.stages.embed import FrameCrops
from reidpipe.pipeline.stages.track import TrackStage
from reidpipe.pipeline.stages.tracklet_builder import TrackletBuilder
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Crop, Frame
from reidpipe.reid import Appearance
from reidpipe.trackers import Detections, TrackedFrame

FPS = 10


class ColourEmbedder:
    """Embeds a crop as its grey level."""

    dimensions = 2

    def __init__(self):
        self.crops = 0

    def embed(self, crops):
        self.crops += len(crops)
        angle = np.array([crop[0, 0, 0] / 100 for crop in crops])
        embedding = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        return Appearance(embedding, np.ones_like(embedding))


def frame_at(index):
    image = np.full((240, 320, 3), index % 256, np.uint8)  # a crop's colour identifies its frame
    return Frame("a", index, index / FPS, image)


def boxes(*lefts):
    return np.array([[left, 50, left + 40, 170] for left in lefts], np.float32).reshape(-1, 4)


def tracked(index, *rows, confidence=0.9):
    """Rows of (tracker id, left, row of the detection); all boxes are 40 x 120."""
    source = np.array([row for _, _, row in rows], np.int64)
    return TrackedFrame(
        index / FPS, boxes(*(left for _, left, _ in rows)),
        np.where(source < 0, 0, confidence).astype(np.float32), np.array([one for one, _, _ in rows], np.int64), source)


def crops_at(index, *lefts, embed=()):
    crops = FrameCrops(frame_at(index), boxes(*lefts), ColourEmbedder(), Stopwatch())
    if embed:
        crops.embed(np.array(embed))
    crops.release()
    return crops


def changing_crops(index):
    """One box whose colour changes every twenty frames, embedded in every fourth."""
    frame = Frame("a", index, index / FPS, np.full((240, 320, 3), 5 + 60 * (index // 20), np.uint8))
    crops = FrameCrops(frame, boxes(100), ColourEmbedder(), Stopwatch())
    if index % 4 == 0:
        crops.embed(np.array([0]))
    return crops


def new_builder(homography=None, split_similarity=-1.0, **config):
    return TrackletBuilder("a", AppearanceConfig(**config), homography, 2, split_similarity)


def test_observations_number_tracks_from_one_and_keep_their_boxes():
    observations = new_builder().update(crops_at(0, 50, 200), tracked(0, (17, 50, 0), (9, 200, 1)))
    assert observations.track_ids.tolist() == [1, 2]
    np.testing.assert_array_equal(observations.xyxy, boxes(50, 200))
    assert (observations.frame_index, observations.seconds) == (0, 0.0)
    assert not observations.interpolated.any()


def test_a_frame_without_people_gives_empty_arrays():
    assert new_builder().update(crops_at(0), tracked(0)).xyxy.shape == (0, 4)


def test_interpolated_boxes_are_marked_and_are_no_observations():
    builder = new_builder()
    for index in range(10):
        observations = builder.update(crops_at(index), tracked(index, (1, 100, -1 if 3 <= index < 6 else 0)))
        assert observations.interpolated.tolist() == [3 <= index < 6]
    (tracklet,) = builder.close(())
    assert tracklet.observations == 7
    assert tracklet.confidence == pytest.approx(0.9)


def test_a_track_closes_once_the_tracker_has_ended_it():
    builder = new_builder()
    for index in range(3):
        builder.update(crops_at(index), tracked(index, (17, 100, 0)))
    assert builder.close(open_ids={17}) == []
    (tracklet,) = builder.close(open_ids={18})
    assert (tracklet.track_id, tracklet.first_seconds, tracklet.last_seconds, tracklet.observations) == (1, 0.0, 0.2, 3)
    assert builder.close(open_ids=()) == []


def test_each_embedded_crop_belongs_to_the_track_that_its_box_is_settled_to():
    builder = new_builder()
    for index in range(4):
        rows = (1, 100, 0), (2, 200, 1)
        builder.update(crops_at(index, 100, 200, embed=(1,) if index == 2 else (0, 1)), tracked(index, *rows))
    one, two = builder.close(())
    assert [crop.frame_index for crop in one.crops] == [0, 1, 3]
    assert [crop.frame_index for crop in two.crops] == [0, 1, 2, 3]
    assert all(crop.image.shape == (120, 40, 3) and crop.image[0, 0, 0] == crop.frame_index for crop in two.crops)
    angles = np.arctan2(*two.crop_appearance.embedding.T[::-1])
    np.testing.assert_allclose(angles * 100, [0, 1, 2, 3], atol=0.01)
    assert two.appearance.embedding.shape == (1, 2)


def test_only_the_best_views_are_kept():
    builder = new_builder(crops_per_tracklet=3)
    for index in range(10):
        people = tracked(index, (1, 100, 0), confidence=0.9 if index in (2, 5, 7) else 0.6)
        builder.update(crops_at(index, 100, embed=(0,)), people)
    (tracklet,) = builder.close(())
    assert [crop.frame_index for crop in tracklet.crops] == [2, 5, 7]
    assert len(tracklet.crop_appearance) == 3


def test_a_tracklet_without_a_crop_has_no_appearance():
    builder = new_builder()
    builder.update(crops_at(0, 100), tracked(0, (1, 100, 0)))
    (tracklet,) = builder.close(())
    assert tracklet.appearance.embedding.shape == (0, 2)


def test_the_path_is_in_pixels():
    builder = new_builder()
    for index in range(2 * FPS):
        builder.update(crops_at(index), tracked(index, (1, 100 + index, 0)))
    (tracklet,) = builder.close(())
    np.testing.assert_allclose(tracklet.path, [[0, 120, 170], [0.5, 125, 170], [1, 130, 170], [1.5, 135, 170]])
    assert tracklet.path.dtype == np.float32
    assert tracklet.floor_path is None


def test_the_path_of_a_track_that_never_ends_becomes_coarser_instead_of_longer():
    builder = new_builder()
    for index in range(20_000):  # at two frames per second
        crops = FrameCrops(Frame("a", index, index / 2, np.zeros((240, 320, 3), np.uint8)), boxes(100),
                           ColourEmbedder(), Stopwatch())
        crops.release()
        builder.update(crops, replace(tracked(0, (1, 100 + index % 50, 0)), seconds=index / 2))
    (tracklet,) = builder.close(())
    assert 600 <= len(tracklet.path) <= 1200
    assert (tracklet.path[0, 0], tracklet.observations, tracklet.last_seconds) == (0, 20_000, 19_999 / 2)
    seconds = tracklet.path[:, 0]
    assert (np.diff(seconds) > 0).all()
    assert (np.diff(seconds[-20:]) == 0.5).all()


def test_the_floor_path_is_in_metres_if_the_camera_has_a_homography():
    builder = new_builder(homography=np.diag([0.1, 0.1, 1.0]))
    for index in range(2 * FPS):
        builder.update(crops_at(index), tracked(index, (1, 100 + index, 0)))
    (tracklet,) = builder.close(())
    np.testing.assert_allclose(tracklet.path[:, 1], [120, 125, 130, 135])
    np.testing.assert_allclose(tracklet.floor_path, [[0, 12, 17], [0.5, 12.5, 17], [1, 13, 17], [1.5, 13.5, 17]])
    assert tracklet.floor_path.dtype == np.float32


@pytest.mark.parametrize("name", ["masked", "botsort"])
def test_a_camera_gives_every_frame_once_and_every_crop_to_a_tracklet(name):
    config = Config.model_validate({"cameras": {"a": {"source": "a.mp4"}}, "tracker": {"name": name}})
    embedder, clock = ColourEmbedder(), Stopwatch()
    stage = TrackStage("a", config, FPS, (320, 240), embedder, clock)
    frames, tracklets = [], []
    for index in range(60):
        people = Detections(boxes(20 + 2 * index, 250), confidence=np.full(2, 0.9, np.float32))
        done = stage.update(frame_at(index), people)
        frames, tracklets = frames + done[0], tracklets + done[1]
    assert stage.people == 2
    done = stage.finish()
    frames, tracklets = frames + done[0], tracklets + done[1]
    assert [one.frame_index for one in frames] == list(range(60))
    assert len(tracklets) == 2
    assert stage.crops == embedder.crops == sum(len(one.crops) for one in tracklets) > 0
    assert set(clock.seconds) == {"track", "embed"}


def walk_past_a_switch(builder, switch=20, frames=40):
    """One track whose grey level, the person, changes at a frame; a crop every second frame."""
    taken = []
    for index in range(frames):
        image = np.full((240, 320, 3), 0 if index < switch else 150, np.uint8)
        crops = FrameCrops(Frame("a", index, index / FPS, image), boxes(100), ColourEmbedder(), Stopwatch())
        if index % 2 == 0:
            crops.embed(np.array([0]))
        crops.release()
        taken.append(builder.update(crops, tracked(index, (7, 100, 0))))
    return taken


def test_a_track_that_goes_over_to_somebody_else_is_split_there():
    builder = TrackletBuilder("a", AppearanceConfig(), None, 2, split_similarity=0.5)
    walk_past_a_switch(builder)
    before, after = builder.close(())
    assert (before.track_id, before.taken_from) == (1, None)
    assert (after.track_id, after.taken_from) == (2, (1, 20))
    assert (before.first_seconds, before.last_seconds) == (0.0, 1.9)
    assert (after.first_seconds, after.last_seconds) == (2.0, 3.9)
    assert (before.observations, after.observations) == (20, 20)
    assert {crop.seconds < 2 for crop in before.crops} == {True}
    assert {crop.seconds < 2 for crop in after.crops} == {False}
    np.testing.assert_allclose(after.path[:, 0], [0, 0.5, 1, 1.5], atol=1e-6)


def test_each_part_of_a_split_track_has_its_own_mean_confidence():
    builder = new_builder(split_similarity=0.9)
    for index in range(40):
        builder.update(changing_crops(index), tracked(index, (1, 100, 0), confidence=0.8 if index < 20 else 0.4))
    first, second = builder.close(())
    weights = np.array([first.observations, second.observations])
    assert np.average([first.confidence, second.confidence], weights=weights) == pytest.approx(0.6)
    assert first.confidence > 0.75
    assert second.confidence < 0.45


def test_open_tracks_are_shown_as_they_are_by_now():
    builder = TrackletBuilder("a", AppearanceConfig(), None, 2, split_similarity=0.5)
    for index in range(20):
        builder.update(crops_at(index, 100, embed=(0,)), tracked(index, (7, 100, 0)))
    assert builder.open_tracklets(began_by_seconds=-0.1) == []
    (early,) = builder.open_tracklets(began_by_seconds=0.0)
    assert (early.track_id, early.last_seconds, early.observations, len(early.appearance)) == (1, 1.9, 20, 1)
    (whole,) = builder.close(())
    np.testing.assert_array_equal(whole.appearance.embedding, early.appearance.embedding)


def test_an_open_track_that_went_over_to_somebody_else_is_shown_as_the_first_person():
    builder = TrackletBuilder("a", AppearanceConfig(), None, 2, split_similarity=0.5)
    walk_past_a_switch(builder)
    (early,) = builder.open_tracklets(began_by_seconds=9.0)
    first, _ = builder.close(())
    assert (early.track_id, early.last_seconds, early.observations) == (
        first.track_id, first.last_seconds, first.observations)


def test_one_odd_crop_or_the_setting_leaves_a_track_whole():
    builder = TrackletBuilder("a", AppearanceConfig(), None, 2, split_similarity=0.5)
    walk_past_a_switch(builder, switch=38)
    assert len(builder.close(())) == 1, "one crop of somebody else may be an occlusion"
    builder = new_builder()
    walk_past_a_switch(builder)
    assert len(builder.close(())) == 1, "-1: never"


def saved_and_loaded(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        return dict(loaded)


def walk(index):
    """Two people, one of whom turns into somebody else, and a third one now and then."""
    lefts = [20 + 2 * index, 250] + ([120] if index % 20 < 8 else [])
    return Detections(boxes(*lefts), confidence=np.linspace(0.9, 0.7, len(lefts), dtype=np.float32))


def walked(restore_every=None):
    """All that a camera gives, as plain values."""
    floor = np.diag([0.1, 0.1, 1]).tolist()
    config = Config.model_validate({"cameras": {"a": {"source": "a.mp4", "homography": floor}}})

    def new():
        return TrackStage("a", config, FPS, (320, 240), ColourEmbedder(), Stopwatch())

    stage, given = new(), []
    for index in range(90):
        if restore_every is not None and index % restore_every == 0:
            state = stage.state()
            stage = new()
            stage.restore(saved_and_loaded(state))
        given.append(stage.update(frame_at(index if index < 50 else index + 120), walk(index)))
    given.append(stage.finish())
    return stage.frames, stage.crops, [repr_of(one) for frames, tracklets in given for one in (*frames, *tracklets)]


def repr_of(result):
    def plain(value):
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, Appearance):
            return plain(value.embedding), plain(value.mask)
        if isinstance(value, Crop):
            return value.frame_index, value.seconds, value.quality, plain(value.image)
        return [plain(one) for one in value] if isinstance(value, list) else value

    return {field.name: plain(getattr(result, field.name)) for field in fields(result)}


@pytest.mark.parametrize("restore_every", [1, 26])
def test_a_restored_camera_goes_on_as_the_one_before(restore_every):
    unbroken = walked()
    assert unbroken[1] > 20
    assert walked(restore_every) == unbroken


def test_a_camera_whose_tracker_cannot_be_stored_has_no_state():
    config = Config.model_validate({"cameras": {"a": {"source": "a.mp4"}}, "tracker": {"name": "bytetrack"}})
    assert TrackStage("a", config, FPS, (320, 240), ColourEmbedder(), Stopwatch()).state() is None


def test_each_part_of_a_split_track_takes_its_boxes_from_the_part_before():
    builder = new_builder(split_similarity=0.9)
    for index in range(60):
        builder.update(changing_crops(index), tracked(index, (1, 100, 0)))
    first, second, third = builder.close(())
    assert first.taken_from is None
    assert second.taken_from[0] == first.track_id
    assert third.taken_from[0] == second.track_id
    assert 0 < second.taken_from[1] < third.taken_from[1]
