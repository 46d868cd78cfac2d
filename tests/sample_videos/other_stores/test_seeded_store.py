"""Every seed is another store with truth; seed 1 stays the committed one."""

import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.config.loader import load_config
from sample_videos.__main__ import main
from sample_videos.acting.casting import free
from sample_videos.acting.scenario import FIRST
from sample_videos.acting.walking import STEP_SECONDS, Grid, Stop, Walker, simulate
from sample_videos.drawing.props import Film, Light
from sample_videos.filming.film import OPENING, Production, Shot, write_cameras, write_config
from sample_videos.filming.productions import SAMPLE_SEED, sample
from sample_videos.other_stores.camera_plans import in_view, place_cameras, solids, unobstructed
from sample_videos.other_stores.floor_plans import random_plan
from sample_videos.other_stores.random_parts import random_store
from sample_videos.other_stores.seeded_store import (
    LEAST_SECONDS_SEEN,
    SECONDS,
    other_store,
    problems,
    seeded_store,
    stuck_seconds,
)
from sample_videos.stores.cameras import Camera
from sample_videos.stores.store import Gondola, Store

FOLDER = Path(__file__).parents[3] / "sample_videos"
SIMULATED = (7, 8, 11)  # seconds each to simulate


@pytest.fixture(scope="module")
def stores():
    return {seed: seeded_store(seed) for seed in SIMULATED}


@pytest.fixture(scope="module")
def production():
    return other_store(8)


def paths(made):
    """Each person's times and floor points (T, 2) while present."""
    for walker in made.script.walkers:
        path = np.array(walker.path)
        times = FIRST + STEP_SECONDS * np.arange(len(path))
        there = (times >= walker.start_seconds) & (np.array(walker.doing) != "gone")
        yield times[there], path[there, :2]


@pytest.mark.parametrize("seed", range(2, 52))
def test_spots_can_be_reached_and_cameras_hang_free(seed):
    rng = np.random.default_rng(seed)
    plan = random_plan(rng)
    spots = [*plan.browse, *(spot for till in plan.tills for spot in (till.staff, till.customer))]
    points = np.array([(spot.x, spot.y) for spot in spots])
    assert free(points, plan.walls(), 0.39).all()
    assert Grid(*plan.bounds(), plan.walls()).connected(plan.doors[0], points)
    assert plan.store.doors == sorted(plan.store.doors)
    cameras = place_cameras(rng, plan, 4)
    assert len(set(cameras)) == 4
    for camera in cameras.values():
        assert 0 < camera.x < plan.store.size[0] and 0 < camera.y < plan.store.size[1]
        for gondola in plan.store.gondolas:
            inside = not free(np.array([[camera.x, camera.y]]), [gondola.rect], 0.0)[0]
            assert not (inside and camera.height < gondola.height + 0.5)
        matrix = camera.image_to_floor()
        assert np.linalg.cond(matrix) < 1e7
        pixel = np.array([480.0, 500.0, 1.0])
        floor = matrix @ pixel
        (back,) = camera.project(np.array([[*(floor[:2] / floor[2]), 0.0]]))
        assert back[:2] == pytest.approx(pixel[:2], abs=1e-6)


def test_mirrored_and_straight_stores_of_every_kind_occur():
    plans = [random_plan(np.random.default_rng(seed)) for seed in range(20)]
    tills_right = [plan.tills[0].customer.x > plan.store.size[0] / 2 for plan in plans]
    assert 3 < sum(tills_right) < 17
    assert {len(plan.store.doors) for plan in plans} == {1, 2}
    assert {len(plan.store.tills) for plan in plans} == {1, 2, 3}


def test_nobody_walks_through_anything_solid(stores):
    for made in stores.values():
        for _, path in paths(made):
            assert free(path, made.plan.walls(), 0.2).all()


def test_everybody_is_seen_by_a_camera(stores):
    for made in stores.values():
        boxes = solids(made.plan.store)
        for times, path in paths(made):
            filmed = path[(times >= 0) & (times <= SECONDS)]
            heads = np.column_stack([filmed, np.full(len(filmed), 1.55)])
            seen = max(in_view(camera, heads, boxes).sum() for camera in made.cameras.values())
            assert seen * STEP_SECONDS >= LEAST_SECONDS_SEEN


def test_nobody_appears_or_vanishes_in_view(stores):
    for made in stores.values():
        boxes = solids(made.plan.store)
        for walker in made.script.walkers:
            if walker.start_seconds > 0:
                (x, y) = walker.start
                assert not any(
                    in_view(camera, np.array([[x, y, 1.0]]), boxes).any() for camera in made.cameras.values()
                )


