"""The page as a person uses it: a browser drives every page over a database with real footage."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")
pytest.importorskip("playwright", reason="needs playwright, which drives the browser")

import uvicorn
from playwright.sync_api import expect, sync_playwright

from reidpipe.pipeline.pictures.palette import PALETTE, colour_indexes, text_colour
from reidpipe.pipeline.storage.floor_plans import write_floor_plan
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport, Crop, FloorPlan, Link, Observations, Tracklet
from reidpipe.pipeline.web.access.security import Sessions
from reidpipe.pipeline.web.api import overview
from reidpipe.pipeline.web.app import make_app
from reidpipe.pipeline.web.database import Database
from reidpipe.pipeline.web.jobs import Jobs
from reidpipe.pipeline.web.media.pictures import webp_file
from reidpipe.pipeline.web.reads import remembered
from reidpipe.pipeline.web.search.finder import Finder
from tests.pipeline.web.small_store import RED, START, ColourEmbedder, WholePicture, small_store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "a token of twenty chars"
WAIT_MS = 15_000
PLAN = FloorPlan(webp_file(np.full((60, 80, 3), 255, np.uint8)), 80, 60, [[0.1, 0, -1], [0, -0.1, 6], [0, 0, 1]])

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def address(made, tmp_path, chromium):
    """A server over a copy of the database."""
    path = Path(shutil.copy(made, tmp_path / "store.db"))
    with Store.open(path) as store:
        database, jobs = Database(store), Jobs(tmp_path / "cache")
        finder = Finder(False, WholePicture, lambda _store, _run: ColourEmbedder())
        app = make_app(database, Sessions(TOKEN), jobs, "Ada", None, finder=finder)
        server = uvicorn.Server(uvicorn.Config(
            app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        for context in chromium.contexts:  # else the server would wait for their events
            context.close()
        server.should_exit = True
        thread.join(10)
        jobs.close()
        database.close()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(chromium, address, width=1280, scheme="light"):
    """A page that is logged in; its problems are collected."""
    page = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.set_default_timeout(WAIT_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{address}/login?token={TOKEN.replace(' ', '+')}")
    page.locator(".figure").first.wait_for()
    return page


def test_somebody_finds_a_wrong_link_and_corrects_it(chromium, address):
    page = open_page(chromium, address)
    page.get_by_text("1 link is less than 75 % sure.").wait_for()
    page.get_by_role("link", name="Review them").click()
    page.get_by_role("heading", name="The same person?").wait_for()
    page.get_by_role("link", name="Person 2").click()
    page.get_by_role("heading", name="Person 2").wait_for()
    page.get_by_role("button", name="Split here").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("red, not blue")
    page.get_by_role("dialog").get_by_role("button", name="Split here").click()
    page.locator("#toasts").get_by_text("Done:").wait_for()
    page.goto(f"{address}/#/identity/1")
    page.get_by_role("heading", name="Person 1").wait_for()
    page.get_by_role("button", name="Merge with…").click()
    page.get_by_label("Number of the other person").fill("4")
    page.get_by_role("dialog").get_by_text("Person 4, first seen").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    page.get_by_text("hall", exact=True).first.wait_for()
    expect(page.locator(".link")).to_have_count(2)
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(page.locator(".link")).to_have_count(1)
    page.goto(f"{address}/#/history")
    page.get_by_role("heading", name="History").wait_for()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Redo").click()
    expect(page.locator("tbody tr")).to_have_count(4)
    assert "red, not blue" in page.locator("tbody").inner_text()
    assert page.problems == []


def walk_by(run, identity, seconds):
    """Somebody new at the door, linked to nobody else."""
    crop = np.full((40, 20, 3), RED, np.uint8)
    boxes = np.array([[20, 80, 60, 200]], np.float32)
    run.add_observations(Observations(
        "door", round(10 * (seconds - START)), seconds, np.array([identity]), boxes, np.ones(1), np.ones(1)))
    appearance = ColourEmbedder().embed([crop])
    run.add_tracklet(Tracklet("door", identity, seconds, seconds + 2, 20, appearance, [
        Crop(0, seconds, 0.9, crop)], appearance))
    run.add_links([Link("door", identity, identity, None, None, None)])


def test_the_timeline_follows_a_run_and_leaves_what_is_looked_at(chromium, address, tmp_path, monkeypatch):
    monkeypatch.setattr(remembered, "RUNNING_SECONDS", 0.0)
    monkeypatch.setattr(overview, "EVENT_SECONDS", 0.2)
    cameras = [CameraRow("door", "door.mp4", 320, 240, 10, START)]
    with Store.open(tmp_path / "store.db") as store, store.start_run("{}", cameras) as run:
        page = open_page(chromium, address)
        page.clock.install()  # the page looks at most every ten seconds
        page.goto(f"{address}/#/timeline")
        page.get_by_text("Nobody was seen yet").wait_for()
        page.problems.clear()  # the first page had no frame of the door to show
        for identity in range(1, 31):
            walk_by(run, identity, START + identity)
        pass_until(page, lambda: page.locator(".count").is_visible())
        expect(page.locator(".count")).to_have_text("30 people, 30 visits")
        page.get_by_label("Least number of cameras").fill("1")
        page.get_by_label("sort by").select_option("number")
        page.get_by_role("button", name="Zoom in").click()
        page.locator(".chart").evaluate("(chart) => chart.scrollTop = 250")
        page.locator("canvas").focus()
        page.locator('a.label[href="#/identity/10"]').wait_for()
        before = page.locator('a.label[href="#/identity/10"]').bounding_box()
        walk_by(run, 31, START + 40)
        pass_until(page, lambda: page.locator(".count").inner_text() == "31 people, 31 visits")
        assert page.locator('a.label[href="#/identity/10"]').bounding_box() == before
        assert page.locator("canvas").evaluate("(canvas) => canvas === document.activeElement")
        expect(page.get_by_label("sort by")).to_have_value("number")
        page.locator(".chart").evaluate("(chart) => chart.scrollTop = 1e6")
        page.locator('a.label[href="#/identity/31"]').wait_for()
        walk_by(run, 32, START + 50)
        run.report(CameraReport("door", decoded=500, analysed=500))
        run.settle_links()
        run.finish("complete")
        pass_until(page, lambda: page.locator(".count").inner_text() == "32 people, 32 visits")
    assert page.problems == []


def pass_until(page, condition):
    """Let the page's clock run fast until something is so."""
    ends = time.monotonic() + WAIT_MS / 1000
    while not condition():
        assert time.monotonic() < ends
        page.clock.run_for(2000)
        page.wait_for_timeout(100)


