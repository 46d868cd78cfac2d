"""Results are private to their owner from the first byte, whatever the umask, unless the config says otherwise."""

import os
import stat

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.storage.store import Store
from reidpipe.reid.disk.files import MODES, append_text, make_folder, replacing, write_new, write_png

from .media import write_video
from .networks import write_detector
from .stored_runs import boxes, camera

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format, autouse=True)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def modes_in(folder):
    """Modes of all files and of all folders below one."""
    paths = list(folder.rglob("*"))
    return {mode(path) for path in paths if path.is_file()}, {mode(path) for path in paths if path.is_dir()}


@pytest.fixture
def store(tmp_path):
    """Write a config of one short video below a new folder, with an `access` of its own."""

    def write(**keys):
        footage = write_video(tmp_path / "door.mp4", 6)
        weights = write_detector(tmp_path / "detector.onnx", [[320, 240, 60, 140, 0.9]])
        config = {"cameras": {"door": {"source": str(footage)}}, "detector": {"weights": str(weights)},
                  "database": str(tmp_path / "new" / "deeper" / "people.db"), **keys}
        path = tmp_path / "store.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


@pytest.mark.parametrize(("keys", "file", "folder"), [
    pytest.param({}, 0o600, 0o700, id="default"), pytest.param({"access": "group"}, 0o660, 0o770, id="group"),
    pytest.param({"access": "everyone"}, 0o664, 0o775, id="everyone")])
def test_run_export_and_render_have_the_access_of_the_config(store, tmp_path, keys, file, folder):
    config = store(**keys)
    out = tmp_path / "out"
    make_folder(out, MODES[keys.get("access", "owner")])
    for command in (["run", "--quiet"], ["export", "trajectories", f"{out}/a.csv"], ["render", "--out", f"{out}/video"],
                    ["export", "trajectories", f"{out}/mot", "--format", "mot"]):
        done = CliRunner().invoke(main, [*command, "--cameras", str(config)])
        assert done.exit_code == 0, done.output
    for made in (tmp_path / "new", out):
        assert mode(made) == folder
        assert modes_in(made) == ({file}, {folder})


def test_the_log_of_an_open_database_is_private(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store, store.start_run("{}", [camera()]) as run:
        run.add_observations(boxes(0, [1]))
        run.finish("complete")
        names = {path.name for path in tmp_path.iterdir()}
        assert {"a.db", "a.db-wal", "a.db-shm"} <= names
        assert modes_in(tmp_path)[0] == {0o600}


def test_a_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "a.csv"
    path.touch(mode=0o666)
    with replacing(path, MODES["everyone"]) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_text("row")
        assert mode(temporary) == 0o600
    assert mode(path) == 0o664


def test_every_writer_makes_private_files(tmp_path):
    append_text(tmp_path / "log", "line")
    write_new(tmp_path / "jpeg", b"x")
    write_png(tmp_path / "png", np.zeros((4, 4, 3), np.uint8))
    make_folder(tmp_path / "a" / "b")
    assert modes_in(tmp_path) == ({0o600}, {0o700})


def test_folders_that_exist_keep_their_mode(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    make_folder(tmp_path / "shared" / "new" / ".." / "other")
    assert [mode(tmp_path / "shared" / name) for name in (".", "new", "other")] == [0o755, 0o700, 0o700]
