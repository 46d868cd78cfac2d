"""A decoder that crashes, hangs, needs too much memory or reads what it should not ends its own camera only."""

import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from reidpipe.pipeline.config.cameras import CameraConfig, SourcesConfig
from reidpipe.pipeline.errors import SourceError
from reidpipe.pipeline.sources.isolation import decoder, isolated_source
from reidpipe.pipeline.sources.isolation.messages import Link
from reidpipe.pipeline.sources.opening import open_source, open_sources
from reidpipe.pipeline.sources.time_order import CameraReader, in_time_order
from reidpipe.pipeline.stopwatch import Stopwatch

from ...media import assert_adds_up, numbers, open_camera, read, seconds_of, write_images, write_video

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")


@pytest.fixture
def long_video(tmp_path):
    return write_video(tmp_path / "long.mp4", 60)


def decoders():
    """Process ids of the decoders of this process, oldest first."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # it has ended
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    return sorted(one for one, parent in parents.items() if parents.get(parent) == os.getpid())


def gone(process, seconds=5.0):
    until = time.monotonic() + seconds
    while process in decoders() and time.monotonic() < until:
        time.sleep(0.02)
    return process not in decoders()


DEATHS = [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGKILL, "memory ran out"), (signal.SIGABRT, "(SIGABRT)")]


@pytest.mark.parametrize(("number", "words"), DEATHS)
def test_a_crash_ends_one_camera_and_the_other_is_complete(number, words, tmp_path, long_video):
    bad = open_camera(long_video)
    (process,) = decoders()
    good = open_source("hall", CameraConfig(source=str(write_video(tmp_path / "good.mp4"))))
    stop, clock = threading.Event(), Stopwatch()
    frames = in_time_order([CameraReader(one, stop, clock) for one in (bad, good)])
    seen = [next(frames) for _ in range(4)]
    os.kill(process, number)
    seen += frames
    assert len([frame for frame in seen if frame.camera == "hall"]) == 20
    assert good.counts.status == "complete"
    assert bad.counts.status == "partial"
    assert words in bad.counts.error
    assert "s of footage" in bad.counts.error
    assert len([frame for frame in seen if frame.camera == "entrance"]) <= bad.counts.decoded < 60


def test_a_crash_between_opening_and_reading_is_a_failed_camera(long_video):
    source = open_camera(long_video)
    (process,) = decoders()
    os.kill(process, signal.SIGSEGV)
    assert gone(process)
    assert read(source) == []
    assert source.counts.status == "failed"
    assert "SIGSEGV" in source.counts.error


def test_a_decoder_that_hangs_ends_its_camera_after_the_limit_and_is_killed(tmp_path, long_video):
    bad = open_camera(long_video)
    (process,) = decoders()
    good = open_source("hall", CameraConfig(source=str(write_video(tmp_path / "good.mp4"))))
    stop, clock = threading.Event(), Stopwatch()
    frames = in_time_order([CameraReader(one, stop, clock, stall_seconds=1.0) for one in (bad, good)])
    next(frames)
    os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    assert len([frame for frame in frames if frame.camera == "hall"]) == 20
    assert time.monotonic() - began < 8
    assert good.counts.status == "complete"
    assert "no progress for 1 s" in bad.counts.error
    assert gone(process)


@pytest.mark.parametrize("isolate", [True, False])
def test_a_source_that_hangs_while_it_is_opened_ends_after_the_limit_and_delays_no_other(tmp_path, isolate):
    write_images(tmp_path / "stuck", 2)
    (tmp_path / "stuck" / "frame_0.png").unlink()
    write_video(tmp_path / "good.mp4")
    # A folder may hold named pipes with an image's name; reading one waits for ever.
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "list").mkdir()
    cameras = {name: CameraConfig(source=str(tmp_path / "pipe")) for name in ("a", "b", "c")}
    cameras["good"] = CameraConfig(source=str(tmp_path / "good.mp4"))
    began = time.monotonic()
    opened, failed = open_sources(cameras, SourcesConfig(stall_seconds=2, isolate=isolate))
    assert time.monotonic() - began < 8
    assert list(opened) == ["good"]
    assert all(f"camera {name}: " in str(failed[name]) for name in "abc")
    list(opened["good"].frames(threading.Event()))


def test_a_decoder_has_bounded_memory_and_is_ended_before_the_run(long_video):
    source = open_camera(long_video)
    (process,) = decoders()
    limits = (Path("/proc") / str(process) / "limits").read_text()
    assert re.search(rf"Max address space\s+{decoder.MEMORY_BYTES}", limits)
    assert int((Path("/proc") / str(process) / "oom_score_adj").read_text()) >= 500
    assert len(read(source)) == 60


def test_a_video_whose_header_asks_for_huge_frames_is_refused(tmp_path):
    video = write_video(tmp_path / "huge.avi", codec="mjpeg", options={"strict": "unofficial"})
    content = bytearray(video.read_bytes())
    start = content.index(b"\xff\xc0")  # start of frame: length, precision, height, width
    while start >= 0:
        content[start + 5 : start + 9] = b"\xff\xff\xff\xff"
        start = content.find(b"\xff\xc0", start + 9)
    video.write_bytes(content)
    with pytest.raises(SourceError, match=r"huge\.avi: .*could not be decoded|no frame"):
        open_camera(video)


def test_a_server_that_was_killed_is_started_again(long_video):
    source = open_camera(long_video)
    (process,) = decoders()
    server = int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    read(source)
    assert source.counts.decoded + (source.counts.status != "complete") > 0
    time.sleep(0.2)
    again = open_camera(long_video)
    assert len(read(again)) == 60


def test_decoders_end_when_reading_ends(long_video):
    source = open_camera(long_video)
    (process,) = decoders()
    frames = source.frames(threading.Event())
    next(frames)
    frames.close()
    assert gone(process)
    assert source.counts.status == "partial"


@pytest.mark.parametrize("settings", [{}, {"every": 3}, {"fps": 4}])
def test_both_ways_of_decoding_give_the_same_frames(long_video, settings):
    isolated, here = (open_camera(long_video, isolate, **settings) for isolate in (True, False))
    first, second = read(isolated), read(here)
    assert [(one.index, one.seconds) for one in first] == [(one.index, one.seconds) for one in second]
    assert all((one.image == other.image).all() for one, other in zip(first, second, strict=True))
    assert isolated.counts.state() == here.counts.state()
    assert_adds_up(isolated, first)
    assert (isolated.fps, isolated.frame_count, isolated.duration_seconds, isolated.start_seconds) == (
        here.fps, here.frame_count, here.duration_seconds, here.start_seconds)


def test_warnings_of_a_decoder_reach_the_log(tmp_path, caplog):
    read(open_camera(write_images(tmp_path / "in")))
    assert "images have no frame rate" in caplog.text


# --- decoders that footage has taken over ----------------------------------------------------------------------------

SOUND = {"width": 64, "height": 48, "fps": 10.0, "start_seconds": 0.0, "frame_count": 20, "duration_seconds": 2.0}
COUNTS = {"decoded": 1, "thinned": 0, "damaged": 0, "status": "complete", "problems": [], "broken_off": False}


def frame(seconds, index=0, slot=0):
    return {"frame": [index, seconds, slot], "counts": COUNTS}


@pytest.fixture
def hostile(monkeypatch):
    """Connect the next camera to a decoder that sends these messages, whatever it is asked."""

    def connect(*messages):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for message in messages:
            theirs.send(message if isinstance(message, bytes) else json.dumps(message).encode())
        monkeypatch.setattr(isolated_source, "_connected", lambda camera: Link(ours))
        held.append(theirs)

    held = []
    yield connect
    for one in held:
        one.close()


@pytest.mark.parametrize("answer", [
    b"", b"\x00\xff", b"[1]", b"null", b"9" * 5000, b'{"a":' * 2000, {}, {"width": "wide"}, SOUND | {"width": 10**9},
    SOUND | {"height": 0}, SOUND | {"fps": float("nan")}, SOUND | {"fps": 1e-320}, SOUND | {"fps": 1e308},
    SOUND | {"start_seconds": 1e300}, SOUND | {"frame_count": 10**30}, SOUND | {"duration_seconds": float("inf")},
    {"refused": ["a", "list"]}, {"refused": "two\nlines"}, {"died": "long ago"}, {"log": 3}, {"log": [[1]]},
], ids=lambda answer: str(answer)[:40])  # fmt: skip
def test_a_senseless_answer_of_a_decoder_ends_its_camera_only(hostile, answer):
    hostile(answer)
    opened, failed = open_sources({"entrance": CameraConfig(source="x.mp4")}, SourcesConfig(stall_seconds=1))
    assert opened == {}
    assert str(failed["entrance"])
    assert "\n" not in str(failed["entrance"])


@pytest.mark.parametrize("message", [
    b"[]", b"\xff", {"frame": 3}, {"frame": [0, 0.5]}, frame(0.5, slot=2), frame(0.5, slot=-1), frame(0.5, index=-1),
    frame(float("nan")), frame(float("inf")), frame(1e300), frame(0.1), frame(0.0), {"counts": 1},
    {"counts": COUNTS | {"decoded": 10**30}}, {"counts": COUNTS | {"status": "perfect"}}, {"log": [["a", "b", "c"]]},
], ids=lambda message: str(message)[:40])  # fmt: skip
def test_senseless_messages_of_a_decoder_keep_the_frames_before(hostile, message):
    hostile(SOUND, frame(0.1), message, frame(0.9))
    source = open_camera("x.mp4")
    assert seconds_of(read(source)) == [0.1]
    assert (source.counts.status, source.counts.decoded) == ("partial", 1)
    assert "its decoder sent damaged data after 0.1 s" in source.counts.error


def test_a_decoder_that_calls_the_first_frame_quiet_ends_its_camera(hostile):
    hostile(SOUND, frame(0.1, slot=None), frame(0.9))
    source = open_camera("x.mp4")
    assert read(source) == []
    assert "its decoder sent damaged data" in source.counts.error


# --- files that name other files --------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A web server's address, and whether anybody has connected."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)

        def connected():
            try:
                listening.accept()[0].close()
            except TimeoutError:
                return False
            return True

        yield f"http://127.0.0.1:{listening.getsockname()[1]}", connected


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n" \
    "a=rtpmap:96 H264/90000\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>' \
    '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'


@pytest.mark.parametrize("name", ["list.m3u8", "list.ts", "list.mp4"])
@pytest.mark.parametrize("content", [HLS, "ffconcat version 1.0\nfile {}\n", SDP, DASH], ids=["hls", "concat", "sdp",
                                                                                            "dash"])
def test_a_file_that_names_others_is_refused_and_reads_neither_files_nor_hosts(tmp_path, server, content, name):
    address, connected = server
    write_video(tmp_path / "other.ts")
    for target in ("other.ts", str(tmp_path / "other.ts"), f"{address}/x.ts", f"concat:{tmp_path}/other.ts"):
        (tmp_path / name).write_text(content.format(target))
        with pytest.raises(SourceError, match=r"playlist that names other files|not a video") as caught:
            open_camera(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not connected()


def test_a_video_beside_a_playlist_is_read(tmp_path):
    assert numbers(read(open_camera(write_video(tmp_path / "other.ts")))) == list(range(20))
