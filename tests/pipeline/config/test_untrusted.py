"""Configs and recipes from anyone end in one line, whatever they hold, and at once."""

import time
from pathlib import Path

import pytest

from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.errors import ConfigError
from reidpipe.reid.errors import RecipeError
from reidpipe.reid.recipe.loader import read_recipe

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
LAUGHS_MERGED = "a0: &a0 {k: x, l: x}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: *a{i - 1}}}\n" for i in range(1, 60)
)

BAD = [
    pytest.param(LAUGHS, r"more than 20 levels|larger than 50000 values", id="billion laughs"),
    pytest.param(
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)),
        r"line \d+: aliases make it larger than 50000 values", id="billion laughs, nine levels of nine"),
    pytest.param(LAUGHS_MERGED, r"more than 20 levels|larger than 50000 values", id="billion laughs in merge keys"),
    pytest.param("a: &a [*a]\n", r"line 1: a value contains itself", id="a list in itself"),
    pytest.param("a: &a {b: *a}\n", r"line 1: a value contains itself", id="keys in themselves"),
    pytest.param("[" * 100_000, r"nested too deeply", id="deep list"),
    pytest.param("{a: " * 100_000, r"nested too deeply", id="deep keys"),
    pytest.param("- " * 100_000, r"nested too deeply", id="deep dashes"),
    pytest.param("? " * 100_000, r"nested too deeply", id="deep complex keys"),
    pytest.param("a: [" + "1, " * 60_000 + "]", r"more than 50000 values", id="long list"),
    pytest.param("#" * (2**20 + 1), r"larger than 1 MiB", id="large file"),
    pytest.param('a: !!int "abc"\n', r"line 1, column 4: tags are not supported: remove '!!int'", id="tagged number"),
    pytest.param("a: !!timestamp 99999-99-99\n", r"remove '!!timestamp'", id="tagged time"),
    pytest.param("a: !!binary '%'\n", r"remove '!!binary'", id="tagged bytes"),
    pytest.param("a: !!python/object/apply:os.system [x]\n", r"remove '!!python/object/apply:os\.system'", id="call"),
    pytest.param("a: !!python/name:os.system\n", r"tags are not supported", id="python name"),
    pytest.param("a: !local 1\n", r"remove '!local'", id="local tag"),
    pytest.param("!!set {a, b}\n", r"remove '!!set'", id="tagged document"),
    pytest.param('a: "\\0"\n', r"line 1, column 4: there is a control character", id="NUL in an escape"),
    pytest.param('a: "\\e[2J"\n', r"control character", id="terminal command in an escape"),
    pytest.param('a: "\\uD800"\n', r"half of a character", id="lone surrogate"),
    pytest.param('"\\uDFFF": 1\n', r"half of a character", id="lone surrogate in a key"),
    pytest.param('a: "\\UFFFFFFFF"\n', r"line 1: a number or an escape is out of range", id="character out of range"),
    pytest.param(f"%YAML {'9' * 5000}.1\n--- a", r"a number or an escape is out of range", id="long version"),
    pytest.param("a: 1\na: 2\n", r"a: is given twice, on line 1 and on line 2", id="key twice"),
    pytest.param("? [a]\n: 1\n", r"a key must be text", id="list as a key"),
    pytest.param("<<: 5\n", r"is not YAML: line 1", id="merge of a number"),
    pytest.param(b"\xff\xfea\x00", r"is not a text file: its byte 0 is not UTF-8", id="UTF-16"),
    pytest.param("~: 1\ntrue: 2\n1: 3\n", r"unknown key|is missing", id="keys that are no text"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
@pytest.mark.parametrize(("read", "error"), [(load_config, ConfigError), (read_recipe, RecipeError)])
def test_hostile_yaml_is_refused_in_one_line_and_at_once(content, message, read, error, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        read(path)
    assert time.monotonic() - began < 10
    assert str(caught.value).splitlines()[0].startswith(f"{path}: ")
    assert max(map(len, str(caught.value).splitlines())) < 400


def test_a_device_that_never_ends_is_refused():
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_config(Path("/dev/zero"))


def test_merge_keys_and_aliases_of_plain_data_still_work(tmp_path):
    path = tmp_path / "store.yaml"
    path.write_text("cameras:\n  a: &one {source: a.mp4, every: 2}\n  b: {<<: *one, source: b.mp4}\n")
    cameras = load_config(path).cameras
    assert (cameras["b"].every, cameras["b"].source) == (2, str(tmp_path / "b.mp4"))


def test_names_of_unknown_users_are_paths_like_others(tmp_path):
    path = tmp_path / "store.yaml"
    path.write_text(
        "cameras: {a: {source: ~nobody-here/x.mp4}}\ndatabase: ~nobody-here/x.db\n"
        "detector: {weights: ~nobody-here/x.onnx}\nappearance: {weights: ~nobody-here/x.onnx}\n"
    )
    config = load_config(path)
    assert config.cameras["a"].source == str(tmp_path / "~nobody-here/x.mp4")
    assert config.database == str(tmp_path / "~nobody-here/x.db")


def test_values_in_messages_are_cut(tmp_path):
    path = tmp_path / "store.yaml"
    path.write_text(f"cameras: {{a: {{source: a.mp4, every: '{'x' * 5000}'}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value)) < 400


CAMERA = "cameras: {{a: {{source: a.mp4, {}}}}}\n"
NUMBERS = [
    pytest.param(CAMERA.format("fps: 1e308"), r"a\.fps: expected at most 1000", id="fps of 1e308"),
    pytest.param(CAMERA.format("fps: 1e-320"), r"a\.fps: expected at least 0\.001", id="fps of 1e-320"),
    pytest.param(CAMERA.format("fps: 1e999"), r"a\.fps: expected a finite number", id="infinite fps"),
    pytest.param(CAMERA.format("every: 99999999999999999999"), r"every: expected .*1e\+06", id="every"),
    pytest.param(CAMERA.format(f"every: {'9' * 5000}"), r"every: expected a smaller whole number", id="5000 digits"),
    pytest.param(CAMERA.format("start_time: 0001-01-01T00:00:00+14:00"), r"year from 1900 to 2200", id="year 1"),
    pytest.param(CAMERA.format("start_time: 9999-12-31T23:59:59-12:00"), r"year from 1900 to 2200", id="year 9999"),
    pytest.param(CAMERA.format("start_time: 1e300"), r"expected a time such as", id="time of 1e300"),
    pytest.param(CAMERA.format("offset: 1e12"), r"offset: expected at most", id="offset"),
    pytest.param(CAMERA.format("homography: [[1,2,3],[2,4,6],[0,0,1]]"), "cannot be inverted", id="rows depend"),
    pytest.param(CAMERA.format("homography: [[0,0,0],[0,0,0],[0,0,0]]"), "cannot be inverted", id="zeros"),
    pytest.param(CAMERA.format("homography: [[1e308,0,0],[0,1e308,0],[0,0,1]]"), "expected at most 1e", id="overflow"),
    pytest.param(CAMERA.format("every: 1") + "threads: 1000000\n", "threads: expected at most 1024", id="threads"),
    pytest.param(CAMERA.format("every: 1") + "detector: {batch: 100000}\n", "batch: expected at most", id="batch"),
    pytest.param(CAMERA.format("every: 1") + "detector: {image_size: 320000}\n", "expected at most 4096", id="size"),
    pytest.param(CAMERA.format("every: 1") + "tracker: {lost_seconds: 1e300}\n", "expected at most 3600", id="lost"),
]


@pytest.mark.parametrize(("content", "message"), NUMBERS)
def test_numbers_that_no_run_could_use_are_refused(content, message, tmp_path):
    path = tmp_path / "store.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert max(map(len, str(caught.value).splitlines())) < 400


@pytest.mark.parametrize(
    "line", ["seed: .inf", "seed: 99999999999999999999", "seed: 0x_", f"seed: {'9' * 5000}", "workers: 100000",
             "losses: {triplet: .nan}", "losses: {triplet: 1e300}", "mask: {learning_rate: -.inf}",
             "schedule: {epochs: 1000000000000}", "seed: 1:30:00"])  # fmt: skip
def test_numbers_that_no_training_could_use_are_refused(line, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"train: [crops]\n{line}\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert len(str(caught.value)) < 400
