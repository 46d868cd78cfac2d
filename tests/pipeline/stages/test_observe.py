"""Visible share, crop quality and floor position of the people in one frame."""

import numpy as np
import pytest

from reidpipe.pipeline.stages.observe import crop_quality, foot_points, to_floor
from reidpipe.trackers import visible_shares


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("xyxy", "expected"),
    [
        pytest.param(boxes(), [], id="nobody"),
        pytest.param(boxes([0, 0, 60, 160]), [1], id="alone"),
        pytest.param(boxes([0, 0, 60, 160], [60, 0, 120, 170]), [1, 1], id="only touching"),
        pytest.param(boxes([0, 0, 60, 160], [30, 0, 90, 200]), [0.5, 1], id="half behind somebody nearer"),
        pytest.param(boxes([30, 0, 90, 200], [0, 0, 60, 160]), [1, 0.5], id="the same in the other order"),
        pytest.param(boxes([10, 10, 40, 100], [0, 0, 60, 160]), [0, 1], id="fully occluded"),
        pytest.param(
            boxes([0, 0, 60, 160], [0, 0, 30, 200], [0, 0, 30, 210]), [0.5, 0, 1], id="two in front of the same half"
        ),
    ],
)
def test_visible_share_is_what_nearer_people_leave_uncovered(xyxy, expected):
    np.testing.assert_allclose(visible_shares(xyxy), expected, atol=0.02)


def test_visible_share_agrees_with_painting_the_boxes():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (12, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(20, 150, (12, 2))], axis=1).astype(np.float32)
    picture = np.full((480, 480), -1)
    for person in np.argsort(xyxy[:, 3]):  # nearer people are painted over the others
        left, top, right, bottom = np.round(xyxy[person]).astype(int)
        picture[top:bottom, left:right] = person
    area = np.prod(np.round(xyxy[:, 2:]) - np.round(xyxy[:, :2]), axis=1)
    painted = np.array([(picture == person).sum() for person in range(12)]) / area
    np.testing.assert_allclose(visible_shares(xyxy), painted, atol=0.08)


def test_quality_prefers_confident_uncut_large_and_unoccluded_views():
    xyxy = boxes([100, 100, 180, 300], [100, 100, 140, 180], [0, 100, 80, 300])
    confidence = np.full(3, 0.9, np.float32)
    visible = np.ones(3, np.float32)
    best, small, cut = crop_quality(xyxy, confidence, visible, 640, 480)
    assert best > small
    assert best > cut
    assert crop_quality(xyxy, confidence, visible * 0.5, 640, 480)[0] < best
    assert crop_quality(xyxy, confidence * 0.5, visible, 640, 480)[0] < best


def test_foot_points_are_projected_to_the_floor_by_the_homography():
    feet = foot_points(boxes([100, 0, 200, 400]))
    np.testing.assert_allclose(feet, [[150, 400]])
    shift_and_scale = np.array([[0.01, 0, 1], [0, 0.01, 2], [0, 0, 1]])
    np.testing.assert_allclose(to_floor(feet, shift_and_scale), [[2.5, 6]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [0, 0.0025, 1]])
    np.testing.assert_allclose(to_floor(feet, perspective), [[75, 200]])
    assert to_floor(foot_points(boxes()), perspective).shape == (0, 2)
