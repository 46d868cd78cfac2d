"""Footage that is missing, empty, not a video or damaged: one clear line, and everything that decodes is kept."""

import os
import re

import cv2
import numpy as np
import pytest

from reidpipe.pipeline.errors import SourceError

from ...media import (
    HEIGHT,
    WIDTH,
    assert_adds_up,
    cut,
    damage,
    numbers,
    open_camera,
    picture,
    read,
    replaced,
    seconds_of,
    write_images,
    write_sound,
    write_video,
)

FAST = {"movflags": "faststart"}  # the index of an mp4 in front
SHORT_CLUSTERS = {"cluster_time_limit": "500"}


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "good.mp4")


# --- errors before the first frame ----------------------------------------------------------------------------------


def missing_near_miss(folder):
    write_video(folder / "entrance.mp4", 2)
    return folder / "entrence.mp4"


def folder_with(folder, *names):
    (folder / "in").mkdir()
    for name in names:
        (folder / "in" / name).write_bytes(b"x")
    return folder / "in"


def three_broken(folder):
    for number in range(3):
        (folder / f"cam1_{number}.mp4").write_bytes(b"no video")
    return folder / "cam1_*.mp4"


def written(path, content=b""):
    path.write_bytes(content)
    return path


BAD = [
    pytest.param(missing_near_miss, r"entrence\.mp4: no such file, did you mean entrance\.mp4\?", id="near miss"),
    pytest.param(lambda f: f / "b.mp4", r"b\.mp4: no such file; check the path", id="missing file"),
    pytest.param(lambda f: f / ("x" * 300), r"x: File name too long$", id="name too long"),
    pytest.param(lambda f: written(f / "a.mp4") / "b.mp4", r"no such file; there is no folder", id="below a file"),
    pytest.param(lambda f: f / "no" / "b.mp4", r"no such file; there is no folder .*no$", id="missing folder"),
    pytest.param(lambda f: written(f / "e.mp4"), r"e\.mp4: is empty \(0 bytes\)", id="empty file"),
    pytest.param(lambda f: written(f / "e.mp4", b"hello " * 999), r"e\.mp4: is not a video", id="text named mp4"),
    pytest.param(lambda f: written(f / "e.txt", b"hello\n" * 999), r"e\.txt: is not a video", id="text"),
    pytest.param(lambda f: written(f / "e.bin", os.urandom(9999)), r"e\.bin: is not a video", id="noise"),
    pytest.param(lambda f: write_sound(f / "e.m4a"), r"holds sound but no video", id="sound only"),
    pytest.param(lambda f: cut(write_video(f / "e.mp4")), r"was cut off before its index", id="mp4 without index"),
    pytest.param(lambda f: cut(write_video(f / "e.mkv"), 0.05), r"e\.mkv: .*copy it again", id="header only"),
    pytest.param(
        lambda f: replaced(write_video(f / "e.mp4"), b"avc1", b"zzz1"), r"video codec cannot be decoded", id="codec"),
    pytest.param(
        lambda f: damage(write_video(f / "e.mp4", container_options=FAST), 0.024, 1.0),
        r"e\.mp4: 20 packets could not be decoded, from 0\.0 s on; copy it again", id="no frame decodes"),
    pytest.param(folder_with, r"in: is a folder without images, it is empty", id="empty folder"),
    pytest.param(lambda f: folder_with(f, "a.txt"), r"without images, it holds 1 other file", id="folder of others"),
    pytest.param(lambda f: folder_with(f, "a.mp4"), r"folder of videos; .* give .*in/\*\.mp4", id="folder of videos"),
    pytest.param(lambda f: folder_with(f, "a.jpg", "b.png"), r"none of 2 images can be read", id="no image opens"),
    pytest.param(lambda f: folder_with(f, "a.mkv") / "b*", r"b\*: matches no file; .*in holds a\.mkv", id="no match"),
    pytest.param(lambda f: f / "no" / "*.mp4", r"matches no file; there is no folder .*no$", id="glob, no folder"),
    pytest.param(three_broken, r"none of 3 segments can be read; .*cam1_0\.mp4", id="no segment opens"),
    pytest.param(lambda f: "0", r"0: live sources are not supported yet", id="webcam"),
]