def test_review_by_keys(chromium, address):
    page = open_page(chromium, address)
    page.goto(f"{address}/#/review")
    page.get_by_role("heading", name="The same person?").wait_for()
    page.keyboard.press("d")
    page.get_by_text("No undecided link is left.").or_(page.get_by_text("Nothing to review")).first.wait_for()
    assert page.problems == []


def test_footage_plays_in_time_sync_with_boxes(chromium, address):
    page = open_page(chromium, address)
    page.get_by_role("link", name="Player").click()
    expect(page.locator("video")).to_have_count(2)
    until(page, "videos.every((one) => one.readyState >= 2)")
    page.get_by_role("link", name="P1", exact=True).first.wait_for()
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "videos.every((one) => one.currentTime > 0.5)")
    page.get_by_role("button", name="Pause").click()
    times = page.evaluate("[...document.querySelectorAll('video')].map((one) => one.currentTime)")
    assert abs(times[0] - times[1]) < 0.3
    page.keyboard.press("n")
    page.get_by_role("link", name="P3", exact=True).first.wait_for()
    before = page.locator("output.time").inner_text()
    page.keyboard.press(".")
    assert page.locator("output.time").inner_text() != before
    page.locator(".tile canvas").nth(1).click(position=canvas_point(page, 1, 240, 140))
    page.get_by_role("heading", name="Person 3").wait_for()
    page.get_by_role("link", name="Play hall").first.click()
    page.get_by_text("Visits of Person 3").wait_for()
    assert page.problems == []


def until(page, condition):
    """Wait for a condition on the videos; the page's own policy forbids Playwright's way, which evaluates texts."""
    ends = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(f"((videos) => {condition})([...document.querySelectorAll('video')])"):
        assert time.monotonic() < ends, condition
        page.wait_for_timeout(50)