def test_groups_stay_together(stores):
    together = []
    for made in stores.values():
        for group in made.script.groups:
            walkers = [np.array(made.script.walkers[member].path)[:, :2] for member in group]
            start = int((made.script.walkers[group[0]].start_seconds - FIRST) / STEP_SECONDS)
            apart = [np.hypot(*(walkers[0] - other)[start:].T) for other in walkers[1:]]
            together.append(float(np.median(apart)))
    assert together
    assert max(together) < 2.5


def test_who_comes_back_was_outside_for_a_while(stores):
    returning = [(made, person) for made in stores.values() for person in made.script.returning]
    assert returning
    for made, person in returning:
        outside = np.array(made.script.walkers[person].path)[:, 1] < 0
        inside_again = ~outside[np.flatnonzero(outside)[0] :] if outside.any() else np.array([False])
        assert inside_again.any() or not outside.any()
    assert any((np.array(made.script.walkers[person].path)[:, 1] < 0).any() for made, person in returning)


def test_the_same_seed_gives_the_same_store_and_another_seed_another(stores, production):
    again = other_store(8)
    assert again.store == production.store
    assert again.shots == production.shots
    for one, other in zip(production.parts, again.parts, strict=True):
        assert (one.x == other.x).all() and (one.phase == other.phase).all()
        assert one.outfit == other.outfit
    sizes = {made.plan.store.size for made in stores.values()}
    assert len(sizes) == len(stores)


def test_one_camera_starts_late_one_has_its_own_rate_and_all_end_together(production):
    starts = [shot.start for shot in production.shots.values()]
    rates = [shot.rate for shot in production.shots.values()]
    assert sum(start > 0 for start in starts) == 1
    assert sum(rate != Fraction(25, 2) for rate in rates) == 1
    for shot in production.shots.values():
        assert SECONDS - 0.2 <= shot.start + float(shot.frames / shot.rate) <= SECONDS


def test_a_shorter_film_is_the_beginning_of_the_long_one(production):
    short = production.shortened(20.0)
    for name, shot in short.shots.items():
        assert replace(shot, frames=production.shots[name].frames) == production.shots[name]
        assert shot.start + float(shot.frames / shot.rate) <= 20.0
    assert production.shortened(1000.0).shots == production.shots


def test_people_in_a_wall_and_people_never_seen_are_reported(stores):
    made = stores[8]
    gondola = made.plan.store.gondolas[0].rect
    ghost = Walker((1.0, 1.0), FIRST, [Stop(1.0, 1.0, 99.0, (2.0, 1.0))])
    count = len(made.script.walkers[0].path)
    ghost.path = [((gondola[0] + gondola[2]) / 2, (gondola[1] + gondola[3]) / 2, 0.0, 1.0)] * count
    ghost.doing = ["browse"] * count
    found = problems(made.plan, {"dark": Camera(-5, -5, 2.8, 180, 20)}, replace(made.script, walkers=[ghost]))
    assert found == ["person 1 walks through something solid", "person 1 is not seen"]


def test_standing_with_somewhere_to_go_counts_as_stuck():
    busy, waiting = np.zeros((250, 4)), np.zeros((250, 4))
    busy[:, 3] = 1
    assert stuck_seconds(busy) == 0
    assert stuck_seconds(waiting) == pytest.approx(9.0, abs=0.1)


def test_the_sample_store_still_walks_as_in_the_committed_truth():
    parts = sample(SAMPLE_SEED).parts
    off = []
    for path in sorted((FOLDER / "truth").glob("*.csv")):
        with path.open() as file:
            for row in list(csv.DictReader(file))[::5]:
                _, x, y, _ = parts[int(row["identity"]) - 1].at(float(row["seconds"]) - OPENING.timestamp())
                off.append(max(abs(x - float(row["floor_x"])), abs(y - float(row["floor_y"]))))
    assert len(off) > 1000
    assert max(off) < 0.0065  # the truth is rounded to centimetres, its times to milliseconds


def test_training_stores_follow_the_seed():
    assert random_store(np.random.default_rng(5)) == random_store(np.random.default_rng(5))
    assert random_store(np.random.default_rng(5)) != random_store(np.random.default_rng(6))


def test_a_box_hides_what_is_behind_it_only():
    eye, box = np.array([0.0, 0.0, 2.0]), np.array([[-1.0, 2.0, 0.0, 1.0, 3.0, 1.5]])
    points = np.array([[0.0, 4.0, 0.5], [0.0, 1.5, 0.5], [0.0, 4.0, 1.9], [3.0, 4.0, 0.5]])
    assert unobstructed(eye, points, box).tolist() == [False, True, True, True]


