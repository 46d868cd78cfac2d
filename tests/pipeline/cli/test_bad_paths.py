"""Every command with every kind of bad path: one line, a documented exit code, and no file is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .every_path import INPUTS, OUTPUTS, PLACES, assert_refused, command_of, content_of, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links, modes and devices of a POSIX system")


def missing(scratch, place):
    return scratch / "none" / f"none{place.suffix}" if place.is_output else scratch / f"none{place.suffix}"


def wrong_kind(scratch, place):
    path = scratch / f"wrong{place.suffix}"
    if place.is_folder:
        path.write_text("a file")
    else:
        path.mkdir()
    return path


def in_closed_folder(scratch, place):
    closed = scratch / "closed"
    closed.mkdir(mode=0o000)
    return closed / f"inside{place.suffix}"


def unreadable(scratch, place):
    path = scratch / f"unreadable{place.suffix}"
    if place.is_folder:
        path.mkdir(mode=0o000)
        return path
    path.write_text("secret")
    path.chmod(0o000)
    return path


def unwritable(scratch, place):
    path = scratch / "unwritable"
    path.mkdir(mode=0o500)
    return path / f"new{place.suffix}"


def loop(scratch, place):
    path = scratch / f"loop{place.suffix}"
    path.symlink_to(path.name)
    return path


def too_long(scratch, place):
    return scratch / ("n" * 300 + place.suffix)


def below_a_file(scratch, place):
    (scratch / "file").write_text("a file")
    return scratch / "file" / f"below{place.suffix}"


def nul(scratch, place):
    return f"{scratch}/a\0b{place.suffix}"


def surrogate(scratch, place):
    return scratch / f"none-\udcff{place.suffix}"


def full(scratch, place):
    return Path("/dev/full")


BOTH = [missing, wrong_kind, in_closed_folder, loop, too_long, below_a_file, nul]
KINDS = {
    **{(name, kind.__name__): kind for name in INPUTS for kind in (*BOTH, unreadable, surrogate)},
    **{(name, kind.__name__): kind for name in OUTPUTS for kind in (*BOTH, unwritable)},
    **{(name, full.__name__): full for name, place in OUTPUTS.items() if not place.suffix and not place.is_folder},
}
MAKES_PARENTS = ("evaluate-reid page", "evaluate-reid markdown", "explain", "export-model", "train", "ablate",
                 "train-detector", "run database", "search", "link evidence")
KINDS = {key: kind for key, kind in KINDS.items() if key[0] not in MAKES_PARENTS or kind is not missing}


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_bad_path_is_one_line_and_touches_nothing(world, tmp_path, name, kind):
    place = PLACES[name]
    path = KINDS[name, kind](tmp_path, place)
    arguments = command_of(place, world, tmp_path, path)
    before = content_of(world)
    done = run(arguments)
    for folder in tmp_path.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)
    assert_refused(done, {place.code, 2})
    assert content_of(world) == before
    assert not [path for path in (*world.rglob("*"), *tmp_path.rglob("*")) if path.name.endswith(".part")]


def reidpipe(*arguments, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from reidpipe.pipeline.cli.main import main; main()", *map(str, arguments)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=os.environ | environment, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [("runs", "--json"), ("runs",), ("--help",)])
def test_a_full_disk_behind_standard_output_is_reported(world, command):
    database = () if command == ("--help",) else ("--database", world / "people.db")
    with Path("/dev/full").open("w") as device:
        done = reidpipe(*command, *database, stdout=device)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.returncode == 6


def test_names_print_in_an_ascii_locale(world, tmp_path):
    shutil.copy(world / "door.mp4", tmp_path / "Tür.mp4")
    config = tmp_path / "Geschäft.yaml"
    config.write_text("database: a.db\ncameras:\n  Tür: {source: Tür.mp4}\n", encoding="utf-8")
    done = reidpipe("check", config, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "T\\xfcr" in done.stdout
