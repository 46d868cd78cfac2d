"""Every command with every kind of bad path: one line, a documented exit code, and no file is touched."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.reid.model.network import ModelSpec, create_model, packed_model

from ...permissions import binding_permissions
from ..media import write_images, write_video
from ..networks import write_detector
from ..stored_runs import boxes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links, modes and devices of a POSIX system")

PERSON = [[320, 240, 60, 140, 0.9]]


@dataclass(frozen=True)
class Place:
    """Where a command takes a path.

    Attributes:
        arguments: of the command, with {} for the path, and names of the world's files in braces.
        is_output: whether the path is written.
        is_folder: whether it is a folder.
        code: exit code for a path that cannot be used; one of the wrong kind may also be a usage error, 2.
        suffix: that the path needs.
        section: of a config or recipe in which the path stands instead, with its key.
    """

    arguments: str
    is_output: bool = False
    is_folder: bool = False
    code: int = 2
    suffix: str = ""
    section: tuple[str, ...] = ()


INPUTS = {
    "run config": Place("run --quiet --cameras {}"),
    "check config": Place("check {}"),
    "runs config": Place("runs --cameras {}"),
    "runs database": Place("runs --database {}", code=5),
    "export database": Place("export trajectories {folder}/new.csv --database {}", code=5),
    "export config": Place("export trajectories {folder}/new.csv --cameras {}"),
    "render database": Place("render --out {folder}/new --quiet --database {}", code=5),
    "evaluate database": Place("evaluate --truth {folder} --database {}", code=5),
    "identities database": Place("identities list --database {}", code=5),
    "serve database": Place("serve --port 0 --database {}", code=5),
    "serve token": Place("serve --port 0 --database {folder}/people.db --token-file {}"),
    "search database": Place("search --identity 1 --database {}", code=5),
    "search picture": Place("search --database {folder}/people.db --image {}", suffix=".png"),
    "explain link database": Place("explain link door:1 door:2 --database {}", code=5),
    "evaluate truth": Place("evaluate --database {folder}/people.db --truth {}", is_folder=True),
    "bench config": Place("bench --cameras {}"),
    "train recipe": Place("train --out {folder}/new --config {}"),
    "train crops": Place("train --out {folder}/new --config {config}", is_folder=True, section=("recipe", "train")),
    "train start": Place("train --out {folder}/new --config {config}", code=4, section=("recipe", "start_from")),
    "leave-one-out recipe": Place("leave-one-out --out {folder}/new --config {}"),
    "ablate recipe": Place("ablate --out {folder}/new --config {}"),
    "evaluate-reid data": Place("evaluate-reid --data {}", is_folder=True),
    "evaluate-reid weights": Place("evaluate-reid --data {folder}/crops --weights {}", code=4, suffix=".onnx"),
    "evaluate-reid baseline": Place("evaluate-reid --data {folder}/crops --baseline {}", code=4, suffix=".onnx"),
    "explain picture": Place("explain --out {folder}/new.png {}", suffix=".png"),
    "explain weights": Place("explain --out {folder}/new.png {folder}/crop.png --weights {}", code=4, suffix=".onnx"),
    "export-model checkpoint": Place("export-model {} {folder}/new.onnx", code=4, suffix=".pt"),
    "export-model crops": Place("export-model {folder}/best.pt {folder}/new.onnx --int8 {}", is_folder=True),
    "train-detector weights": Place("train-detector --out {folder}/new --weights {}"),
    "train-detector footage": Place("train-detector --out {folder}/new --weights {folder}/best.pt --footage {}"),
    "train-detector scenes": Place(
        "train-detector --out {folder}/new --weights {folder}/best.pt --scenes {}", is_folder=True
    ),
    "evaluate-detector config": Place("evaluate-detector --truth {folder} --cameras {}"),
    "evaluate-detector truth": Place("evaluate-detector --cameras {folder}/store.yaml --truth {}", is_folder=True),
    "run source": Place("run --quiet --cameras {config}", code=3, suffix=".mp4", section=("store", "source")),
    "check source": Place("check {config}", code=3, suffix=".mp4", section=("store", "source")),
    "run detector": Place("run --quiet --cameras {config}", code=4, suffix=".onnx", section=("store", "detector")),
    "run appearance": Place("run --quiet --cameras {config}", code=4, suffix=".onnx", section=("store", "appearance")),
}
OUTPUTS = {
    "export csv": Place("export trajectories --database {folder}/people.db {}", suffix=".csv"),
    "export json": Place("export trajectories --database {folder}/people.db --format json {}", suffix=".json"),
    "export parquet": Place("export trajectories --cameras {folder}/store.yaml --format parquet {}"),
    "export summary": Place("export trajectories --database {folder}/people.db --summary {}"),
    "export mot": Place("export trajectories --database {folder}/people.db --format mot {}", is_folder=True),
    "render": Place("render --database {folder}/people.db --quiet --out {}", is_folder=True),
    "evaluate-reid page": Place("evaluate-reid --data {folder}/crops --page {}", suffix=".png"),
    "evaluate-reid markdown": Place("evaluate-reid --data {folder}/crops --markdown {}"),
    "explain": Place("explain {folder}/crop.png --out {}", suffix=".png"),
    "search": Place("search --database {folder}/people.db --identity 1 --sheet {}", suffix=".png"),
    "link evidence": Place("explain link door:1 photos:1 --database {folder}/people.db --out {}", suffix=".png"),
    "export-model": Place("export-model {folder}/best.pt {}", suffix=".onnx"),
    "train": Place("train --config {folder}/recipe.yaml --out {}", is_folder=True),
    "ablate": Place("ablate --config {folder}/study.yaml --seeds 1 --out {}", is_folder=True),
    "leave-one-out": Place("leave-one-out --config {folder}/left.yaml --out {}", is_folder=True),
    "train-detector": Place("train-detector --trust-weights --weights {folder}/best.pt --out {}", is_folder=True),
    "run database": Place("run --quiet --cameras {config}", code=5, section=("store", "database")),
}
OUTPUTS = {name: Place(**{**vars(place), "is_output": True, "code": 5 if place.section else 6})
           for name, place in OUTPUTS.items()}
PLACES = INPUTS | OUTPUTS


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store that was run once, with crops, a recipe and a checkpoint."""
    folder = tmp_path_factory.mktemp("world")
    footage = write_video(folder / "door.mp4", 4)
    write_images(folder / "photos", 2)
    weights = write_detector(folder / "detector.onnx", PERSON)
    cameras = {"door": CameraConfig(source=str(footage)), "photos": CameraConfig(source=str(folder / "photos"), fps=5)}
    config = Config(cameras=cameras, database=str(folder / "people.db"), detector={"weights": str(weights)})
    (folder / "store.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_none=True)))
    with (
        Store.open(folder / "people.db", create=True) as store,
        store.start_run(config.model_dump_json(), [CameraRow(name, one.source, 64, 48, 10.0, 0.0)
                                                   for name, one in cameras.items()]) as run,
    ):
        run.add_observations(boxes(0, [1]))
        run.finish("complete")
    crop = np.full((32, 16, 3), 90, np.uint8)
    cv2.imwrite(str(folder / "crop.png"), crop)
    for camid, name in enumerate(("query", "bounding_box_test", "bounding_box_train"), 1):
        (folder / "crops" / name).mkdir(parents=True)
        for pid in (1, 2):
            cv2.imwrite(str(folder / "crops" / name / f"{pid:04d}_c{camid}s1_000001_00.png"), crop)
    spec = ModelSpec("plain-conv", width=0.25)
    torch.save(packed_model(spec, create_model(spec).state_dict()), folder / "best.pt")
    recipe = {"train": [str(folder / "crops")], "held_out": {"identities": 0}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    crops = [str(folder / "crops" / name) for name in ("bounding_box_train", "bounding_box_test")]
    tests = {"leave_one_out": {"tests": [str(folder / "crops")] * 2}}
    (folder / "left.yaml").write_text(yaml.safe_dump(recipe | {"train": crops} | tests))
    (folder / "study.yaml").write_text(yaml.safe_dump(recipe | {"held_out": {"identities": 1}}))
    return folder


def content_of(folder):
    """Digest by path of every regular file that can be read; SQLite's shared memory has no lasting content."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith("-shm")
    }


def command_of(place, world, scratch, path):
    """The arguments of a command with the path in its place, in a config or recipe of its own where that is a key."""
    config = scratch / "own.yaml"
    if place.section:
        file, key = place.section
        content = yaml.safe_load((world / f"{file}.yaml").read_text())
        if key == "source":
            content["cameras"] = {"door": {"source": str(path)}}
        elif key in ("detector", "appearance"):
            content[key] = {"weights": str(path)}
        else:
            content[key] = [str(path)] if key == "train" else str(path)
        config.write_text(yaml.safe_dump(content))
    filled = [word.replace("{folder}", str(world)).replace("{config}", str(config)) for word in place.arguments.split()]
    return [word.replace("{}", str(path)) for word in filled]


def run(arguments):
    with binding_permissions():
        return CliRunner().invoke(main, arguments)


def assert_refused(done, codes, needle=""):
    shown = f"{done.exit_code}: {done.output}"
    assert done.exception is None or isinstance(done.exception, SystemExit), (shown, done.exception)
    assert done.exit_code in codes, shown
    lines = [line for line in done.stderr.splitlines() if not line.startswith("reidpipe: warning")]
    # Counts of a data set are logged; a study says which run begins, and how far it is.
    lines = [line for line in lines if not re.search(r"\d identities$|^training without |^ *epoch \d", line)]
    assert len(lines) == 1, shown
    assert lines[0].startswith("reidpipe: "), shown
    assert needle in lines[0], shown


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


def same(target, scratch, suffix):
    return target


def other_spelling(target, scratch, suffix):
    return target.parent / "photos" / ".." / target.name


def symbolic_link(target, scratch, suffix):
    link = scratch / f"link{suffix}"
    link.symlink_to(target)
    return link


def hard_link(target, scratch, suffix):
    link = scratch / f"hard{suffix}"
    link.hardlink_to(target)
    return link


FILE_OUTPUTS = {name: place for name, place in OUTPUTS.items() if not place.is_folder and not place.section}
READ = {  # of the world, by every command that writes a file
    "export": ("people.db", "door.mp4", "detector.onnx", "photos/frame_0.png"),
    "evaluate-reid": ("crops/query/0001_c1s1_000001_00.png",),
    "explain": ("crop.png",),
    "search": ("people.db", "door.mp4"),
    "link": ("people.db",),
    "export-model": ("best.pt",),
}
PROTECTED = [
    pytest.param(name, target, spelling, force, id=f"{name}-{target}-{spelling.__name__}{'-force' if force else ''}")
    for name, place in FILE_OUTPUTS.items()
    for target in READ["export-model" if name == "export-model" else name.split()[0]]
    for spelling in (same, other_spelling, symbolic_link, hard_link)
    for force in (False, True)
    # A hard link to a picture in a folder is another name: replacing that name leaves the picture as it is.
    if not (spelling is hard_link and "/" in target)
]


@pytest.mark.parametrize(("name", "target", "spelling", "force"), PROTECTED)
def test_an_input_is_never_replaced(world, tmp_path, name, target, spelling, force):
    place = PLACES[name]
    path = spelling(world / target, tmp_path, place.suffix)
    if spelling is other_spelling and "/" in target:
        path = world / "photos" / ".." / target
    before = content_of(world)
    done = run([*command_of(place, world, tmp_path, path), *(["--force"] if force else [])])
    assert_refused(done, {6})
    assert content_of(world) == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_the_files_beside_the_database_are_never_made_or_replaced(world, tmp_path, suffix):
    done = run(["export", "trajectories", "--force", "--database", str(world / "people.db"),
                f"{world}/people.db{suffix}"])
    assert_refused(done, {6}, "is read by this command")


def test_the_config_that_names_the_database_is_never_replaced(world, tmp_path):
    config = str(world / "store.yaml")
    done = run(["export", "trajectories", "--force", "--cameras", config, config])
    assert_refused(done, {6}, "is read by this command")
    done = run(["export", "trajectories", "--database", str(world / "people.db"), config])
    assert_refused(done, {6}, "not an earlier output")


def test_rendering_beside_the_footage_keeps_it(world):
    """The camera's video would have the name of its footage."""
    for force in ([], ["--force"]):
        before = content_of(world)
        done = run(["render", "--database", str(world / "people.db"), "--quiet", "--out", str(world), *force])
        assert_refused(done, {6}, "door.mp4")
        assert content_of(world) == before


def test_a_new_file_does_not_become_footage(world, tmp_path):
    footage = tmp_path / "segments"
    footage.mkdir()
    write_video(footage / "part_1.mp4", 2)
    cameras = {"part_2": CameraConfig(source=f"{footage}/part_*.mp4")}
    config = Config(cameras=cameras)
    with Store.open(tmp_path / "a.db", create=True) as store:
        rows = [CameraRow("part_2", cameras["part_2"].source, 64, 48, 10.0, 0.0)]
        store.start_run(config.model_dump_json(), rows).finish("complete")
    done = run(["render", "--no-mosaic", "--database", str(tmp_path / "a.db"), "--out", str(footage), "--quiet"])
    assert_refused(done, {6}, "would be a new file of")
    assert [path.name for path in footage.iterdir()] == ["part_1.mp4"]


def test_a_file_of_someone_else_is_replaced_only_by_force(world, tmp_path):
    for name, place in FILE_OUTPUTS.items():
        path = tmp_path / f"notes{place.suffix}"
        path.write_text("years of work")
        assert_refused(run(command_of(place, world, tmp_path, path)), {6}, "--force")
        assert path.read_text() == "years of work", name


@pytest.mark.parametrize("name", [
    "export csv", "export json", "export parquet", "export summary", "export mot", "render",
    "evaluate-reid page", "evaluate-reid markdown", "explain", "export-model",
])
def test_former_outputs_are_replaced_without_force(world, tmp_path, name):
    place = PLACES[name]
    path = tmp_path / f"out{place.suffix}"
    for attempt in range(2):
        done = CliRunner().invoke(main, command_of(place, world, tmp_path, path))
        assert done.exit_code == 0, (attempt, done.output)
    if path.is_file():
        path.write_text("years of work")
        done = CliRunner().invoke(main, [*command_of(place, world, tmp_path, path), "--force"])
        assert done.exit_code == 0, done.output


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
