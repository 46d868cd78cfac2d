"""The page beyond the timeline: footage, clips, overview, search by photo, roles, blurred heads, hostile uploads."""

from __future__ import annotations

import io
import json
import struct
import threading
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from starlette.testclient import TestClient

from reidpipe.pipeline.config.schema import LinkingConfig
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web import overview_api
from reidpipe.pipeline.web.app import make_app
from reidpipe.pipeline.web.database import Database
from reidpipe.pipeline.web.find import Finder
from reidpipe.pipeline.web.gallery import Gallery
from reidpipe.pipeline.web.jobs import Jobs
from reidpipe.pipeline.web.reads import linked_tracklets
from reidpipe.pipeline.web.security import LARGEST_PHOTO, Sessions, Views
from reidpipe.reid import Appearance, masked_similarity
from tests.pipeline.web.small_store import RED, START, ColourEmbedder, WholePicture, small_store, write_video

TOKEN, VIEW_TOKEN = "a token of twenty chars", "a token for looking only"
HOST = "127.0.0.1:8471"
ORIGIN = {"origin": f"http://{HOST}"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store"))


class Served:
    """A page over a database, with a browser that is logged in."""

    def __init__(self, path, folder, token=TOKEN, blur=False):
        self.store = Store.open(path)
        self.database, self.jobs = Database(self.store), Jobs(Path(folder) / "cache")
        finder = Finder(blur, WholePicture, lambda _store, _run: ColourEmbedder())
        app = make_app(self.database, Sessions(TOKEN, view_token=VIEW_TOKEN), self.jobs, "Ada", frozenset({HOST}),
                       blur=blur, finder=finder)
        self.browser = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
        assert self.browser.get("/login", params={"token": token}).status_code == 303

    def get(self, address, **headers):
        return self.browser.get(address, headers=headers)

    def post(self, address, content):
        csrf = self.get("/api/session").json()["csrf"]
        return self.browser.post(address, content=content, headers={"x-csrf-token": csrf, **ORIGIN})

    def until(self, address, state="ready", seconds=30.0):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = self.get(address).json()
            states = {one["state"] for one in found} if isinstance(found, list) else {found["state"]}
            if states == {state}:
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    def close(self):
        self.jobs.close()
        self.database.close()
        self.store.close()


@pytest.fixture
def served(path, tmp_path):
    page = Served(path, tmp_path)
    yield page
    page.close()


def served_with(tmp_path, footage, **how):
    return Served(small_store(tmp_path, footage), tmp_path, **how)


def test_footage_that_browsers_play_is_listed_and_sent_by_ranges(served, path):
    door, hall = served.get("/api/footage").json()
    assert (door["name"], door["state"], door["first_seconds"]) == ("door", "ready", START)
    assert door["parts"][0]["duration_seconds"] == pytest.approx(6.0, abs=0.11)
    address = f"/media/footage/{hall['id']}/0"
    content = (path.parent / "hall.mp4").read_bytes()
    part = served.get(address, range="bytes=10-19")
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, content[10:20], "video/mp4")
    assert served.get(address).content == content


@pytest.mark.parametrize("address", [
    "/media/footage/99/0", "/media/footage/1/7", "/media/footage/1/..%2f..%2fstore.db",
    "/media/footage/..%2f..%2fetc/0"])
def test_footage_is_reached_by_number_only(served, address):
    assert served.get(address).status_code in (400, 404)


@pytest.mark.parametrize(("source", "state", "text"), [
    pytest.param("rtsp://user:secret@camera/1", "live", "live stream", id="live"),
    pytest.param("gone.mp4", "gone", "not there any more", id="gone"),
])
def test_footage_that_cannot_be_played_is_explained(tmp_path, source, state, text):
    page = served_with(tmp_path, {"door": source if "://" in source else str(tmp_path / source)})
    try:
        door = page.get("/api/footage").json()[0]
        assert (door["state"], text in door["explanation"], "secret" in json.dumps(door)) == (state, True, False)
        assert page.get(f"/media/footage/{door['id']}/0").status_code == 404
    finally:
        page.close()


def test_a_text_file_is_not_sent_as_footage(tmp_path):
    (tmp_path / "notes.mp4").write_text("secret notes\n" * 100)
    page = served_with(tmp_path, {"door": str(tmp_path / "notes.mp4")})
    try:
        page.get("/api/footage")
        assert page.get("/media/footage/1/0").status_code == 404
    finally:
        page.close()


def test_other_codecs_are_played_from_a_copy_in_the_cache(tmp_path):
    write_video(tmp_path / "old.avi", "door", "MJPG")
    page = served_with(tmp_path, {"door": str(tmp_path / "old.avi")})
    try:
        door, _ = page.until("/api/footage")
        assert door["parts"][0]["duration_seconds"] == pytest.approx(6.0, abs=0.11)
        assert page.get(f"/media/footage/{door['id']}/0").content[4:8] == b"ftyp"
        (copy,) = (tmp_path / "cache").glob("*.mp4")
        assert copy.stat().st_mode & 0o777 == 0o600
    finally:
        page.close()


