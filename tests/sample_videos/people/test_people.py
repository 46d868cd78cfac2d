"""People, paths and cameras behave, without any OpenGL."""

import numpy as np
import pytest

from sample_videos.acting.casting import free
from sample_videos.acting.scenario import STAFF, cast
from sample_videos.acting.walking import PERSON_GAP, Stop, Walker, simulate
from sample_videos.people.body import TOP, torso_part
from sample_videos.people.gait import Pose, joint_turns
from sample_videos.people.outfits import random_outfit
from sample_videos.people.skeleton import INDEX, skin_matrices
from sample_videos.stores.cameras import Camera
from sample_videos.stores.store import SAMPLE, store_walls


def test_homography_inverts_the_projection_of_floor_points():
    camera = Camera(1.7, 3.1, 2.85, -9.0, 18.0)
    floor = np.array([[1.0, 8.0], [3.0, 10.0], [2.0, 7.0]])
    seen = camera.project(np.column_stack([floor, np.zeros(3)]))
    back = np.column_stack([seen[:, :2], np.ones(3)]) @ camera.image_to_floor().T
    assert back[:, :2] / back[:, 2:] == pytest.approx(floor)
    assert (seen[:, 2] > 0).all()


def test_heading_turns_left_and_nearer_points_are_lower_in_the_image():
    camera = Camera(0, 0, 2.8, 20.0, 15.0)
    (ahead_x, _, _), (left_x, _, _) = camera.project(np.array([[-2.0, 6.0, 1.0], [-4.0, 6.0, 1.0]]))
    assert left_x < ahead_x
    near, far = camera.project(np.array([[0.0, 5.0, 0.0], [0.0, 9.0, 0.0]]))
    assert near[1] > far[1]


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.45, 0.7, 0.95])
def test_the_lower_foot_stands_on_the_floor(phase):
    bones = skin_matrices(joint_turns(Pose(phase=phase, walk=1.0)), (1.0, 1.1))
    lowest = min(
        float((bones[INDEX[foot]] @ np.array([x, y, z, 1]))[2])
        for foot, x in (("foot_l", -0.11), ("foot_r", 0.11))
        for y, z in ((-0.07, 0.0), (0.09, 0.0), (0.16, 0.01))
    )
    assert lowest == pytest.approx(0, abs=1e-5)


def test_arms_swing_against_legs():
    bones = skin_matrices(joint_turns(Pose(phase=0.0, walk=1.0)), (1.0, 1.0))  # left heel strikes
    left_foot, right_foot = (
        float((bones[INDEX[f"foot_{s}"]] @ [x, 0, 0.05, 1])[1]) for s, x in (("l", -0.1), ("r", 0.1))
    )
    left_hand, right_hand = (
        float((bones[INDEX[f"hand_{s}"]] @ [x, 0, 0.95, 1])[1]) for s, x in (("l", -0.55), ("r", 0.55))
    )
    assert left_foot > right_foot + 0.3
    assert right_hand > left_hand + 0.1


def test_grown_garments_are_closed_and_weighted():
    pytest.importorskip("skimage", reason="growing bodies needs scikit-image, of the extra `render`")
    mesh = torso_part("woman", "shirt")
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert (uses == 2).all()
    assert (mesh.vertices["kind"][:, 0] == TOP).all()
    assert np.abs(mesh.vertices["weight"].astype(int).sum(1) - 255).max() <= 2


def test_outfits_follow_the_seed_and_differ():
    first, again = (random_outfit(np.random.default_rng(5)) for _ in range(2))
    assert first == again
    assert random_outfit(np.random.default_rng(6)) != first


def test_staff_wear_the_same_clothes_and_shoppers_do_not():
    outfits = cast(1, 8, STAFF)
    clothes = [(outfit.top, outfit.top_colours, outfit.bottom_colours, outfit.shoes, outfit.bag) for outfit in outfits]
    assert clothes[STAFF[0]] == clothes[STAFF[1]]
    assert len(set(clothes)) == len(outfits) - 1


def test_two_walkers_meet_head_on_and_pass():
    obstacles = [(-1.0, -1.0, 8.0, 0.0), (-1.0, 2.2, 8.0, 3.0)]
    walkers = [
        Walker((0.5, 1.1), 0.0, [Stop(6.5, 1.1, 9.0, (9.0, 1.1))]),
        Walker((6.5, 1.15), 0.0, [Stop(0.5, 1.1, 9.0, (-9.0, 1.1))]),
    ]
    simulate(walkers, obstacles, (-1.0, -1.0), (8.0, 3.0), 0.0, 12.0)
    first, second = (np.array(walker.path)[:, :2] for walker in walkers)
    assert np.linalg.norm(first - second, axis=1).min() > 0.75 * PERSON_GAP
    assert first[-1] == pytest.approx((6.5, 1.1), abs=0.4)
    assert second[-1] == pytest.approx((0.5, 1.1), abs=0.4)


def test_nobody_walks_through_a_shelf():
    walls = store_walls(SAMPLE)
    walkers = [Walker((1.0, 7.3), 0.0, [Stop(6.27, 9.0, 1.0, (7.0, 9.0)), Stop(10.65, 3.7, 9.0, (9.9, 3.6))], 1.3)]
    simulate(walkers, walls, (-3.0, -4.0), (16.0, 13.0), 0.0, 20.0)
    path = np.array(walkers[0].path)[:, :2]
    assert free(path, walls, 0.25).all()
    assert path[-1] == pytest.approx((10.65, 3.7), abs=0.4)