def canvas_point(page, number, x, y):
    """Where a pixel of the footage is on the screen."""
    box = page.locator(".tile canvas").nth(number).bounding_box()
    return {"x": x * box["width"] / 320, "y": y * box["height"] / 240}


def test_people_have_the_colours_of_the_annotated_videos(chromium, address):
    page = open_page(chromium, address)
    found = page.evaluate("""import('/static/format.js').then(
        (own) => Array.from({ length: 80 }, (_, at) => own.coloursOfIdentity(at + 1)))""")
    expected = [PALETTE[index] for index in colour_indexes(np.arange(1, 81))]
    assert found == [[colour, text_colour(colour)] for colour in expected]


def test_labels_in_the_player_do_not_cover_each_other(chromium, address):
    """As those of the videos, except that a label without any room is left out."""
    page = open_page(chromium, address)
    boxes = [[100, 60, 180, 150], [102, 61, 180, 150], [104, 60, 180, 150], [0, 0, 319, 179]]
    placed = page.evaluate("""([boxes, room]) => import('/static/boxes.js').then((own) => {
        const taken = [];
        for (const box of boxes) { const one = own.placeLabel(box, [30, 17], room, taken); if (one) taken.push(one); }
        return taken;
    })""", [boxes, [320, 180]])
    covered = np.zeros((180, 320), int)
    for x1, y1, x2, y2 in placed:
        covered[y1:y2, x1:x2] += 1
    assert (covered.max(), covered.sum()) == (1, 4 * 30 * 17)
    assert page.evaluate("""import('/static/boxes.js').then(
        (own) => own.placeLabel([0, 0, 9, 9], [30, 17], [30, 17], [[0, 0, 30, 17]]))""") is None


def test_the_evidence_of_a_link_shows_its_two_pictures_and_when_they_are_of(chromium, address):
    page = open_page(chromium, address, 390)
    page.goto(f"{address}/#/identity/2")
    page.get_by_role("button", name="Why?").click()
    dialog = page.get_by_role("dialog", name="Evidence of the link")
    dialog.get_by_text("Probability that the two are one person").wait_for()
    captions = dialog.locator("figcaption").all_inner_texts()
    assert captions == ["door\ntrack 2, 09:00:00", "hall\ntrack 1, 09:00:03"]
    expect(dialog.locator("img")).to_have_count(4)
    widths = "[...document.querySelectorAll('dialog img')].every((one) => one.complete && one.naturalWidth > 0)"
    ends = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(widths):
        assert time.monotonic() < ends
        page.wait_for_timeout(50)
    assert page.evaluate("((own) => own.scrollWidth - own.clientWidth)(document.querySelector('dialog'))") == 0
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.problems == []


def test_long_names_of_cameras_and_people_fit_a_narrow_window(chromium, address, tmp_path):
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE cameras SET name = ? WHERE name = 'hall'", ("corner behind the counter " * 4,))
        connection.execute("UPDATE identities SET name = ?", ("the tall woman with the umbrella " * 4,))
    page = open_page(chromium, address, 390)
    for part, sign in {"timeline": ".chip", "search": ".chip", "identity/2": ".link", "review": ".sides"}.items():
        page.goto(f"{address}/#/{part}")
        page.locator(f"main {sign}").first.wait_for()
        right = page.evaluate("""Math.max(...[...document.querySelectorAll(
            'main .chip, main h1, main strong, main figcaption')].map((one) => one.getBoundingClientRect().right))""")
        assert right <= 390, part


def test_a_player_without_footage_says_why(chromium, address, tmp_path):
    with sqlite3.connect(tmp_path / "store.db") as connection:
        (config,) = connection.execute("SELECT config FROM runs").fetchone()
        gone = json.loads(config)
        for camera in gone["cameras"].values():
            camera["source"] = "/nowhere/a.mp4"
        connection.execute("UPDATE runs SET config = ?", (json.dumps(gone),))
    page = open_page(chromium, address)
    page.goto(f"{address}/#/player")
    page.get_by_role("heading", name="Nothing to play").wait_for()
    assert page.get_by_text("door: The footage is not there any more").count() == 1


