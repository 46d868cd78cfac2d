"""One tiny frame is really drawn, where OpenGL can be had."""

import csv

import numpy as np
import pytest

from sample_videos.stores.cameras import Camera
from sample_videos.stores.store import Gondola, Store

moderngl = pytest.importorskip("moderngl", reason="drawing needs moderngl, of the extra `render`")
pytest.importorskip("skimage", reason="growing bodies needs scikit-image, of the extra `render`")

from sample_videos.acting.casting import put  # noqa: E402
from sample_videos.drawing.lighting import Studio  # noqa: E402
from sample_videos.drawing.props import Film, Light  # noqa: E402
from sample_videos.drawing.stage import Stage  # noqa: E402
from sample_videos.filming import truth  # noqa: E402
from sample_videos.people.gait import Pose  # noqa: E402
from sample_videos.people.outfits import Outfit  # noqa: E402


@pytest.fixture(scope="module")
def stage():
    import moderngl

    try:  # only the context: a shader that does not compile is a failure, not a reason to skip
        context = moderngl.create_context(standalone=True, backend="egl")
    except Exception as error:  # noqa: BLE001 - moderngl raises bare Exceptions where EGL is missing
        pytest.skip(f"no OpenGL by EGL here (Debian: libegl1 libgl1-mesa-dri): {error}")
    context.release()
    return Stage()


@pytest.fixture(scope="module")
def view(stage):
    store = Store(size=(6.0, 8.0), gondolas=[Gondola((1.2, 4.4, 2.6, 5.0), 1.2, 0, (-1,))])
    camera = Camera(3.0, 0.5, 2.6, 0.0, 18.0, 70.0, 240, 136)
    return Studio(stage, store, 1).backdrop(camera, Light(), samples=4, finer=1)


@pytest.fixture(scope="module")
def actors(stage, view):
    people = []
    for x, y in ((3.6, 5.0), (1.9, 5.5)):  # one in the open, one behind the shelf
        outfit = Outfit()
        actor = stage.actor(outfit)
        put(actor, outfit, Pose(), x, y, np.pi)
        people.append(actor)
    return people


def test_people_change_the_picture_only_around_them(stage, view, actors):
    empty, _ = stage.draw(view, [], Film(grain=0.0), 0.0)
    image, who = stage.draw(view, actors, Film(grain=0.0), 0.0)
    assert image.shape == (136, 240, 3)
    changed = np.abs(image.astype(int) - empty).max(2) > 12
    assert changed[who > 0].mean() > 0.8
    assert changed[:20].sum() == 0


def test_the_visible_share_distinguishes_an_unoccluded_from_an_occluded_person(stage, view, actors):
    _, who = stage.draw(view, actors, Film(), 0.0)
    open_person, occluded = truth.sightings(stage, view.camera, actors, who)
    assert open_person.visible > 0.98
    assert open_person.full == open_person.seen
    assert 0.1 < occluded.visible < 0.8
    assert occluded.seen[3] < occluded.full[3] - 5  # the legs are behind the shelf
    (foot,) = view.camera.project(np.array([[3.6, 5.0, 0.0]]))
    x1, _, x2, y2 = open_person.full
    assert x1 < foot[0] < x2
    assert abs(y2 - foot[1]) < 8


def test_the_same_frame_twice_is_the_same(stage, view, actors):
    first, _ = stage.draw(view, actors, Film(), 3.0)
    again, _ = stage.draw(view, actors, Film(), 3.0)
    assert (first == again).all()


def test_a_window_shows_a_part_of_the_frame_larger(stage, view, actors):
    image, who = stage.draw(view, actors, Film(), 0.0, window=(100.0, 10.0, 180.0, 130.0), size=(160, 240))
    assert image.shape == (240, 160, 3)
    assert (who == 1).sum() > 500


def test_truth_file_reads_back(tmp_path, stage, view, actors):
    _, who = stage.draw(view, actors, Film(), 0.0)
    found = truth.sightings(stage, view.camera, actors, who)
    truth.write(tmp_path / "one.csv", [truth.row(7, 12.5, s.index + 1, s) for s in found])
    with (tmp_path / "one.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["identity"] for row in rows] == ["1", "2"]
    assert rows[0]["seconds"] == "12.500"
    assert float(rows[0]["floor_x"]) == 3.6