@pytest.mark.parametrize(("make", "line"), BAD)
def test_a_bad_source_is_reported_in_one_line_and_affects_no_other(make, line, tmp_path, video, capfd):
    (tmp_path / "bad").mkdir()
    good = open_camera(video)
    with pytest.raises(SourceError, match=line) as caught:
        open_camera(make(tmp_path / "bad"))
    assert str(caught.value).startswith("camera entrance: ")
    assert "\n" not in str(caught.value)
    assert numbers(read(good)) == list(range(20))
    assert good.counts.status == "complete"
    assert capfd.readouterr() == ("", "")  # libav and OpenCV print nothing themselves


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://admin:pa/ss@w0rd@10.0.0.7:554/stream1",
        "rtsp://10.0.0.7:554/stream1?user=admin&password=w0rd",
        "http://10.0.0.7:554/user=admin&password=w0rd/stream1",
    ],
)
def test_live_addresses_are_refused_without_their_password(address):
    with pytest.raises(SourceError, match=r"://.*live sources are not supported yet") as caught:
        open_camera(address)
    assert "w0rd" not in str(caught.value)
    assert "admin" not in str(caught.value)


# --- damage within the footage --------------------------------------------------------------------------------------


def one_bad_image(folder):
    write_images(folder / "in")
    cut(folder / "in" / "frame_2.png")
    return folder / "in"


def cut_jpeg(folder):
    write_images(folder / "in", suffix=".jpg")
    cut(folder / "in" / "frame_2.jpg", 0.8)
    return folder / "in"


def odd_sized_image(folder):
    write_images(folder / "in")
    cv2.imwrite(str(folder / "in" / "frame_2.png"), picture(2, 32, 32))
    return folder / "in"


def segment_gone(content):
    def make(folder):
        for part in (8, 9, 11):
            write_video(folder / f"cam_{part}.mp4", 5)
        (folder / "cam_10.mp4").write_bytes(content)
        return folder / "cam_*.mp4"

    return make


def odd_sized_segment(folder):
    write_video(folder / "cam_1.mp4", 5)
    write_video(folder / "cam_2.mp4", 3, size=(80, 48))
    write_video(folder / "cam_3.mp4", 5)
    return folder / "cam_*.mp4"


BREAKS = [
    pytest.param(
        lambda f: cut(write_video(f / "e.mp4", 40, container_options=FAST)), 10, 35, r"cut off at \d\.\d s of 4\.0 s",
        id="mp4 cut"),
    pytest.param(
        lambda f: cut(write_video(f / "e.mkv", 40, container_options=SHORT_CLUSTERS)), 10, 35,
        r"cut off at \d\.\d s of 4\.0 s", id="mkv cut"),
    pytest.param(
        lambda f: cut(write_video(f / "e.mkv", 40, container_options=SHORT_CLUSTERS, sound=True)), 10, 35,
        r"cut off at \d\.\d s of 4\.0 s", id="mkv with sound cut"),
    pytest.param(lambda f: damage(write_video(f / "e.mp4", 40)), 20, 39, r"from 1\.\d s on", id="broken mp4"),
    pytest.param(lambda f: damage(write_video(f / "e.ts", 40)), 20, 39, r"from \d\.\d s on", id="broken ts"),
    pytest.param(lambda f: damage(write_video(f / "e.mp4", 40), 0.01, 0.1), 30, 39, r"from 0\.0 s on", id="bad start"),
    pytest.param(one_bad_image, 5, 5, r"left out 1 image, the first: .*frame_2\.png: is not an image", id="bad image"),
    pytest.param(cut_jpeg, 5, 5, r"left out 1 image, the first: .*frame_2\.jpg: is cut off", id="cut jpeg"),
    pytest.param(odd_sized_image, 5, 5, r"frame_2\.png: is 32x32, the first image is 64x48", id="odd image"),
    pytest.param(segment_gone(b""), 15, 15, r"cam_10\.mp4: is empty", id="empty segment"),
    pytest.param(segment_gone(b"xxxx"), 15, 15, r"cam_10\.mp4: is not a video", id="bad segment"),
    pytest.param(odd_sized_segment, 10, 10, r"cam_2\.mp4: left out 3 frames that are not 64x48", id="odd segment"),
]