def test_the_cache_keeps_its_size(tmp_path):
    jobs = Jobs(tmp_path, most_bytes=2500)
    for number in range(4):
        jobs.ask(str(number), lambda path, _progress, _stop: path.write_bytes(bytes(1000)) and None)
    ends = time.monotonic() + 10
    while jobs.ask("3", lambda *_: None).state != "ready" and time.monotonic() < ends:
        time.sleep(0.01)
    jobs.close()
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    assert jobs.path("3").exists()


def test_boxes_come_by_camera_and_time(served):
    frames = served.get(f"/api/boxes?camera=1&from={START}&to={START + 0.25}").json()
    assert [round(seconds - START, 2) for seconds, _ in frames] == [0, 0.1, 0.2]
    assert [(one[0], one[2:]) for one in frames[0][1]] == [(1, [20, 80, 60, 200]), (2, [200, 80, 240, 200])]
    assert served.get("/api/boxes?camera=1&from=x&to=1").status_code == 400


def test_the_path_on_the_floor_is_in_metres(served):
    (path,) = served.get("/api/identities/1/path").json()["paths"]
    assert path["points"][0] == [START, pytest.approx(0.8), pytest.approx(2.0)]


def test_a_clip_shows_the_visits_of_an_identity(served):
    served.until("/api/identities/2/clip")
    answer = served.get("/media/clips/2")
    assert answer.headers["content-disposition"] == 'attachment; filename="person-2-run1.mp4"'
    assert answer.content[4:8] == b"ftyp"
    assert served.get("/api/identities/9/clip").status_code == 404


def test_the_report_needs_nothing_else(served):
    csrf = served.get("/api/session").json()["csrf"]
    body = json.dumps({"run": 1, "who": "Bob", "name": "<script>alert(1)</script>"})
    headers = {"x-csrf-token": csrf, "content-type": "application/json", **ORIGIN}
    assert served.browser.post("/api/identities/1/name", content=body, headers=headers).status_code == 200
    text = served.get("/api/identities/1/report").text
    served.browser.post("/api/undo", content=json.dumps({"run": 1, "who": "Bob"}), headers=headers)
    assert "&lt;script&gt;" in text
    assert 'src="data:image/webp;base64,' in text
    assert "<polyline" in text
    for forbidden in ("<script", "http:", "https:", "href="):
        assert forbidden not in text


def test_the_overview_counts_people_over_the_time(served):
    found = served.get("/api/overview").json()
    assert (found["live"]["people"], found["undecided"], found["unsure"]) == (3, 0, 1)
    assert found["chart"]["people"] == [2, 2, 2, 2, 2, 2]
    assert [(one["name"], one["frames"]) for one in found["live"]["cameras"]] == [("door", 60), ("hall", 60)]
    picture = served.get("/media/previews/2")
    assert picture.headers["content-type"] == "image/jpeg"


def test_events_tell_the_state_of_the_run(served, monkeypatch):
    monkeypatch.setattr(overview_api, "STREAM_SECONDS", 0.01)
    monkeypatch.setattr(overview_api, "EVENT_SECONDS", 0.02)
    answer = served.get("/api/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    state = json.loads(answer.text.partition("data: ")[2].partition("\n")[0])
    assert (state["status"], state["people"]) == ("complete", 3)


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_person_is_found_by_a_photo(served, suffix):
    photo = served.post("/api/search/photo", encoded(np.full((120, 40, 3), RED, np.uint8), suffix)).json()
    assert len(photo["people"]) == 1
    assert served.get(f"/media/photos/{photo['photo']}/0").headers["content-type"] == "image/webp"
    found = served.get(f"/api/search?photo={photo['photo']}&person=0").json()["found"]
    assert found[0]["identity"] == 1
    assert found[0]["similarity"] > 0.95
    found = served.get(f"/api/search?photo={photo['photo']}&person=0&camera=2").json()["found"]
    assert [one["identity"] for one in found] == [2, 3]
    assert served.get(f"/api/search?photo={photo['photo']}&person=0&to={START - 1}").json()["found"] == []


def test_a_person_is_found_by_a_stored_crop(served):
    found = served.get("/api/search?tracklet=1&frame=2").json()["found"]
    assert found[0]["identity"] == 1


@pytest.mark.parametrize("query", [
    "", "photo=unknown&person=0", "tracklet=1", "tracklet=1&frame=99", "tracklet=1&frame=2&camera=9", "person=x"])
def test_a_search_for_nothing_is_one_line(served, query):
    answer = served.get(f"/api/search?{query}")
    assert (answer.status_code, "\n" in answer.json()["error"]) == (400, False)


def png_bomb() -> bytes:
    """A PNG of some kilobytes that says it has 60000x60000 pixels."""
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def zip_bomb() -> bytes:
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(10**6))
    return content.getvalue()