def test_search_by_photo(chromium, address, tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((120, 40, 3), RED, np.uint8))
    page = open_page(chromium, address)
    page.get_by_role("link", name="Search").click()
    page.get_by_text("Drop a picture here").wait_for()
    page.set_input_files("input[type=file]", str(tmp_path / "red.png"))
    page.locator(".found").first.wait_for()
    assert page.locator(".found").first.get_by_role("link", name="Person 1").count() >= 1
    (tmp_path / "bad.png").write_bytes(b"<svg/>")
    page.set_input_files("input[type=file]", str(tmp_path / "bad.png"))
    page.get_by_text("expected a JPEG, PNG or WebP picture").wait_for()
    page.goto(f"{address}/#/identity/3")
    page.get_by_role("link", name="Search for the picture from hall").first.click()
    page.locator(".found").first.wait_for()
    assert [one for one in page.problems if "400" not in one] == []


def test_somebody_is_forgotten(chromium, address):
    page = open_page(chromium, address)
    page.goto(f"{address}/#/identity/3")
    page.get_by_role("button", name="Forget…").click()
    page.get_by_role("button", name="Go on…").click()
    page.get_by_role("dialog", name="Forget for good?").get_by_label("Number").fill("3")
    page.get_by_role("button", name="Forget for good").click()
    page.locator("#toasts").get_by_text("Done:").wait_for()
    page.goto(f"{address}/#/identity/3")
    page.get_by_text("no identity 3").wait_for()
    assert page.get_by_role("button", name="Forget…").count() == 0


@pytest.mark.parametrize(("scheme", "blend"), [("light", "multiply"), ("dark", "screen")])
def test_paths_are_drawn_over_the_plan_of_the_store(chromium, address, tmp_path, scheme, blend):
    page = open_page(chromium, address, scheme=scheme)
    page.goto(f"{address}/#/identity/2")
    page.get_by_text("One square is one metre").wait_for()
    with Store.open(tmp_path / "store.db") as store, store.writing() as connection:
        write_floor_plan(connection, 1, PLAN)
    page.reload()
    page.get_by_text("A dot is where a tracklet begins").wait_for()
    page.locator(".map img.paper").wait_for()
    place = page.evaluate("""(() => {
        const [picture, canvas] = ["img", "canvas"].map((one) => document.querySelector(`.map ${one}`));
        const box = picture.getBoundingClientRect(), style = getComputedStyle(picture);
        return [picture.naturalWidth, Math.round(100 * box.height / box.width), style.mixBlendMode,
                Math.round(box.bottom - canvas.getBoundingClientRect().bottom)];
    })()""")
    assert place == [80, 75, blend, 0]
    page.locator(".map canvas").hover(position=point_of_path(page))
    page.get_by_text("door, 09:00:0").first.wait_for()
    assert page.problems == []


def point_of_path(page):
    """Where the first point of an identity's path is on the canvas, by what the server says of the plan."""
    found = page.evaluate("fetch('/api/identities/2/path').then((answer) => answer.json())")
    _, x, y = found["paths"][0]["points"][0]
    pixel = np.array(found["plan"]["floor_to_pixels"]) @ [x, y, 1]
    boxes = [page.locator(f".map {one}").bounding_box() for one in ("img", "canvas")]
    scale = boxes[0]["width"] / found["plan"]["width"]
    return {name: boxes[0][name] - boxes[1][name] + at * scale for name, at in zip("xy", pixel.tolist(), strict=True)}


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "dark")])
def test_every_page_fits_and_has_no_problem(chromium, address, width, scheme):
    page = open_page(chromium, address, width, scheme)
    for part, sign in {"": ".cards", "timeline": "canvas", "player": ".tile", "search": ".drop", "review": ".answers",
                       "history": ".empty", "identity/2": ".link"}.items():
        page.goto(f"{address}/#/{part}")
        page.locator(f"main {sign}").first.wait_for()
        wide = page.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]")
        assert max(wide) <= width, part
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, a, input, select')].filter((one) => !(one.textContent.trim() || "
            "one.getAttribute('aria-label') || one.title || one.closest('label') || one.hidden || "
            "one.getAttribute('aria-hidden') || one.querySelector('img[alt]'))).map((one) => one.outerHTML)")
        assert nameless == [], part
    assert page.problems == []
