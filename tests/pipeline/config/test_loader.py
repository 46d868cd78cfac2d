"""A config file means the same on every machine, and all its errors are reported at once in plain words."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.errors import ConfigError

GOOD = """
cameras:
  entrance: {source: entrance.mp4}
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="store.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def camera(text):
    """A config with these lines about one camera."""
    return "cameras:\n  entrance:\n    source: a.mp4\n" + "".join(f"    {line}\n" for line in text.splitlines())


BAD = [
    pytest.param("", "is empty; name at least one camera", id="empty"),
    pytest.param("# only a comment\n", "is empty", id="comment only"),
    pytest.param("- a\n- b\n", "expected keys with values, beginning with `cameras:`", id="a list"),
    pytest.param("hello\n", "expected keys with values", id="a word"),
    pytest.param("cameras:\n\tentrance: 1\n", r"is not YAML: line 2, column 1: there is a tab: indent by", id="tab"),
    pytest.param("cameras: {a: {source: x\n", r"is not YAML: line 2, column 1", id="open brace"),
    pytest.param("a: b: c\n", r"is not YAML: line 1, column 5", id="two colons"),
    pytest.param("a: 1\nb: \x01\n", r"is not YAML: line 2: there is a control character", id="control character"),
    pytest.param("a: *b\n", r"is not YAML: line 1, column 4: found undefined alias", id="alias"),
    pytest.param("a: !!python/object:os.system x\n", r"is not YAML: line 1, column 4", id="python object"),
    pytest.param("a: 1\n---\nb: 1\n", r"line 2, column 1: expected a single document .*, but", id="two documents"),
    pytest.param(b"\xff\xfe\x00\x01", "is not a text file", id="binary"),
    pytest.param("database: x.db\n", r"cameras: is missing: the cameras by name$", id="no cameras"),
    pytest.param("cameras: {}\n", r"cameras: name at least one camera \(line 1\)$", id="zero cameras"),
    pytest.param("cameras:\n", r"cameras: expected keys with values below it, got nothing", id="cameras, no more"),
    pytest.param("cameras: [a]\n", r"cameras: expected keys with values below it, got a list", id="cameras in a list"),
    pytest.param("cameras: {a: x.mp4}\n", r'cameras\.a: expected keys .*, got "x\.mp4"', id="camera without keys"),
    pytest.param("cameras: {a: {source: ''}}\n", r'a\.source: expected text that is not empty, got ""', id="no path"),
    pytest.param(camera("") + "database: ''\n", r"^.*: database: expected text that is not empty", id="no database"),
    pytest.param("cameras: {a: {}}\n", r"cameras\.a\.source: is missing: a video file", id="no source"),
    pytest.param(camera("source: b.mp4"), r"entrance\.source: is given twice, on line 3 and on line 4", id="key twice"),
    pytest.param(
        "cameras:\n  a: {source: x}\n  b: {source: x}\n  a: {source: y}\n",
        r"camera a: is given twice, on line 2 and on line 4$", id="camera twice"),
    pytest.param(
        "cameras:\n  Cam: {source: x}\n  cam: {source: y}\n",
        r'"cam" and "Cam" would be the same file on some systems \(line 3\)', id="camera twice but for case"),
    pytest.param("cameras: {a/b: {source: x}}\n", r'cameras: "a/b" cannot be a file name: use letters', id="slash"),
    pytest.param("cameras: {..: {source: x}}\n", r'"\.\." cannot be a file name', id="dots"),
    pytest.param("cameras: {'a ': {source: x}}\n", r'"a " cannot be a file name', id="space at the end"),
    pytest.param("cameras: {'': {source: x}}\n", r'"" cannot be a file name', id="no name"),
    pytest.param(
        camera("strat_time: 2024-05-01"),
        r"cameras\.entrance\.strat_time: unknown key, did you mean start_time\? \(line 4\)$", id="near miss"),
    pytest.param(GOOD + "databse: x\n", r"databse: unknown key, did you mean database\?", id="near miss at the top"),
    pytest.param(GOOD + "batch: 3\n", r"batch: unknown key, did you mean detector\.batch\?", id="key out of place"),
    pytest.param(GOOD + "foo: 3\n", r"foo: unknown key; known here: cameras, database, ", id="key without a near miss"),
    pytest.param(GOOD + "detector: {batch: four}\n", r'batch: expected a whole number, got "four"', id="word"),
    pytest.param(GOOD + "detector: {batch: 2.5}\n", r'batch: expected a whole number, got "2\.5"', id="fraction"),
    pytest.param(GOOD + "detector: {batch: }\n", r"batch: expected a whole number, got nothing", id="nothing"),
    pytest.param(GOOD + "detector: {batch: [1]}\n", r"batch: expected a whole number, got a list", id="list"),
    pytest.param(GOOD + "detector: {batch: 0}\n", r'batch: expected at least 1, got "0"', id="too small"),
    pytest.param(GOOD + "detector: {confidence: 2}\n", r'confidence: expected at most 1, got "2"', id="too large"),
    pytest.param(GOOD + "detector: {image_size: 650}\n", r"image_size: expected a multiple of 32, got", id="multiple"),
    pytest.param(GOOD + "tracker: {name: bytetrak}\n", r'got "bytetrak", did you mean bytetrack\?', id="tracker"),
    pytest.param(GOOD + "linking: 5\n", r'linking: expected keys with values below it, got "5"', id="section"),
    pytest.param(camera("fps: yes"), r'fps: expected a number, got "yes"', id="yes is no number"),
    pytest.param(camera("fps: 0"), r'fps: expected at least 0\.001, got "0"', id="zero rate"),
    pytest.param(camera("offset: nan"), r'offset: expected a finite number, got "nan"', id="not a number"),
    pytest.param(camera("offset: 1e300"), r'offset: expected at most 1e\+09, got "1e300"', id="offset of millennia"),
    pytest.param(camera("start_time: 8:30"), r"start_time: expected a time such as 2024-05-01T08:00:00Z", id="time"),
    pytest.param(
        "cameras:\n  a: {source: x, start_time: 2024-05-01}\n  b: {source: y}\n  c: {source: z}\n",
        r"cameras: a has a start_time, b has none: give one to all cameras or to none \(line 1\)$",
        id="start_time of some cameras"),
    pytest.param(camera("every: 2\nfps: 5"), r"entrance: give either `every` or `fps`, not both", id="thinning"),
    pytest.param(
        GOOD + "linking: {overlaps: [[entrance, entrnce]]}\n",
        r'linking: overlaps: no camera "entrnce", did you mean entrance\?', id="overlap of an unknown camera"),
    pytest.param(
        GOOD + "linking: {overlaps: [[entrance, entrance]]}\n",
        r'linking: overlaps: expected two cameras, got "entrance" twice', id="overlap with itself"),
    pytest.param(
        GOOD + "linking: {transits: [{leaves: entrnce, enters: entrance, seconds: [2, 9]}]}\n",
        r'linking: transits: no camera "entrnce", did you mean entrance\?', id="transit from an unknown camera"),
    pytest.param(
        GOOD + "linking: {transits: [{leaves: entrance, enters: entrance, seconds: [9, 2]}]}\n",
        r"seconds: expected two rising numbers from 0 to 300", id="transit whose times fall"),
    pytest.param(
        camera("floor_points: [[0, 0, 0, 0], [9, 0, 1, 0], [0, 9, 0, 1]]"),
        r"floor_points: expected 4 to 1000 points, got 3", id="few points"),
    pytest.param(
        camera("floor_points: [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]"),
        r"floor_points give no homography|cannot be inverted", id="points on a line"),
    pytest.param(
        camera("homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\nfloor_points: [[0, 0, 0, 0]]"),
        r"give either `homography` or `floor_points`, not both", id="two floors"),
    pytest.param(
        camera("homography: [[1, 0], [0, 1]]"),
        r"homography\[0\]: expected 3 entries \(a homography is 3 rows of 3 numbers\), got a list of 2",
        id="small matrix"),
    pytest.param(
        camera("homography: [[1, 0, x], [0, 1, 0], [0, 0, 1]]"),
        r'homography\[0\]\[2\]: expected a number, got "x"', id="matrix with a word"),
]