@pytest.mark.parametrize("content", [
    pytest.param(b"", id="0 bytes"),
    pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="SVG"),
    pytest.param(zip_bomb(), id="zip bomb"),
    pytest.param(png_bomb(), id="PNG bomb"),
    pytest.param(b"GIF89a/*" + b"\x00" * 64 + b"*/=1;alert(1)", id="GIF that is JavaScript"),
    pytest.param(b"\x89PNG\r\n\x1a\n" + b"<html>" * 50, id="PNG that is HTML"),
    pytest.param(encoded(np.zeros((200, 200, 3), np.uint8), ".jpg")[:300], id="cut off"),
    pytest.param(encoded(np.zeros((4, 4, 3), np.uint8)), id="tiny"),
    pytest.param(b"%PDF-1.4\n" + b"x" * 200, id="PDF"),
])
def test_hostile_uploads_are_refused(served, content):
    answer = served.post("/api/search/photo", content)
    assert (answer.status_code, "\n" in answer.json()["error"]) == (400, False)


def test_uploads_are_refused_when_pillow_misses_a_package(served, monkeypatch):
    """Once it is imported, ultralytics makes Pillow ask for a package for HEIF wherever it knows no format."""
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: __import__("no_such_package_for_heif"))
    assert served.post("/api/search/photo", b"no picture").status_code == 400


def test_a_picture_with_a_page_behind_it_is_decoded_as_a_picture_only(served):
    content = encoded(np.full((120, 40, 3), RED, np.uint8)) + b"<html><script>alert(1)</script>"
    photo = served.post("/api/search/photo", content).json()["photo"]
    assert b"script" not in served.get(f"/media/photos/{photo}/0").content


def test_an_upload_has_a_largest_size(served):
    csrf = served.get("/api/session").json()["csrf"]
    headers = {"x-csrf-token": csrf, "content-length": str(LARGEST_PHOTO + 1), **ORIGIN}
    assert served.browser.post("/api/search/photo", content=b"x", headers=headers).status_code == 413


def test_those_who_may_only_look_correct_nothing(path, tmp_path):
    page = Served(path, tmp_path, token=VIEW_TOKEN)
    try:
        assert page.get("/api/session").json()["role"] == "view"
        assert page.get("/api/timeline").status_code == 200
        refused = page.post("/api/identities/1/name", json.dumps({"run": 1, "who": "Eve", "name": "x"}))
        assert (refused.status_code, "correct nothing" in refused.json()["error"]) == (403, True)
        assert page.post("/api/search/photo", encoded(np.full((120, 40, 3), RED, np.uint8))).status_code == 200
        assert page.get("/api/history").json() == [] or all(
            one["who"] != "Eve" for one in page.get("/api/history").json())
    finally:
        page.close()


