"""Videos show what the database holds: the right box in the right frame, at the right time, in one colour."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import supervision as sv
from click.testing import CliRunner

from reidpipe.pipeline.cli.results.render import render_command
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.errors import ConfigError, OutputError, SourceError, StoreError
from reidpipe.pipeline.listener import Silent
from reidpipe.pipeline.output.video.mosaic import Mosaic, lay_out
from reidpipe.pipeline.output.video.render import render_run
from reidpipe.pipeline.output.video.writer import VideoWriter
from reidpipe.pipeline.pictures.palette import IDENTITY_COLOURS, NOBODY_COLOUR
from reidpipe.pipeline.sources.opening import open_source
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Link, Observations

from ... import media

SIZE = (320, 180)
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOX = (100, 60, 180, 150)  # of the person
OTHER_BOX = (220, 60, 290, 150)  # of nobody
FRAMES = 12


def camera(path, **settings):
    return CameraConfig(source=str(path), start_time=START, **settings)


def observations(source, frame, boxes):
    """Boxes by track number, as the builder stores them."""
    xyxy = np.array(list(boxes.values()), np.float32).reshape(-1, 4)
    return Observations(source.camera, frame.index, frame.seconds, np.array(list(boxes), np.int64), xyxy,
                        np.full(len(boxes), 0.9, np.float32), np.ones(len(boxes), np.float32))


def stored(path, cameras, boxes_of=lambda camera, index: {}, links=()):
    """A run over real footage with synthetic boxes: `boxes_of(camera, frame index)` are boxes by track number."""
    config = Config(cameras=cameras)
    sources = {name: open_source(name, one) for name, one in cameras.items()}
    store = Store.open(path, create=True)
    rows = [CameraRow(name, cameras[name].source, one.width, one.height, one.fps, one.start_seconds)
            for name, one in sources.items()]
    with store.start_run(config.model_dump_json(), rows) as run:
        for name, source in sources.items():
            for frame in media.read(source):
                run.add_observations(observations(source, frame, boxes_of(name, frame.index)))
        run.add_links([Link(name, track, identity, None, None, None) for name, track, identity in links])
    return store


def decoded(path):
    """[(seconds, uint8 (H, W, 3) BGR)] of a video."""
    with av.open(str(path)) as container:
        return [(float(picture.pts * picture.time_base), picture.to_ndarray(format="bgr24"))
                for picture in container.decode(video=0)]


def has_edge(image, box, colour):
    """Whether the middle of a box's left edge has a colour; coding is lossy, and colours have half the resolution."""
    x, y = round(box[0]), round((box[1] + box[3]) / 2)
    columns = image[y - 3 : y + 3, x - 1 : x + 2].mean(0)[:, ::-1]  # (3, 3) RGB
    return bool(np.abs(columns - sv.Color.from_hex(colour).as_rgb()).max(1).min() < 45)


def brightness(image):
    """Of a part without text; every coding takes one or two levels of it away."""
    return float(image[-20:, 5:60].mean())


@pytest.fixture
def two(tmp_path):
    """Person 1 is track 4 at the door and track 7 in the aisle; a second track of the door has no identity."""
    cameras = {name: camera(media.write_video(tmp_path / f"{name}.mp4", FRAMES, size=SIZE))
               for name in ("door", "aisle")}
    with stored(
        tmp_path / "a.db", cameras, lambda name, index: {4: BOX, 5: OTHER_BOX} if name == "door" else {7: BOX},
        [("door", 4, 1), ("aisle", 7, 1)],
    ) as store:
        yield store


