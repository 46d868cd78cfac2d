"""Sources: the right frames at the right time, thinned as configured, stopped at once."""

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from reidpipe.pipeline.sources.finding import find_footage
from reidpipe.pipeline.sources.video.frame_image import bgr_image

from ..media import (
    HEIGHT,
    WIDTH,
    assert_adds_up,
    cut,
    numbers,
    open_camera,
    read,
    seconds_of,
    write_images,
    write_video,
)

KIT = Path(__file__).parents[3].parent / "shared" / "kit"
needs_kit = pytest.mark.skipif(not KIT.is_dir(), reason="the development kit is not here")


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "good.mp4")


# --- the right frames at the right time -----------------------------------------------------------------------------


def test_a_video_reports_its_properties(video):
    source = open_camera(video)
    assert (source.camera, source.width, source.height, source.fps) == ("entrance", WIDTH, HEIGHT, 10.0)
    assert (source.frame_count, source.duration_seconds, source.start_seconds) == (20, pytest.approx(2.0), 0.0)
    frames = read(source)
    assert [frame.index for frame in frames] == list(range(20))
    assert seconds_of(frames) == pytest.approx([number / 10 for number in range(20)])
    image = frames[0].image
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert source.counts.decoded == 20
    assert (source.counts.status, source.counts.error) == ("complete", "")


def test_colours_are_bgr(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((HEIGHT, WIDTH, 3), (200, 100, 20), np.uint8))
    assert read(open_camera(folder))[0].image[0, 0].tolist() == [200, 100, 20]


@pytest.mark.parametrize("name", ["e.mp4", "e.mkv", "e.mov", "e.avi", "e.ts"])
@pytest.mark.parametrize("order", ["0", "2"], ids=["in order", "frames stored out of order"])
def test_every_container_gives_the_same_frames_and_times(name, order, tmp_path):
    video = write_video(tmp_path / name, options={"bf": order, "preset": "veryfast"})
    frames = read(open_camera(video))
    assert numbers(frames) == list(range(20))
    assert seconds_of(frames) == pytest.approx([number / 10 for number in range(20)], abs=0.001)


@pytest.mark.parametrize("name", ["e.mp4", "e.mkv"])
def test_variable_frame_rates_keep_their_times(name, tmp_path):
    steps = np.random.default_rng(3).integers(15, 400, 23)
    times_ms = [0, *np.cumsum(steps).tolist()]
    source = open_camera(write_video(tmp_path / name, 24, 25, times_ms=times_ms))
    frames = read(source)
    assert numbers(frames) == list(range(24))
    assert seconds_of(frames) == pytest.approx([time / 1000 for time in times_ms], abs=0.001)
    assert source.counts.status == "complete"


def test_raw_streams_take_their_times_from_the_rate(tmp_path):
    source = open_camera(write_video(tmp_path / "e.h264", 10, 8))
    assert source.fps == 8
    assert seconds_of(read(source)) == pytest.approx([number / 8 for number in range(10)])


def test_start_time_and_offset_move_the_clock(video):
    source = open_camera(video, start_time=datetime(2024, 5, 1, 8, tzinfo=UTC), offset=-0.25)
    assert source.start_seconds == 1714550400 - 0.25
    assert seconds_of(read(source))[:2] == pytest.approx([1714550399.75, 1714550399.85], abs=1e-6)


def test_a_stream_that_does_not_start_at_zero_is_shifted_to_zero(tmp_path):
    video = write_video(tmp_path / "e.mkv", 5, times_ms=[5000, 5100, 5200, 5300, 5400])
    source = open_camera(video)
    assert seconds_of(read(source)) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert source.counts.status == "complete"


@pytest.mark.skipif(not hasattr(VideoStream, "set_display_rotation"), reason="this PyAV cannot write rotated videos")
@pytest.mark.parametrize(("rotation", "corner"), [(90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))])
def test_a_rotated_video_is_decoded_upright(rotation, corner, tmp_path):
    source = open_camera(write_video(tmp_path / "e.mp4", 3, rotation=rotation))
    image = read(source)[0].image
    upright = (HEIGHT, WIDTH) if rotation == 180 else (WIDTH, HEIGHT)
    assert image.shape == (*upright, 3)
    assert (source.height, source.width) == upright
    assert image[corner].max() < 30  # the dark patch was at the upper left
    assert image.flags.c_contiguous


def test_segments_are_joined_in_time_in_natural_order(tmp_path):
    for part, first in ((9, 0), (10, 5), (11, 10)):
        write_video(tmp_path / f"cam_{part}.mp4", 5, first=first)
    (tmp_path / "cam_9.jpg").write_bytes(b"a preview image beside its segment")
    source = open_camera(tmp_path / "cam_*")
    assert source.frame_count == pytest.approx(15, abs=2)
    frames = read(source)
    assert numbers(frames) == list(range(15))
    assert [frame.index for frame in frames] == list(range(15))
    assert seconds_of(frames) == pytest.approx([number / 10 for number in range(15)])
    assert source.counts.status == "complete"


def test_brackets_in_a_file_name_are_not_a_pattern(tmp_path):
    video = write_video(tmp_path / "cam[1].mp4", 3)
    assert find_footage(str(video)).kind == "video"
    assert len(read(open_camera(video))) == 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_images_are_read_in_natural_order(suffix, tmp_path):
    source = open_camera(write_images(tmp_path / "in", 12, suffix), fps=4)
    frames = read(source)
    assert numbers(frames) == list(range(12))
    assert seconds_of(frames) == pytest.approx([number / 4 for number in range(12)])
    assert (source.width, source.height, source.frame_count) == (WIDTH, HEIGHT, 12)


