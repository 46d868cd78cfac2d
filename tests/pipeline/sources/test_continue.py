"""A source that is opened again goes on after any of its frames as the first one did."""

import re
import threading

import numpy as np
import pytest

from reidpipe.pipeline.sources.video.file import VideoReader
from reidpipe.pipeline.sources.video.segments import VideoSource
from reidpipe.pipeline.types import Place

from ..media import cut, damage, open_camera, read, write_images, write_video


def segments(folder):
    for number in range(3):
        write_video(folder / f"part{number}.mp4", 8, first=8 * number)
    return folder / "part*.mp4"


def broken_segments(folder):
    pattern = segments(folder)
    cut(folder / "part0.mp4", 0.3)
    damage(folder / "part1.mp4", 0.4, 0.5)
    return pattern


def images(folder):
    return write_images(folder / "images", 12)


def damaged_images(folder):
    cut(write_images(folder / "images", 12) / "frame_3.png")
    return folder / "images"


def irregular(folder):
    times_ms = [0, *np.cumsum(np.random.default_rng(3).integers(15, 400, 23)).tolist()]
    return write_video(folder / "a.mkv", 24, 25, times_ms=times_ms)


def set_back(folder):
    """Two recordings in one file: timestamps begin again."""
    both = [write_video(folder / f"{name}.ts", 12, first=first).read_bytes() for name, first in (("b", 0), ("c", 12))]
    (folder / "a.ts").write_bytes(b"".join(both))
    return folder / "a.ts"


FOOTAGE = {
    "mp4": (lambda folder: write_video(folder / "a.mp4", 24), {}),
    "mp4 with frames out of order": (lambda folder: write_video(
        folder / "a.mp4", 24, options={"bf": "2", "preset": "veryfast"}), {}),
    "transport stream": (lambda folder: write_video(folder / "a.ts", 24), {}),
    "avi": (lambda folder: write_video(folder / "a.avi", 24), {}),
    "no timestamps": (lambda folder: write_video(folder / "a.h264", 24), {}),
    "variable frame rate": (irregular, {}),
    "clock set back": (set_back, {}),
    "damaged": (lambda folder: damage(write_video(folder / "a.mp4", 24), 0.5, 0.6), {}),
    "cut off": (lambda folder: cut(write_video(folder / "a.mkv", 24), 0.7), {}),
    "every third frame": (lambda folder: write_video(folder / "a.mp4", 24), {"every": 3}),
    "four frames a second": (lambda folder: write_video(folder / "a.mp4", 24), {"fps": 4}),
    "segments": (segments, {}),
    "broken segments": (broken_segments, {}),
    "images": (images, {"fps": 5}),
    "images, every second": (images, {"every": 2}),
    "damaged images": (damaged_images, {"fps": 5}),
}


def plain(frames):
    return [(frame.index, frame.seconds, frame.image.tobytes(), frame.place) for frame in frames]


@pytest.mark.parametrize("name", FOOTAGE)
def test_a_source_goes_on_after_any_frame(name, tmp_path):
    write, settings = FOOTAGE[name]
    footage = write(tmp_path)
    whole = open_camera(footage, isolate=False, **settings)
    frames = read(whole)
    assert len(frames) >= 4
    for number in (0, len(frames) // 2, len(frames) - 2, len(frames) - 1):
        rest = open_camera(footage, isolate=False, **settings)
        rest.continue_after(frames[number].place)
        assert [frame[:3] for frame in plain(read(rest))] == [frame[:3] for frame in plain(frames[number + 1 :])]
        assert rest.counts.state() == whole.counts.state(), number


def test_a_decoder_in_its_own_process_goes_on_too(tmp_path):
    footage = segments(tmp_path)
    whole = open_camera(footage)
    frames = read(whole)
    rest = open_camera(footage)
    rest.continue_after(frames[9].place)
    assert plain(read(rest)) == plain(frames[10:])
    assert rest.counts.state() == whole.counts.state()


def test_only_what_follows_the_nearest_key_frame_is_decoded_again(tmp_path, monkeypatch):
    video = write_video(tmp_path / "a.mp4", 40)  # a key frame in five
    place = read(open_camera(video, isolate=False))[33].place
    decoded = []
    decode = VideoReader._decoded
    rest = open_camera(video, isolate=False)
    monkeypatch.setattr(VideoReader, "_decoded", lambda reader, packet: [
        frame for frame in decode(reader, packet) if decoded.append(frame) is None])
    rest.continue_after(place)
    assert [frame.index for frame in read(rest)] == list(range(34, 40))
    assert len(decoded) == 10


@pytest.mark.parametrize("field", ["timestamp", "mark"])
def test_a_place_that_is_not_in_the_file_is_found_by_counting(tmp_path, field):
    video = write_video(tmp_path / "a.mp4", 24)
    frames = read(open_camera(video, isolate=False))
    place = frames[11].place
    wrong = re.sub(rf'("{field}":)(\d+)', r"\g<1>77", place.inside)
    assert wrong != place.inside
    rest = open_camera(video, isolate=False)
    rest.continue_after(Place(place.index, place.counts, wrong))
    assert plain(read(rest)) == plain(frames[12:])


def test_stopping_while_a_place_is_searched_keeps_the_counts(tmp_path):
    video = write_video(tmp_path / "a.mp4", 24)
    place = read(open_camera(video, isolate=False))[11].place
    stop = threading.Event()
    stop.set()
    rest = open_camera(video, isolate=False)
    rest.continue_after(place)
    assert list(rest.frames(stop)) == []
    assert rest.counts.decoded == 12
    assert isinstance(rest, VideoSource)
