"""What a check accepts, a run accepts; what a run refuses, a check refuses with the same line and exit code."""

import sqlite3
from contextlib import closing

import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.storage.connection.revision import VERSION_TABLE
from reidpipe.pipeline.storage.store import Store

from ..media import write_images, write_video
from ..networks import write_detector, write_embedder


def another_programs(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table orders (id integer)")


def newer(path):
    Store.open(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"update {VERSION_TABLE} set version_num = '9999'")


def damaged(path):
    Store.open(path, create=True).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


def lost_pages(path):
    Store.open(path, create=True).close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def of_odd_times(path):
    Store.open(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "insert into runs (id, started_at, status, version, config, writer, heartbeat_at) "
            "values (1, 'x', 'running', '1', '{}', 'nobody', 'yesterday')")


DATABASES = [
    pytest.param("x.db", another_programs, 5, "another program's", id="another program's"),
    pytest.param("x.db", lambda path: path.write_text("hello\n" * 500), 5, "is not a database", id="a text file"),
    pytest.param("x.db", newer, 5, "written by a newer reidpipe", id="newer"),
    pytest.param("x.db", damaged, 5, "damaged", id="damaged"),
    pytest.param("x.db", lost_pages, 5, "damaged", id="lost pages"),
    pytest.param("x.db", of_odd_times, 5, "damaged", id="times that are none"),
    pytest.param("x.db", lambda path: path.mkdir(), 5, "is a folder", id="a folder"),
    pytest.param("/dev/full", None, 5, "is not a file", id="a device"),
    pytest.param(":memory:", None, 5, "keeps nothing", id="in memory"),
    pytest.param("a.mp4/x.db", None, 5, "cannot be written", id="below a file"),
    pytest.param("nosuchdb://h/x", None, 5, "nosuchdb is no kind of database known here", id="unknown kind"),
    pytest.param("oracle://u:secret@h/x", None, 5, "no driver for oracle", id="driver that is not installed"),
    pytest.param("postgresql://u:secret@h:99999/x", None, 5, "there is no port 99999", id="port out of range"),
    pytest.param("postgresql://u:secret@h:port/x", None, 5, "not a path or a database", id="port that is no number"),
    pytest.param("sqlite:///x.db?colour=red", None, 5, "no options", id="option of SQLite"),
]


@pytest.fixture
def config(tmp_path):
    write_video(tmp_path / "a.mp4", 6, size=(64, 64))
    weights = write_detector(tmp_path / "person.onnx", [[32, 32, 20, 40, 0.9]])
    appearance = write_embedder(tmp_path / "appearance.onnx")

    def write(source="a.mp4", **sections):
        models = {"detector": {"weights": str(weights)}, "appearance": {"weights": str(appearance)}}
        sections = {"database": "x.db", **models, **sections}
        path = tmp_path / "store.yaml"
        path.write_text(yaml.safe_dump({"cameras": {"a": {"source": source, "fps": 5}}, **sections}))
        return path

    return write


def reidpipe(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check_and_run(path, tmp_path):
    """Exit codes and last lines of both commands; the check must leave every file as it was."""
    before = contents(tmp_path)
    checked = reidpipe("check", path)
    assert contents(tmp_path) == before
    ran = reidpipe("run", "--cameras", path, "--quiet")
    return [(done.exit_code, done.stderr.splitlines()[-1:]) for done in (checked, ran)]


@pytest.mark.parametrize(("database", "prepared", "code", "message"), DATABASES)
def test_a_check_refuses_the_databases_that_a_run_refuses(database, prepared, code, message, config, tmp_path):
    if prepared:
        prepared(tmp_path / database)
    checked, ran = check_and_run(config(database=database), tmp_path)
    assert checked == ran
    assert checked[0] == code
    assert message in checked[1][0]
    assert "secret" not in checked[1][0]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        pytest.param({"detector": {"weights": "folder"}}, "neither ONNX nor OpenVINO", id="folder as detector"),
        pytest.param({"appearance": {"weights": "folder"}}, "no such weights file", id="folder as appearance model"),
        pytest.param({"appearance": {"weights": "person.onnx"}}, "expected an ONNX model of kind", id="wrong model"),
        pytest.param({"detector": {"weights": "text.onnx"}}, "is damaged or not an ONNX model", id="text as detector"),
        pytest.param({"detector": {"weights": "odd.onnx"}}, "damaged class names", id="odd class names"),
    ],
)
def test_a_check_refuses_the_weights_that_a_run_refuses(sections, message, config, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.onnx").write_text("hello")
    write_detector(tmp_path / "odd.onnx", [[32, 32, 20, 40, 0.9]], names="{0: 'person'")
    checked, ran = check_and_run(config(**sections), tmp_path)
    assert checked == ran
    assert checked[0] == 4
    assert message in checked[1][0]


@pytest.mark.parametrize("size", [(8000, 1), (1, 8000), (8, 8), (4000, 100)])
def test_pictures_that_no_network_can_take_are_refused(size, config, tmp_path):
    write_images(tmp_path / "pictures", 2, size=size)
    checked, ran = check_and_run(config("pictures"), tmp_path)
    assert checked[0] == ran[0] == 3
    assert f"frames of {size[0]}x{size[1]} pixels cannot be analysed" in checked[1][0]


def test_a_check_refuses_a_database_that_a_run_is_writing_as_a_run_does(config, tmp_path):
    path = config()
    with Store.open(tmp_path / "x.db", create=True) as store, store.start_run("{}", []):
        assert reidpipe("check", path).exit_code == 5
    assert reidpipe("check", path).exit_code == 0


def test_a_run_follows_a_check_that_accepts(config, tmp_path):
    assert [code for code, _ in check_and_run(config(threads=1024), tmp_path)] == [0, 0]
    assert [code for code, _ in check_and_run(config(), tmp_path)] == [0, 0], "the database exists now"


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--database", "~nobody-here/x.db"],
        ["evaluate", "--truth", ".", "--run", "9" * 30],
        ["export", "trajectories", "x.csv", "--run", "9" * 30],
        ["evaluate", "--truth", ".", "--min-visible", "nan"],
        ["evaluate", "--truth", ".", "--min-visible", "inf"],
        ["bench", "search", "--sizes", "9" * 30],
        ["bench", "search", "--seed", "9" * 30],
        ["bench", "--cameras", "x.yaml", "--rounds", "9" * 30],
        ["ablate", "--config", "x.yaml", "--out", "x", "--seeds", "9" * 30],
        ["train-detector", "--weights", "x.pt", "--out", "x", "--epochs", "9" * 30],
    ],
)
def test_options_have_limits(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = reidpipe(*arguments)
    assert done.exit_code in (2, 5)
    assert done.stderr.count("\n") <= 4