def test_images_without_a_rate_are_reported(tmp_path, caplog):
    assert open_camera(write_images(tmp_path / "in")).fps == 25
    assert "assuming 25 per second" in caplog.text


def test_a_bad_image_keeps_its_place_in_time(tmp_path):
    folder = write_images(tmp_path / "in")
    cut(folder / "frame_2.png")
    frames = read(open_camera(folder, fps=1))
    assert seconds_of(frames) == [0, 1, 3, 4, 5]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]


def test_two_readings_are_equal(video):
    once, again = read(open_camera(video)), read(open_camera(video))
    assert seconds_of(once) == seconds_of(again)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(once, again, strict=True))


# --- thinning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        pytest.param({"every": 1}, list(range(20)), id="every frame"),
        pytest.param({"every": 3}, [0, 3, 6, 9, 12, 15, 18], id="every third"),
        pytest.param({"every": 100}, [0], id="more than there are"),
        pytest.param({"fps": 5}, list(range(0, 20, 2)), id="half the rate"),
        pytest.param({"fps": 10}, list(range(20)), id="the video's own rate"),
        pytest.param({"fps": 100}, list(range(20)), id="more than the video has"),
        pytest.param({"fps": 4}, [0, 3, 5, 8, 10, 13, 15, 18], id="no whole divisor"),
        pytest.param({"fps": 0.5}, [0], id="less than one a second"),
    ],
)
def test_thinning_keeps_the_right_frames(settings, kept, video):
    source = open_camera(video, **settings)
    frames = read(source)
    assert [frame.index for frame in frames] == kept
    assert numbers(frames) == kept
    assert seconds_of(frames) == pytest.approx([index / 10 for index in kept])
    assert (source.counts.decoded, source.counts.thinned) == (20, 20 - len(kept))
    assert_adds_up(source, frames)


def test_a_rate_of_30_survives_timestamps_in_milliseconds(tmp_path):
    times_ms = [round(number * 1000 / 30) for number in range(24)]
    frames = read(open_camera(write_video(tmp_path / "e.mkv", 24, 30, times_ms=times_ms), fps=30))
    assert len(frames) == 24


def test_thinning_by_rate_follows_time_not_frame_numbers(tmp_path):
    times_ms = [0, 100, 200, 300, 400, 3000, 3100, 4000, 4050, 4100]  # a recorder that sleeps while nothing moves
    frames = read(open_camera(write_video(tmp_path / "e.mkv", 10, times_ms=times_ms), fps=1))
    assert [frame.index for frame in frames] == [0, 5, 7]


def test_thinning_images_by_number(tmp_path):
    source = open_camera(write_images(tmp_path / "in", 7), every=3)
    frames = read(source)
    assert numbers(frames) == [0, 3, 6]
    assert (source.counts.decoded, source.counts.thinned) == (7, 4)
    assert_adds_up(source, frames)


# --- stopping -------------------------------------------------------------------------------------------------------


def open_files():
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


@pytest.mark.parametrize("kind", ["video", "images"])
def test_stopping_is_immediate_and_reported(kind, tmp_path, video):
    source = open_camera(video if kind == "video" else write_images(tmp_path / "in"))
    stop = threading.Event()
    frames = []
    for frame in source.frames(stop):
        frames.append(frame)
        if frame.index == 2:
            stop.set()
    assert source.counts.decoded == 3
    assert source.counts.status == "partial"
    assert re.search(r"stopped after 0\.\d s of footage", source.counts.error)
    assert_adds_up(source, frames)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_files_are_closed_if_reading_ends_early(video):
    source = open_camera(video, isolate=False)
    assert str(video) not in open_files()
    frames = source.frames(threading.Event())
    next(frames)
    assert str(video) in open_files()
    frames.close()
    assert str(video) not in open_files()
    assert source.counts.status == "partial"


# --- real footage ---------------------------------------------------------------------------------------------------


@needs_kit
def test_a_real_camera_is_read_to_its_end():
    source = open_camera(KIT / "mc" / "lab4" / "cam0.mp4", every=20)
    frames = read(source)
    assert (source.width, source.height, source.fps, source.counts.decoded) == (1288, 728, 10.0, 268)
    assert seconds_of(frames) == pytest.approx([number * 2.0 for number in range(14)])
    assert all(frame.image.flags.c_contiguous for frame in frames)
    assert source.counts.status == "complete"


@needs_kit
def test_a_real_raw_stream_takes_its_rate_from_its_header():
    source = open_camera(KIT / "sc" / "intel" / "people-detection.264", fps=1)
    frames = read(source)
    assert (source.fps, source.counts.decoded) == (24.0, 596)
    assert seconds_of(frames) == pytest.approx(list(range(25)), abs=0.03)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuvj444p"])
@pytest.mark.parametrize("colour_range", [ColorRange.UNSPECIFIED, ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", [1, 2, 6, 9], ids=["BT.709", "unspecified", "BT.601", "BT.2020"])
def test_colours_are_those_of_libswscale(pixels, colour_range, matrix):
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(cv2.resize(coarse, (102, 78)), format="bgr24").reformat(format=pixels)
    frame.color_range, frame.colorspace = colour_range, matrix
    expected = VideoReformatter().reformat(frame, format="bgr24").to_ndarray()
    image = bgr_image(frame, VideoReformatter())
    assert image.flags.c_contiguous
    assert int(cv2.absdiff(image, expected).max()) <= 1