def test_every_frame_is_there_at_its_time_with_its_boxes(two, tmp_path):
    rendering = render_run(two, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["aisle.mp4", "door.mp4", "mosaic.mp4"]
    assert [(one.camera, one.frames, one.error) for one in rendering.cameras] == [("door", 12, ""), ("aisle", 12, "")]
    door, aisle = decoded(tmp_path / "out" / "door.mp4"), decoded(tmp_path / "out" / "aisle.mp4")
    assert [seconds for seconds, _ in door] == pytest.approx([number / 10 for number in range(FRAMES)], abs=1e-4)
    for (_, at_door), (_, in_aisle) in zip(door, aisle, strict=True):
        assert has_edge(at_door, BOX, IDENTITY_COLOURS[0])
        assert has_edge(in_aisle, BOX, IDENTITY_COLOURS[0])
        assert has_edge(at_door, OTHER_BOX, NOBODY_COLOUR)
        assert not has_edge(in_aisle, OTHER_BOX, IDENTITY_COLOURS[0])


def test_browsers_can_play_a_video_while_it_is_loading(two, tmp_path):
    render_run(two, tmp_path / "out")
    path = tmp_path / "out" / "door.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(FRAMES / 10, abs=1e-3)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_box_is_in_its_own_frame_and_no_other(tmp_path):
    cameras = {"door": camera(media.write_video(tmp_path / "d.mp4", FRAMES, size=SIZE))}
    with stored(tmp_path / "a.db", cameras, lambda _, index: {1: BOX} if index == 5 else {}, [("door", 1, 2)]) as store:
        render_run(store, tmp_path / "out", with_mosaic=False)
    seen = [has_edge(image, BOX, IDENTITY_COLOURS[1]) for _, image in decoded(tmp_path / "out/door.mp4")]
    assert seen == [index == 5 for index in range(FRAMES)]


def test_thinned_frames_are_left_out(tmp_path):
    cameras = {"door": camera(media.write_video(tmp_path / "d.mp4", FRAMES, size=SIZE), every=3)}
    with stored(tmp_path / "a.db", cameras, lambda _, index: {1: BOX} if index == 6 else {}, [("door", 1, 1)]) as store:
        render_run(store, tmp_path / "out")
    pictures = decoded(tmp_path / "out/door.mp4")
    assert [seconds for seconds, _ in pictures] == pytest.approx([0, 0.3, 0.6, 0.9], abs=1e-4)
    assert [has_edge(image, BOX, IDENTITY_COLOURS[0]) for _, image in pictures] == [False, False, True, False]
    assert len(decoded(tmp_path / "out/mosaic.mp4")) == 4


def test_uneven_times_are_kept(tmp_path):
    times_ms = [0, 40, 200, 233, 500]
    source = media.write_video(tmp_path / "d.mp4", 5, size=SIZE, times_ms=times_ms)
    with stored(tmp_path / "a.db", {"door": camera(source)}) as store:
        render_run(store, tmp_path / "out")
    assert [1000 * seconds for seconds, _ in decoded(tmp_path / "out/door.mp4")] == pytest.approx(times_ms, abs=0.1)


def test_odd_sizes_are_made_even(tmp_path):
    source = media.write_images(tmp_path / "images", 3, size=(65, 49))
    with stored(tmp_path / "a.db", {"door": camera(source, fps=5)}) as store:
        render_run(store, tmp_path / "out")
    assert decoded(tmp_path / "out/door.mp4")[0][1].shape == (50, 66, 3)


def test_the_mosaic_shows_all_cameras_in_step(tmp_path):
    cameras = {
        "early": camera(media.write_video(tmp_path / "e.mp4", 20, 10, size=SIZE)),
        "late": camera(media.write_video(tmp_path / "l.mp4", 5, 5, size=SIZE), offset=1.0),
    }
    with stored(tmp_path / "a.db", cameras) as store:
        rendering = render_run(store, tmp_path / "out")
    pictures = decoded(tmp_path / "out/mosaic.mp4")
    assert rendering.mosaic_frames == len(pictures) == 20
    assert [seconds for seconds, _ in pictures] == pytest.approx([tick / 10 for tick in range(20)], abs=1e-4)
    assert pictures[0][1].shape == (360, 1280, 3)
    for tick, (_, image) in enumerate(pictures):
        left, right = image[:, :640], image[:, 640:]
        assert brightness(left[:-20]) == pytest.approx(49.5 + media.STEP * tick - 3, abs=3)
        if tick < 10:
            assert brightness(right[:-20]) < 40  # no picture yet
        else:
            assert brightness(right[:-20]) == pytest.approx(49.5 + media.STEP * ((tick - 10) // 2) - 3, abs=3)


def test_the_mosaic_has_the_colours_of_the_cameras_videos(two, tmp_path):
    render_run(two, tmp_path / "out")
    tile = lay_out({"door": SIZE, "aisle": SIZE})[1]["aisle"]
    scale = tile.width / SIZE[0]
    box = np.array(BOX) * scale + [tile.left, tile.top] * 2
    assert has_edge(decoded(tmp_path / "out/mosaic.mp4")[4][1], box, IDENTITY_COLOURS[0])


def test_the_mosaic_skips_pauses_of_all_cameras():
    mosaic = Mosaic({"a": SIZE, "b": SIZE}, {"a": 10.0, "b": 10.0})
    tile = mosaic.tiles["a"]
    bright = np.full((tile.height, tile.width, 3), 200, np.uint8)
    ticks = 0
    for camera_name, seconds in [("a", 0.0), ("a", 0.1), ("b", 1e9), ("b", 1e9 + 0.1)]:
        ticks += sum(1 for _ in mosaic.until(seconds))
        mosaic.show(camera_name, bright, seconds)
    last = list(mosaic.last())
    assert 20 <= ticks + len(last) <= 30  # two frames, the time until the cameras count as paused, two frames
    assert brightness(last[-1][:, : mosaic.size_wh[0] // 2][:-20]) < 40
    assert brightness(last[-1][:, mosaic.size_wh[0] // 2 :][:-20]) == pytest.approx(200)


def test_a_camera_whose_footage_is_missing_is_left_out(two, tmp_path):
    (tmp_path / "door.mp4").unlink()
    result = CliRunner().invoke(
        render_command, ["--database", str(tmp_path / "a.db"), "--out", str(tmp_path / "out"), "--json"])
    assert isinstance(result.exception, SourceError)  # exit code 3 at the outermost command
    assert "camera door:" in str(result.exception)
    cameras = json.loads(result.stdout)["cameras"]
    assert [(one["camera"], one["frames"], bool(one["error"])) for one in cameras] == [
        ("door", 0, True), ("aisle", 12, False)]
    assert len(decoded(tmp_path / "out/aisle.mp4")) == len(decoded(tmp_path / "out/mosaic.mp4")) == FRAMES
    assert not (tmp_path / "out/door.mp4").exists()


def test_only_some_cameras_and_no_mosaic(two, tmp_path):
    result = CliRunner().invoke(render_command, [
        "--database", str(tmp_path / "a.db"), "--out", str(tmp_path / "out"), "--camera", "aisle", "--no-mosaic"])
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["aisle.mp4"]
    with pytest.raises(ConfigError, match="no camera ailse, did you mean aisle"):
        render_run(two, tmp_path / "out", only=["ailse"])


def test_a_camera_called_mosaic_does_not_lose_its_video(tmp_path):
    cameras = {"mosaic": camera(media.write_video(tmp_path / "m.mp4", 3, size=SIZE))}
    with stored(tmp_path / "a.db", cameras) as store:
        rendering = render_run(store, tmp_path / "out")
    assert rendering.mosaic != rendering.cameras[0].path
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_other_footage_at_the_same_path_is_refused(two, tmp_path):
    media.write_video(tmp_path / "aisle.mp4", FRAMES, size=(160, 90))
    rendering = render_run(two, tmp_path / "out")
    assert "is 160x90, but the run saw 320x180" in rendering.cameras[1].error


def test_it_is_an_error_if_no_footage_is_left(two, tmp_path):
    for name in ("door", "aisle"):
        (tmp_path / f"{name}.mp4").unlink()
    with pytest.raises(SourceError, match=r"camera door: .*; camera aisle: "):
        render_run(two, tmp_path / "out")


def test_a_database_without_a_run_is_refused(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, pytest.raises(StoreError, match="no run"):
        render_run(store, tmp_path / "out")


def test_a_run_without_the_settings_of_its_footage_is_refused(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        with store.start_run("{}", [CameraRow("door", "d.mp4", 64, 48, 10.0, 0.0)]):
            pass
        with pytest.raises(StoreError, match="does not say how its footage was read"):
            render_run(store, tmp_path / "out")


def test_an_unwritable_folder_is_refused(two, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be created"):
        render_run(two, tmp_path / "out")
    with pytest.raises(OutputError, match="cannot be created"):
        render_run(two, tmp_path / "none" / "out")
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2" / "door.mp4").mkdir()
    with pytest.raises(OutputError, match="is not a file"):
        render_run(two, tmp_path / "out2")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported_with_the_name_of_the_video():
    image = np.random.default_rng(0).integers(0, 255, (180, 320, 3), np.uint8)
    with (
        pytest.raises(OutputError, match=r"shop/door\.mp4 cannot be written: No space left"),
        VideoWriter(Path("/dev/full"), SIZE, Fraction(10), Path("shop/door.mp4")) as writer,
    ):
        for number in range(100):
            writer.write(image, number / 10)


def test_a_pause_of_days_does_not_end_the_video(tmp_path):
    image = np.zeros((180, 320, 3), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", SIZE, Fraction(10), tmp_path / "a.mp4") as writer:
        for seconds in (0, 0.1, 1800, 500_000, 500_000.1, *range(900_000, 9_000_000, 900_000)):
            writer.write(image, seconds)
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = sorted(float(packet.pts * packet.time_base) for packet in container.demux() if packet.pts is not None)
    assert shown == pytest.approx([0, 0.1, 1800, 5400, 5400.1, *(5400.1 + 3600 * number for number in range(1, 10))])


def test_an_interrupted_rendering_leaves_nothing_behind_and_old_videos_alone(two, tmp_path):
    class Impatient(Silent):
        def analysed(self, frame, people):
            if frame.index == 5:
                raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "door.mp4").write_text("of yesterday")
    with pytest.raises(KeyboardInterrupt):
        render_run(two, tmp_path / "out", listener=Impatient(), force=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["door.mp4"]
    assert (tmp_path / "out" / "door.mp4").read_text() == "of yesterday"
