"""No output replaces what a command reads, under whatever name, nor a file of someone else without --force."""

import os

import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.storage.store import CameraRow, Store

from ..media import write_video
from .every_path import OUTPUTS, PLACES, assert_refused, command_of, content_of, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links, modes and devices of a POSIX system")


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
    "thin-detector": ("door.mp4",),
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
    "evaluate-reid page", "evaluate-reid markdown", "explain", "export-model", "thin-detector",
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