def test_looks_at_people_are_logged_if_wanted(path, tmp_path):
    with Store.open(path) as store:
        database, jobs, views = Database(store), Jobs(tmp_path), Views(tmp_path / "views.jsonl")
        app = make_app(database, Sessions(TOKEN), jobs, "Ada", frozenset({HOST}), views=views)
        browser = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
        browser.get("/api/identities/1")
        browser.get("/login", params={"token": TOKEN})
        browser.get("/api/session")
        browser.get("/api/identities/1?run=1")
        views.close()
        jobs.close()
        database.close()
    (line,) = (tmp_path / "views.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["path"], found["query"], found["role"]) == ("/api/identities/1", "run=1", "edit")
    assert (tmp_path / "views.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("masks", ["constant", "of the gallery", "of the query", "of both"])
def test_the_gallery_gives_the_similarity_of_the_model(masks):
    random = np.random.default_rng(3)
    embedding = random.integers(-127, 128, (40, 8)).astype(np.int8)
    mask = random.integers(1, 256, (40, 8 if "gallery" in masks or "both" in masks else 1)).astype(np.uint8)
    own = random.normal(size=(1, 8)).astype(np.float32)
    own /= np.linalg.norm(own)
    reliable = np.full((1, 8), 0.5, np.float32)
    if "query" in masks or "both" in masks:
        reliable = random.uniform(0.1, 1, (1, 8)).astype(np.float32)
    query, numbers = Appearance(own, reliable), np.arange(40)
    unit = embedding.astype(np.float32) / np.linalg.norm(embedding.astype(np.float32), axis=1, keepdims=True)
    whole = Appearance(unit, np.ascontiguousarray(np.broadcast_to(mask / np.float32(255), unit.shape), np.float32))
    gallery = Gallery(LinkingConfig(), (), embedding, mask, numbers, numbers, numbers * 1.0, numbers * 1.0)
    expected = masked_similarity(query, whole, gallery.linking.mode)[0]
    assert gallery.similarity(query, numbers) == pytest.approx(expected, abs=1e-5)


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_heads_are_blurred_in_pictures_and_footage(tmp_path):
    page = served_with(tmp_path, None, blur=True)
    plain = Served(tmp_path / "store.db", tmp_path / "plain")
    try:
        noise = np.random.default_rng(0).integers(0, 255, (160, 64, 3), np.uint8)
        photo = page.post("/api/search/photo", encoded(noise)).json()["photo"]
        shown = decoded(page.get(f"/media/photos/{photo}/0").content)
        assert shown[:40].std() < noise[:40].std() / 3 < shown[60:].std()
        assert page.get("/media/crops/1/2").content != plain.get("/media/crops/1/2").content
        assert {one["state"] for one in page.get("/api/footage").json()} <= {"preparing", "ready"}
        page.until("/api/footage")
        original = (tmp_path / "door.mp4").read_bytes()
        assert page.get("/media/footage/1/0").content != original
        assert plain.get("/media/footage/1/0").content == original
    finally:
        page.close()
        plain.close()


def test_the_api_describes_itself(served):
    found = served.get("/api/openapi.json").json()
    assert "/api/identities/{identity}/split" in found["paths"]
    assert "from_tracklet" in found["components"]["schemas"]["Split"]["properties"]
    parameters = {one["name"] for one in found["paths"]["/api/timeline"]["get"]["parameters"]}
    assert {"run", "camera", "from", "to", "sort", "offset", "limit"} <= parameters
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} has no description"


def test_the_timeline_comes_in_parts(served):
    whole = served.get("/api/timeline?sort=cameras").json()
    assert [one["identity"] for one in whole["identities"]] == [2, 1, 3]
    part = served.get("/api/timeline?sort=cameras&offset=1&limit=1").json()
    assert ([one["identity"] for one in part["identities"]], part["matching"], part["matching_visits"]) == ([1], 3, 4)
    assert {visit[0] for visit in part["visits"]} == {1}
    assert served.get("/api/timeline?least_cameras=2").json()["matching"] == 1
    assert served.get("/api/timeline?least_seconds=60").json()["matching"] == 0


def test_a_read_waits_for_no_other_read_but_a_correction_waits_for_all(path):
    with Store.open(path) as store:
        database, order = Database(store), []
        both = threading.Barrier(2, timeout=10)

        def read():
            with database.reading():
                both.wait()  # passes only if both are in at once
                order.append("read")

        def correct():
            with database.correcting():
                order.append("correction")

        readers = [threading.Thread(target=read) for _ in range(2)]
        with database.reading():
            writer = threading.Thread(target=correct)
            for one in readers:
                one.start()
            for one in readers:
                one.join(10)
            writer.start()
            time.sleep(0.05)
            assert order == ["read", "read"]
        writer.join(10)
        assert order == ["read", "read", "correction"]
        database.close()


def plans(path, query):
    with Store.open(path) as store, store.reading() as connection:
        sql = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize("large", ["observations", "frames", "crops", "appearances", "links"])
def test_pages_of_one_person_read_no_large_table_whole(path, large):
    from sqlalchemy import select

    from reidpipe.pipeline.storage.queries import frame_of_box
    from reidpipe.pipeline.storage.schema import (
        AnalysedFrame,
        AppearanceRow,
        Camera,
        CropRow,
        Identity,
        Observation,
        TrackletRow,
    )

    person = (Camera.run_id == 1, Identity.number == 2)
    of_person = Identity.id == TrackletRow.identity_id
    queries = [
        linked_tracklets().where(*person),
        select(CropRow.quality).select_from(CropRow).join(TrackletRow).join(Camera).join(
            Identity, of_person).where(*person),
        select(AppearanceRow.mask).select_from(AppearanceRow).join(TrackletRow).join(Camera).join(
            Identity, of_person).where(*person),
        select(Observation.x1).select_from(TrackletRow).join(Camera).join(Identity, of_person).join(
            Observation, Observation.tracklet_id == TrackletRow.id).join(AnalysedFrame, frame_of_box()).where(*person),
        select(Observation.x1).select_from(TrackletRow).join(
            Observation, Observation.tracklet_id == TrackletRow.id).join(AnalysedFrame, frame_of_box()).where(
            TrackletRow.camera_id == 1, TrackletRow.first_seconds <= 5)]
    for query in queries:
        for step in plans(path, query):
            assert not step.startswith(f"SCAN {large}"), step