@pytest.mark.parametrize(("text", "line"), BAD)
def test_a_bad_file_is_reported_in_plain_words(text, line, written):
    path = written(text)
    with pytest.raises(ConfigError, match=line) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_all_problems_are_reported_at_once_and_the_first_line_stands_alone(written):
    text = camera("strat_time: 1\nevery: x") + "detector: {batch: four}\ntracker: {name: sort}\n"
    with pytest.raises(ConfigError) as caught:
        load_config(written(text))
    first, *others = str(caught.value).splitlines()
    assert first.endswith("-- and 3 more problems:")
    assert len(others) == 3
    for key in ("strat_time", "every", "detector.batch", "tracker.name"):
        assert str(caught.value).count(key) == 1


def test_passwords_are_not_repeated(written):
    with pytest.raises(ConfigError) as caught:
        load_config(written(camera("offset: rtsp://admin:secret@10.0.0.7/1")))
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_reported_with_the_nearest_name(written):
    path = written(GOOD)
    with pytest.raises(ConfigError, match=r"stroe\.yaml: no such config file, did you mean store\.yaml\?"):
        load_config(path.with_name("stroe.yaml"))
    with pytest.raises(ConfigError, match=r"no such config file$"):
        load_config(path.parent / "nowhere" / "store.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load_config(path.parent)


@pytest.mark.parametrize("start_time", ["", ", start_time: 2024-05-01"])
def test_all_cameras_or_none_may_have_a_start_time(start_time, written):
    config = load_config(written(f"cameras: {{a: {{source: x{start_time}}}, b: {{source: y{start_time}}}}}"))
    assert config.cameras["a"].start_time == config.cameras["b"].start_time


@pytest.mark.parametrize("line", ["database: {}\n", "detector: {{weights: {}}}\n"])
def test_a_name_too_long_for_a_file_is_left_to_the_place_that_opens_it(line, written):
    config = load_config(written(GOOD.replace("entrance.mp4", "x" * 300) + line.format("y" * 300)))
    assert any(camera.source.endswith("x" * 300) for camera in config.cameras.values())


def test_defaults_hold_where_a_section_is_commented_out(written):
    config = load_config(written(GOOD + "detector:\n  # batch: 8\nlinking: ~\n"))
    assert config.detector == Config.model_fields["detector"].default
    assert config.linking == Config.model_fields["linking"].default


def test_values_are_parsed_by_their_key_not_by_their_form(written):
    config = load_config(written("""
cameras:
  on: {source: 7, fps: 12, start_time: 2024-05-01}
  1: {source: yes, start_time: 2024-05-01 08:00}
"""))
    assert list(config.cameras) == ["on", "1"]
    assert config.cameras["on"].fps == 12.0
    assert Path(config.cameras["on"].source).name == "7"
    assert config.cameras["1"].start_time == datetime(2024, 5, 1, 8, tzinfo=UTC)


def test_anchors_and_merges_work(written):
    text = "cameras:\n  a: &base {source: a.mp4, every: 3}\n  b: {<<: *base, source: b.mp4}\n"
    config = load_config(written(text))
    assert (config.cameras["b"].every, Path(config.cameras["b"].source).name) == (3, "b.mp4")


def test_a_byte_order_mark_is_ignored(written):
    assert list(load_config(written(b"\xef\xbb\xbf" + GOOD.encode())).cameras) == ["entrance"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.mp4", "{folder}/a.mp4"),
        ("rec/cam_*.mp4", "{folder}/rec/cam_*.mp4"),
        ("../x/a.mp4", "{folder.parent}/x/a.mp4"),
        ("/abs/a.mp4", "/abs/a.mp4"),
        ("/abs/cam_*.mp4", "/abs/cam_*.mp4"),
        ("~/a.mp4", "{home}/a.mp4"),
        ("rtsp://u:p@10.0.0.7/1", "rtsp://u:p@10.0.0.7/1"),
    ],
)
def test_sources_are_relative_to_the_config_file(source, expected, written, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = written(f"cameras: {{a: {{source: '{source}'}}}}")
    wanted = expected.format(folder=tmp_path, home=Path.home())
    assert load_config(path).cameras["a"].source == wanted


def test_brackets_in_the_folder_name_are_not_a_pattern(tmp_path):
    folder = tmp_path / "site [1]"
    folder.mkdir()
    (folder / "store.yaml").write_text("cameras: {a: {source: 'cam_*.mp4'}, b: {source: x.mp4}}")
    cameras = load_config(folder / "store.yaml").cameras
    assert cameras["a"].source == str(tmp_path / "site [[]1]" / "cam_*.mp4")
    assert cameras["b"].source == str(folder / "x.mp4")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("database", "out.db", "{folder}/out.db"),
        ("database", "sqlite:////tmp/out.db", "sqlite:////tmp/out.db"),
        ("database", "postgresql+psycopg://u:p@db/x", "postgresql+psycopg://u:p@db/x"),
        ("detector.weights", "person", "person"),
        ("detector.weights", "yolov8n.pt", "yolov8n.pt"),
        ("detector.weights", "mine.onnx", "{folder}/mine.onnx"),
        ("detector.weights", "weights/other.onnx", "{folder}/weights/other.onnx"),
        ("appearance.weights", "dpmpp", "dpmpp"),
        ("appearance.weights", "accurate", "accurate"),
        ("appearance.weights", "fast", "fast"),
        ("appearance.weights", "permissive", "permissive"),
        ("appearance.weights", "mine.onnx", "{folder}/mine.onnx"),
    ],
)
def test_other_paths_are_relative_to_the_config_file(key, value, expected, written, tmp_path):
    written(b"", "mine.onnx")
    (tmp_path / "person").mkdir()  # a folder with the name of the bundled weights
    section, _, name = key.partition(".")
    line = f"{section}: {{{name}: '{value}'}}\n" if name else f"{section}: '{value}'\n"
    config = load_config(written(GOOD + line))
    found = getattr(getattr(config, section), name) if name else config.database
    assert found == expected.format(folder=tmp_path)


def test_floor_points_give_the_homography_that_maps_them(written):
    """A square of 2 m, seen as a trapezium; a fifth point lies in its middle."""
    points = "[[100, 400, 0, 0], [500, 400, 2, 0], [400, 200, 2, 2], [200, 200, 0, 2], [300, 266.67, 1, 1]]"
    loaded = load_config(written(camera(f"floor_points: {points}"))).cameras["entrance"]
    assert loaded.homography is None
    floor = np.array(loaded.pixels_to_floor)
    for x, y, *metres in loaded.floor_points:
        projected = floor @ (x, y, 1)
        assert projected[:2] / projected[2] == pytest.approx(metres, abs=0.01)
