"""Secrets from the environment and from files: `${NAME}` and `${file:PATH}` in a config."""

import json
import sqlite3

import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline import credentials
from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.config.references import LARGEST_FILE
from reidpipe.pipeline.errors import ConfigError

from ..media import write_video
from ..networks import write_detector


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    """No test knows another's secrets."""
    monkeypatch.setattr(credentials, "_secrets", credentials._Secrets())


@pytest.fixture
def load(tmp_path):
    """Load a config with one camera of a given source."""

    def load(source, **sections):
        path = tmp_path / "store.yaml"
        path.write_text(yaml.safe_dump({"cameras": {"gate": {"source": source}}, **sections}))
        return load_config(path)

    return load


def source_of(config):
    return config.cameras["gate"].source


def stored_source_of(config):
    return config.as_written()["cameras"]["gate"]["source"]


def test_a_value_comes_from_the_environment(load, monkeypatch):
    monkeypatch.setenv("CAM_PASSWORD", "hunter 2 @/")
    config = load("rtsp://admin:${CAM_PASSWORD}@h/1")
    assert source_of(config) == "rtsp://admin:hunter 2 @/@h/1"
    assert stored_source_of(config) == "rtsp://admin:${CAM_PASSWORD}@h/1"
    assert credentials.without_credentials("hunter 2 @/ refused") == "${CAM_PASSWORD} refused"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_value_comes_from_a_file_beside_the_config_without_its_last_newline(load, tmp_path, ending):
    (tmp_path / "cam").write_bytes(b"hunter-2" + ending.encode())
    config = load("rtsp://admin:${file:cam}@h/1")
    assert source_of(config) == "rtsp://admin:hunter-2@h/1"
    assert stored_source_of(config) == f"rtsp://admin:${{file:{tmp_path / 'cam'}}}@h/1"


def test_numbers_and_paths_may_come_from_the_environment(load, monkeypatch, tmp_path):
    monkeypatch.setenv("THREADS", "3")
    monkeypatch.setenv("FOOTAGE", "videos")
    config = load("${FOOTAGE}/a.mp4", threads="${THREADS}")
    assert config.threads == 3
    assert source_of(config) == str(tmp_path / "videos" / "a.mp4")
    assert stored_source_of(config) == f"{tmp_path}/${{FOOTAGE}}/a.mp4"


def test_two_dollars_stand_for_the_characters_themselves(load, tmp_path):
    config = load("$${NAME}/a$b$$c.mp4")
    assert source_of(config) == str(tmp_path / "${NAME}" / "a$b$$c.mp4")
    assert stored_source_of(config) == f"{tmp_path}/$${{NAME}}/a$b$$c.mp4"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("${CAM_UNSET}", "cameras.gate.source: the environment variable CAM_UNSET is not set"),
        ("${a-b}", "cameras.gate.source: ${a-b} is neither ${NAME} nor ${file:PATH}"),
        ("${}", "cameras.gate.source: ${} is neither"),
        ("${file:none}", "none cannot be read: No such file or directory"),
        ("${file:.}", "cannot be read: Is a directory"),
        ("${file:large}", "large is larger than 64 KiB"),
        ("${file:binary}", "binary is not UTF-8 text"),
    ],
)
def test_a_reference_without_a_value_is_one_line_with_key_and_line(load, tmp_path, monkeypatch, reference, message):
    monkeypatch.delenv("CAM_UNSET", raising=False)
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(ConfigError) as raised:
        load(reference)
    assert message in str(raised.value)
    assert "(line 3)" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_value_that_is_a_name_in_the_config_is_not_hidden(load, monkeypatch):
    monkeypatch.setenv("SITE", "gate")
    load("${SITE}.mp4")
    assert credentials.without_credentials("camera gate") == "camera gate"


def test_the_database_holds_references_and_a_rendering_resolves_them_again(tmp_path, monkeypatch):
    write_video(tmp_path / "S3cretPlace.mp4", 12, size=(640, 480))
    write_detector(tmp_path / "person.onnx", [[320, 240, 60, 140, 0.9]])
    config = {
        "cameras": {"gate": {"source": "${PLACE}.mp4"}}, "detector": {"weights": "./person.onnx"},
        "database": "people.db",
    }  # fmt: skip
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("PLACE", "S3cretPlace")
    done = CliRunner().invoke(main, ["run", "--cameras", str(tmp_path / "store.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    assert "S3cretPlace" not in done.output
    with sqlite3.connect(tmp_path / "people.db") as connection:
        ((stored, source),) = connection.execute("select config, source from runs join cameras on run_id = runs.id")
    assert source == json.loads(stored)["cameras"]["gate"]["source"] == f"{tmp_path}/${{PLACE}}.mp4"
    assert b"S3cretPlace" not in (tmp_path / "people.db").read_bytes()
    render = ["render", "--database", str(tmp_path / "people.db"), "--out", str(tmp_path / "video"), "--quiet"]
    done = CliRunner().invoke(main, render)
    assert done.exit_code == 0, done.output
    monkeypatch.delenv("PLACE")
    done = CliRunner().invoke(main, render)
    assert done.exit_code == 2
    assert "cameras.gate.source: the environment variable PLACE is not set" in done.output
