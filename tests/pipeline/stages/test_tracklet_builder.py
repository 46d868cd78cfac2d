"""Tracked boxes become tracklets with well-chosen crops."""

import numpy as np
import pytest
import supervision as sv

from reidpipe.pipeline.config.schema import AppearanceConfig
from reidpipe.pipeline.stages.embed import EmbedStage
from reidpipe.pipeline.stages.tracklet_builder import TrackletBuilder
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.types import Frame
from reidpipe.reid import Appearance

FPS = 10


def frame_at(index, seconds=None):
    image = np.full((240, 320, 3), index % 256, np.uint8)  # a crop's colour identifies its frame
    return Frame("a", index, index / FPS if seconds is None else seconds, image)


def tracked(*rows, confidence=0.9):
    """Rows of (tracker id, left); all boxes are 40 x 120."""
    xyxy = np.array([[left, 50, left + 40, 170] for _, left in rows], np.float32).reshape(-1, 4)
    return sv.Detections(
        xyxy=xyxy, confidence=np.full(len(rows), confidence, np.float32),
        tracker_id=np.array([row[0] for row in rows], np.int64),
    )


def new_builder(homography=None, **config):
    return TrackletBuilder("a", AppearanceConfig(**config), homography)


def build_all(builder):
    """The tracklets of all open tracks, without appearance."""
    return [builder.build(track_id, [], Appearance.empty(2)) for track_id, _ in builder.close(open_ids=())]


def test_observations_number_tracks_from_one_and_keep_their_boxes():
    builder = new_builder()
    people = tracked((17, 50), (9, 200))
    observations, _ = builder.update(frame_at(0), people)
    assert observations.track_ids.tolist() == [1, 2]
    np.testing.assert_array_equal(observations.xyxy, people.xyxy)
    assert (observations.frame_index, observations.seconds) == (0, 0.0)


def test_a_frame_without_people_gives_empty_arrays():
    observations, crops = new_builder().update(frame_at(0), tracked())
    assert observations.xyxy.shape == (0, 4)
    assert crops == []


def test_a_person_is_embedded_about_once_per_interval_by_the_best_view():
    builder = new_builder(interval_seconds=1.0)
    crops = []
    for index in range(3 * FPS):
        confidence = 0.95 if index % FPS == 3 else 0.6
        crops += builder.update(frame_at(index), tracked((1, 100), confidence=confidence))[1]
    assert [crop.frame_index for _, crop in crops] == [3, 13, 23]
    assert all(crop.image.shape == (120, 40, 3) and crop.image[0, 0, 0] == crop.frame_index for _, crop in crops)


@pytest.mark.parametrize(
    ("people", "useful"),
    [
        pytest.param(tracked((1, 100)), 1, id="in plain view"),
        pytest.param(sv.Detections(np.array([[10, 10, 20, 40]], np.float32), confidence=np.ones(1, np.float32),
                                   tracker_id=np.array([1])), 0, id="too small"),
    ],
)
def test_small_people_are_tracked_but_not_embedded(people, useful):
    builder = new_builder(interval_seconds=0.5)
    crops = [crop for index in range(FPS) for crop in builder.update(frame_at(index), people)[1]]
    assert (len(crops) > 0) == bool(useful)
    (track_id, last), = builder.close(open_ids=())
    assert (last is not None) == bool(useful)
    assert builder.build(track_id, [], Appearance.empty(2)).observations == FPS


def test_a_track_closes_once_the_tracker_has_ended_it_and_returns_its_last_crop():
    builder = new_builder()
    for index in range(3):
        builder.update(frame_at(index), tracked((17, 100)))
    assert builder.close(open_ids={17}) == []
    (track_id, crop), = builder.close(open_ids={18})
    assert (track_id, crop.frame_index) == (1, 0)
    tracklet = builder.build(track_id, [], Appearance.empty(2))
    assert (tracklet.first_seconds, tracklet.last_seconds, tracklet.observations) == (0.0, 0.2, 3)
    assert builder.close(open_ids=()) == []


def test_the_path_is_in_pixels():
    builder = new_builder()
    for index in range(2 * FPS):
        builder.update(frame_at(index + 5), tracked((1, 100 + index)))
    (tracklet,) = build_all(builder)
    np.testing.assert_allclose(tracklet.path, [[0, 120, 170], [0.5, 125, 170], [1, 130, 170], [1.5, 135, 170]])
    assert tracklet.path.dtype == np.float32
    assert tracklet.floor_path is None


def test_the_floor_path_is_in_metres_if_the_camera_has_a_homography():
    builder = new_builder(homography=np.diag([0.1, 0.1, 1.0]))
    for index in range(2 * FPS):
        builder.update(frame_at(index), tracked((1, 100 + index)))
    (tracklet,) = build_all(builder)
    np.testing.assert_allclose(tracklet.path[:, 1], [120, 125, 130, 135])
    np.testing.assert_allclose(tracklet.floor_path, [[0, 12, 17], [0.5, 12.5, 17], [1, 13, 17], [1.5, 13.5, 17]])
    assert tracklet.floor_path.dtype == np.float32


class ColourEmbedder:
    """Embeds a crop as its grey level."""

    dimensions = 2

    def __init__(self):
        self.calls = []

    def embed(self, crops):
        self.calls.append(len(crops))
        angle = np.array([crop[0, 0, 0] / 100 for crop in crops])
        embedding = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        return Appearance(embedding, np.ones_like(embedding))


def all_tracklets(embedder, people, frames, **config):
    settings = AppearanceConfig(**config)
    builder, stage = TrackletBuilder("a", settings, None), EmbedStage(embedder, settings, Stopwatch())
    done = []
    for index in range(frames):
        for track_id, crop in builder.update(frame_at(index), people)[1]:
            stage.add(("a", track_id), crop)
        done += stage.finished()
    for track_id, crop in builder.close(open_ids=()):
        if crop is not None:
            stage.add(("a", track_id), crop)
        stage.close(("a", track_id))
    done += stage.finished(flush=True)
    stage.shut_down()
    return [builder.build(embedded.key[1], embedded.crops, embedded.appearance) for embedded in done]


def test_crops_of_all_tracks_are_embedded_in_full_batches_and_returned_to_their_tracks():
    embedder = ColourEmbedder()
    done = all_tracklets(embedder, tracked((1, 40), (2, 120), (3, 200)), 40, batch=4, interval_seconds=1.0)
    assert [tracklet.track_id for tracklet in done] == [1, 2, 3]
    assert embedder.calls[:-1] == [4] * (len(embedder.calls) - 1)
    for tracklet in done:
        assert len(tracklet.crops) == len(tracklet.crop_appearance) == 5
        angles = np.arctan2(*tracklet.crop_appearance.embedding.T[::-1])
        np.testing.assert_allclose(angles * 100, [crop.frame_index for crop in tracklet.crops], atol=0.01)
        assert tracklet.appearance.embedding.shape == (1, 2)


def test_only_the_best_views_are_kept():
    done = all_tracklets(ColourEmbedder(), tracked((1, 40)), 100, batch=4, crops_per_tracklet=3)
    assert len(done[0].crops) == 3


def test_a_tracklet_without_a_good_view_has_no_appearance():
    done = all_tracklets(ColourEmbedder(), tracked((1, 40)), 10, min_height_px=500)
    assert done[0].appearance.embedding.shape == (0, 2)
    assert done[0].observations == 10
