"""How sure links are: pairs whose truth is known, decisions against ground truth, and a fit."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.linking import CalibrationConfig, LinkingConfig
from reidpipe.pipeline.errors import ConfigError
from reidpipe.pipeline.evaluation.linking import calibration_chart
from reidpipe.pipeline.evaluation.linking.calibration import decisions_of, fit, read_looks, reliability
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Crop, Observations, Tracklet
from reidpipe.reid import Appearance

BOX = np.array([[10, 20, 60, 180]], np.float32)
PEOPLE, VISITS, DIMS = 12, 6, 32


def look(person: int, seed: int, noise: float = 0.5) -> np.ndarray:
    """A noisy view of a person, float32 (1, DIMS) of unit length."""
    base = np.random.default_rng(person).normal(size=DIMS)
    view = base / np.linalg.norm(base) + noise * np.random.default_rng([person, seed]).normal(size=DIMS) / DIMS**0.5
    return (view / np.linalg.norm(view)).astype(np.float32)[None]


def visit(camera: str, track: int, first: float, person: int, crops: int = 1, noise: float = 0.5) -> Tracklet:
    views = np.concatenate([look(person, 100 * track + number, noise) for number in range(crops)])
    rows = Appearance(views, np.ones_like(views))
    pictures = [
        Crop(number, first + 3 * number, 0.5, np.full((40, 20, 3), 90, np.uint8)) for number in range(crops)
    ]
    return Tracklet(camera, track, first, first + 5, 50, rows[:1], pictures, rows)


def crowd(noise: float = 0.5) -> tuple[list[Tracklet], dict[tuple[str, int], int]]:
    """Twelve people, each of whom comes six times."""
    rng, tracklets, people = np.random.default_rng(5), [], {}
    for number, person in enumerate(rng.permutation(np.repeat(np.arange(PEOPLE), VISITS)).tolist()):
        tracklets.append(visit("ab"[number % 2], number + 1, 4.0 * number, person, noise=noise))
        people[tracklets[-1].key] = person
    return tracklets, people


def test_a_fit_states_what_is_right_and_shrinks_where_views_are_noisy():
    clear, noisy = (decisions_of(*crowd(noise), LinkingConfig()) for noise in (0.5, 1.3))
    fitted = fit([clear])
    found = reliability(clear, fitted, 0.5)
    assert found.decisions == PEOPLE * VISITS - 1
    assert found.error < 0.1
    assert found.found is not None
    assert found.found < 0.05
    assert sum(count for count, _, _ in found.bins) == found.decisions
    unsure = reliability(noisy, fit([noisy]), 0.5)
    assert unsure.brier > found.brier
    assert 0 < fit([noisy]).similarity < fitted.similarity


def test_several_runs_are_fitted_together():
    one, other = decisions_of(*crowd(), LinkingConfig()), decisions_of(*crowd(1.3), LinkingConfig())
    between = sorted(fit(runs).similarity for runs in ([one], [one, other], [other]))
    assert fit([one, other]).similarity == between[1]


def test_without_anybody_who_comes_back_there_is_nothing_to_fit():
    tracklets, _ = crowd()
    with pytest.raises(ConfigError, match="people who come back"):
        fit([decisions_of(tracklets, {one.key: number for number, one in enumerate(tracklets)}, LinkingConfig())])


def test_overstated_probabilities_have_a_large_error():
    noisy = decisions_of(*crowd(1.3), LinkingConfig())
    boasting = CalibrationConfig(similarity=100, motion=0, bias=-5)
    assert reliability(noisy, boasting, 0.5).error > 1.5 * reliability(noisy, fit([noisy]), 0.5).error


@pytest.fixture
def database(tmp_path):
    """Three people in one camera, two of them at once; the first comes back in another camera."""
    rows = [("door", 1, 0.0, 1), ("door", 2, 2.0, 2), ("hall", 1, 20.0, 1), ("hall", 2, 40.0, 3), ("door", 3, 60.0, 2)]
    with Store.open(tmp_path / "a.db", create=True) as store:
        cameras = [CameraRow(name, "x", 640, 480, 10.0, 0.0) for name in ("door", "hall")]
        with store.start_run("{}", cameras) as run:
            for camera, track, first, person in rows:
                for frame in range(int(10 * first), int(10 * first) + 51):
                    run.add_observations(Observations(
                        camera, frame, frame / 10, np.array([track]), BOX + 200 * (track % 2), np.ones(1, np.float32),
                        np.ones(1, np.float32)))
                run.add_tracklet(visit(camera, track, first, person, crops=2, noise=0.2))
    truth = tmp_path / "truth"
    truth.mkdir()
    for name in ("door", "hall"):
        lines = [
            f"{frame},{person}," + ",".join(str(value) for value in (BOX + 200 * (track % 2))[0].tolist())
            for camera, track, first, person in rows if camera == name
            for frame in range(int(10 * first), int(10 * first) + 51)]
        (truth / f"{name}.csv").write_text("frame,identity,x1,y1,x2,y2\n" + "\n".join(lines) + "\n")
    return tmp_path / "a.db", truth


def test_time_and_place_alone_tell_one_person_from_two(database):
    with Store.open(database[0]) as store:
        looks = read_looks(store, 1)
    assert len(looks.one_person) == 5, "two crops of each tracklet, three seconds apart"
    assert looks.one_person.min() > 0.8
    assert len(looks.two_people) == 1
    assert looks.two_people[0] < 0.5


def calibrate(*arguments):
    return CliRunner().invoke(main, ["calibrate", *map(str, arguments)])


def test_the_command_works_without_and_with_ground_truth(database, tmp_path):
    path, truth = database
    done = calibrate("--database", path)
    assert done.exit_code == 0, done.output
    assert "0.0 % of 5 pairs of a tracklet's crops" in done.stdout
    done = calibrate("--database", path, "--truth", truth, "--out", tmp_path / "new" / "a.png", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["reliability"]["decisions"] == 3, "the first one, and who is seen with it, can be nobody earlier"
    assert found["fitted"] is None
    assert cv2.imread(str(tmp_path / "new" / "a.png")).std() > 10, "something is drawn"


def test_the_command_fits_to_several_runs(database):
    path, truth = database
    done = calibrate("--database", path, "--truth", truth, "--fit", "--also", path, truth)
    assert done.exit_code == 0, done.output
    assert "fitted to 2 runs: linking.calibration: {similarity: " in done.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    pytest.param(["--fit"], ["--fit", "--truth"], id="nothing to fit to"),
    pytest.param(["--out", "a.jpg"], ["a.jpg", ".png"], id="not a PNG"),
    pytest.param(["--truth", "missing"], ["missing"], id="no ground truth"),
    pytest.param(["--run", "7"], ["no run 7"], id="no such run"),
])
def test_mistakes_are_reported_in_one_line(database, arguments, words):
    done = calibrate("--database", database[0], *arguments)
    assert done.exit_code in (2, 5, 6), done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words)


def test_the_legend_covers_no_bar():
    from matplotlib.figure import Figure

    figure = Figure((6.5, 5), layout="constrained")
    axes = figure.subplots()
    looks = SimpleNamespace(one_person=np.full(99, 0.9), two_people=np.full(99, 0.02))
    calibration_chart._draw_looks(axes, SimpleNamespace(looks=looks, needed_similarity=0.55))
    figure.canvas.draw()
    legend = axes.get_legend().get_window_extent()
    assert not any(bar.get_window_extent().overlaps(legend) for bar in axes.patches if bar.get_height() > 0)