def test_company_waits_at_a_stop_and_leaves_together():
    near, far = Walker((1.0, 1.0), 0.0, []), Walker((1.0, 7.0), 0.0, [])
    for walker, side in ((near, 0.0), (far, 0.8)):
        walker.stops = [Stop(2.0 + side, 1.0, 2.0, (2.0, 0.0)), Stop(7.0 + side, 5.0, 90.0, (9.0, 5.0))]
    near.company, far.company = [far], [near]
    simulate([near, far], [], (-1.0, -1.0), (9.0, 9.0), 0.0, 20.0)
    left = [np.flatnonzero(np.array(walker.path)[:, 0] > 4.0)[0] for walker in (near, far)]
    assert abs(left[0] - left[1]) * STEP_SECONDS < 2.5
    assert min(left) * STEP_SECONDS > 7.0  # alone, the nearer one would have been there after about six seconds


def test_who_finds_the_place_taken_makes_do_with_one_beside_it():
    first = Walker((2.0, 2.0), 0.0, [Stop(2.0, 2.0, 90.0, (2.0, 0.0))])
    patient = Walker((6.0, 2.0), 0.0, [Stop(2.0, 2.0, 90.0, (2.0, 0.0))], patience=2.0)
    simulate([first, patient], [], (-1.0, -1.0), (9.0, 9.0), 0.0, 15.0)
    assert patient.doing[-1] == "browse"
    assert np.hypot(*np.subtract(patient.path[-1][:2], first.path[-1][:2])) > 0.5


def test_the_config_names_the_videos_that_are_there(tmp_path):
    camera = Camera(3.0, 0.5, 2.6, 0.0, 18.0, 70.0, 64, 36)
    shots = {name: Shot(camera, Film(), start, Fraction(10), 5) for name, start in (("one", 0.0), ("two", 3.0))}
    production = Production(Store((6.0, 8.0), []), Light(), [], shots, 9)
    (tmp_path / "two.mp4").touch()
    write_config(production, tmp_path)
    write_cameras(production, tmp_path / "truth" / "cameras.json")
    written = yaml.safe_load((tmp_path / "store.yaml").read_text())
    facts = json.loads((tmp_path / "truth" / "cameras.json").read_text())["two"]
    assert list(written["cameras"]) == ["two"]
    assert written["cameras"]["two"]["homography"] == facts["image_to_floor"]
    config = load_config(tmp_path / "store.yaml")
    assert config.cameras["two"].start_time.isoformat() == "2026-03-02T09:00:03+00:00"


def test_an_unknown_camera_is_reported_with_those_of_the_store(tmp_path):
    done = CliRunner().invoke(main, ["video", "--out", str(tmp_path), "--cameras", "attic"])
    assert done.exit_code == 2
    assert "--cameras attic: the store of seed 1 has entrance, aisle_left, aisle_right, checkout" in done.output
    assert not list(tmp_path.iterdir())


def test_a_film_is_rendered_once_and_its_config_passes_the_check(tmp_path):
    moderngl = pytest.importorskip("moderngl", reason="drawing needs moderngl, of the extra `render`")
    pytest.importorskip("skimage", reason="growing bodies needs scikit-image, of the extra `render`")
    try:
        moderngl.create_context(standalone=True, backend="egl").release()
    except Exception as error:  # noqa: BLE001 - moderngl raises bare Exceptions where EGL is missing
        pytest.skip(f"no OpenGL by EGL here (Debian: libegl1 libgl1-mesa-dri): {error}")
    from reidpipe.pipeline.running.check import check_config
    from sample_videos.filming.film import shoot

    store = Store((6.0, 8.0), [Gondola((1.2, 4.4, 2.6, 5.0), 1.2, 0, (-1,))])
    shot = Shot(Camera(3.0, 0.5, 2.6, 0.0, 18.0, 70.0, 64, 36), Film(), 0.0, Fraction(10), 4)
    production = Production(store, Light(), [], {"only": shot}, 9)
    shoot(production, tmp_path, ["only"], lambda name, frame: None)
    first = (tmp_path / "only.mp4").stat().st_mtime_ns
    shoot(production, tmp_path, ["only"], lambda name, frame: None)
    assert (tmp_path / "only.mp4").stat().st_mtime_ns == first
    assert check_config(tmp_path / "store.yaml").ok
