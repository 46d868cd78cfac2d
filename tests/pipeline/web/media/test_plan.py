"""The picture of the floor under the paths."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from sqlalchemy import text

from reidpipe.pipeline.storage.floor_plans import write_floor_plan
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.types import FloorPlan
from reidpipe.pipeline.web.media.pictures import webp_file
from tests.pipeline.web.served import Served, client_of

PLAN = FloorPlan(webp_file(np.full((60, 80, 3), 255, np.uint8)), 80, 60, [[0.1, 0, -1], [0, -0.1, 6], [0, 0, 1]])
METRE = "UPDATE floor_plans SET homography = "


@pytest.fixture
def planned(footage_path, tmp_path):
    """A page over a database with a picture of the floor."""
    path = shutil.copy(footage_path, tmp_path / "store.db")
    with Store.open(path) as store, store.writing() as connection:
        write_floor_plan(connection, 1, PLAN)
    page = Served(path, tmp_path)
    yield page
    page.close()


def test_paths_come_with_the_place_of_the_picture(planned):
    found = planned.get("/api/identities/2/path").json()
    (x_row, y_row), plan = found["plan"]["floor_to_pixels"], found["plan"]
    assert (plan["width"], plan["height"]) == (80, 60)
    assert np.dot(x_row, [2, 3, 1]) == pytest.approx(30)  # 2 m are 20 pixels right of the origin's 10
    assert np.dot(y_row, [2, 3, 1]) == pytest.approx(30)  # 3 m are 30 pixels above the origin's 60
    answer = planned.get("/media/floor-plan")
    assert (answer.headers["content-type"], answer.content) == ("image/webp", PLAN.image)


def test_the_report_draws_paths_over_the_picture(planned):
    report = planned.get("/api/identities/2/report").text
    assert report.count('href="data:image/webp;base64,') == 1
    assert "One square is one metre" not in report


def test_a_run_without_a_picture_has_a_grid(served):
    assert served.get("/api/identities/2/path").json()["plan"] is None
    assert served.get("/media/floor-plan").status_code == 404
    assert "One square is one metre" in served.get("/api/identities/2/report").text


def test_a_picture_that_is_given_serves_runs_without_one(footage_path, tmp_path):
    page = Served(footage_path, tmp_path, plan=PLAN)
    assert page.get("/media/floor-plan").content == PLAN.image
    page.close()


def test_it_is_shown_to_nobody_who_is_not_logged_in(footage_path):
    with Store.open(footage_path) as store:
        client, database = client_of(store)
        assert client.get("/media/floor-plan").status_code == 401
        database.close()


@pytest.mark.parametrize("wrong", [
    f"{METRE} '[]'", f"{METRE} '[[1, 0, 0], [0, 0, 0], [0, 0, 1]]'", f"{METRE} '[[\"a\"]]'",
    "UPDATE floor_plans SET width = 0", "UPDATE floor_plans SET image = x'3c7376672f3e'"])
def test_a_damaged_picture_is_refused(planned, wrong):
    with planned.store.writing() as connection:
        connection.execute(text(wrong))
    answer = planned.get("/media/floor-plan")
    assert answer.status_code == 404
    assert len(answer.json()["error"].splitlines()) == 1
