"""What the player plays, and the boxes over it."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.web.jobs import Jobs
from tests.pipeline.web.served import served_with
from tests.pipeline.web.small_store import START, write_video


def test_footage_that_browsers_play_is_listed_and_sent_by_ranges(served, footage_path):
    door, hall = served.get("/api/footage").json()
    assert (door["name"], door["state"], door["first_seconds"]) == ("door", "ready", START)
    assert door["parts"][0]["duration_seconds"] == pytest.approx(6.0, abs=0.11)
    address = f"/media/footage/{hall['id']}/0"
    content = (footage_path.parent / "hall.mp4").read_bytes()
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