@pytest.mark.parametrize("thin", [{}, {"every": 2}])
@pytest.mark.parametrize(("make", "least", "most", "line"), BREAKS)
def test_damaged_footage_keeps_what_decodes(make, least, most, line, thin, tmp_path, capfd):
    source = open_camera(make(tmp_path), **thin)
    frames = read(source)
    assert least <= source.counts.decoded <= most
    assert source.counts.status == "partial"
    assert_adds_up(source, frames)
    assert "\n" not in source.counts.error
    assert "entrance" not in source.counts.error  # the report names the camera in its own field
    assert re.search(line, source.counts.error)
    assert np.all(np.diff(seconds_of(frames)) > 0)
    assert all(frame.image.shape == (HEIGHT, WIDTH, 3) for frame in frames)
    assert capfd.readouterr() == ("", "")


def test_decoding_recovers_after_damage(tmp_path):
    frames = read(open_camera(damage(write_video(tmp_path / "e.mp4", 20), 0.4, 0.5)))
    assert numbers(frames)[-1] == 19
    assert seconds_of(frames)[-1] == pytest.approx(1.9)


def test_a_segment_that_is_cut_off_keeps_its_length_in_time(tmp_path):
    cut(write_video(tmp_path / "cam_1.mp4", 20, container_options=FAST), 0.6)
    write_video(tmp_path / "cam_2.mp4", 5)
    frames = read(open_camera(tmp_path / "cam_*.mp4"))
    assert seconds_of(frames)[-5:] == pytest.approx([2.0, 2.1, 2.2, 2.3, 2.4])


def test_a_timestamp_beyond_the_calendar_moves_neither_its_file_nor_the_next(tmp_path):
    far_ms = 8 * 10**15
    write_video(tmp_path / "cam_1.mkv", 5, times_ms=[0, 100, 200, far_ms, far_ms + 100])
    write_video(tmp_path / "cam_2.mkv", 5)
    source = open_camera(tmp_path / "cam_*.mkv")
    assert source.duration_seconds is None, "a header that states thousands of years is damaged"
    frames = read(source)
    assert numbers(frames) == [0, 1, 2, 3, 4] * 2
    assert seconds_of(frames) == pytest.approx(np.arange(10) / 10, abs=0.01)


def test_footage_that_vanishes_after_opening_is_a_failed_camera(video):
    source = open_camera(video)
    video.unlink()
    assert read(source) == []
    assert source.counts.status == "failed"
    assert "No such file" in source.counts.error


def test_a_title_in_an_old_code_page_is_no_damage(tmp_path):
    video = replaced(write_video(tmp_path / "e.mp4"), b"Lavf", b"L\xe4vf")
    source = open_camera(video)
    assert numbers(read(source)) == list(range(20))
    assert source.counts.status == "complete"


def damaged(content, kind, random):
    """The content with random bits, bytes or a whole stretch of it gone."""
    start = int(random.integers(0, len(content)))
    end = start + int(random.integers(1, len(content) // 4))
    if kind == "cut":
        return content[:start]
    if kind == "lost":
        return content[:start] + content[end:]
    if kind == "noise":
        return content[:start] + random.bytes(len(content[start:end])) + content[end:]
    flipped = bytearray(content)
    for place in random.integers(0, len(content), 20):
        flipped[place] ^= 1 << int(random.integers(0, 8))
    return bytes(flipped)


@pytest.mark.parametrize("kind", ["cut", "lost", "noise", "bits"])
@pytest.mark.parametrize("name", ["e.mp4", "e.mkv", "e.ts", "e.avi", "e.h264"])
def test_no_damage_raises_or_reverses_time(name, kind, tmp_path, capfd):
    content = write_video(tmp_path / name, container_options=FAST if name == "e.mp4" else {}).read_bytes()
    random = np.random.default_rng(7)
    for _ in range(6):
        (tmp_path / name).write_bytes(damaged(content, kind, random))
        try:
            source = open_camera(tmp_path / name, every=2)
        except SourceError as error:
            assert "\n" not in str(error)
            continue
        frames = read(source)
        assert_adds_up(source, frames)
        assert np.all(np.diff(seconds_of(frames)) > 0)
        assert source.counts.status in ("complete", "partial")
    assert capfd.readouterr() == ("", "")
