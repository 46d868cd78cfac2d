"""A run that was killed, interrupted or ran out of disk is resumed, and ends as one that never broke off."""

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from reidpipe.pipeline.output.video.writer import VideoWriter
from reidpipe.pipeline.sources.quiet import QuietScene

from ..commands import reidpipe
from ..media import open_camera, read, write_video
from ..networks import PERSON, write_detector

ROOT = Path(__file__).parents[3]
KILLS = 3
FULL_BYTES = 1_500_000  # of the database's log: enough for the beginning of the tiny store
# Checkpoints in every second of footage, and links of tracks that are two seconds long: the store is ten seconds long.
PROGRAM = (
    "from reidpipe.pipeline.running import stages; "
    "stages.CHECKPOINT_SECONDS = 1.0; stages.EARLY_SECONDS = 2.0; "
    "from reidpipe.pipeline.cli.main import main; main()")
NEVER_EQUAL = {"started_at", "finished_at", "heartbeat_at", "created_at", "writer", "config"}
OPEN_TRACKS_WITH_IDENTITY = (
    "select count(*) from tracklets where identity_id is not null and id not in (select tracklet_id from appearances)")


def tiny(folder):
    """A config of the tiny store that is cheap: every third frame, and a small input of the detector."""
    config = yaml.safe_load((ROOT / "configs/tiny.yaml").read_text())
    for camera, section in config["cameras"].items():
        section |= {"source": str(ROOT / f"sample_videos/tiny/{camera}.mp4"), "every": 3}
    config |= {"database": "people.db", "threads": 1, "detector": {"image_size": 320}}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def started(config, *options, **more):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", "--cameras", str(config), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def ended(config, *options, **more):
    """Run to the end; returns exit code, standard output and standard error."""
    process = started(config, *options, **more)
    out, messages = process.communicate(timeout=120)
    assert "Traceback" not in messages
    return process.returncode, out, messages


def tables(database):
    """All rows of all tables, without times of the clock on the wall."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        found = {}
        for name in names:
            columns = [row[1] for row in connection.execute(f"pragma table_info({name})") if row[1] not in NEVER_EQUAL]
            found[name] = sorted(connection.execute(f"select {', '.join(columns)} from {name}"), key=repr)
        return found


def count(database, query):
    try:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(query).fetchone()[0]
    except sqlite3.OperationalError:  # no tables yet
        return 0


def wait_for(process, database, query, value):
    while process.poll() is None and count(database, query) < value:
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All rows of an unbroken run of the tiny store."""
    folder = tmp_path_factory.mktemp("whole")
    assert ended(tiny(folder), "--quiet")[0] == 0
    return tables(folder / "people.db")


def test_a_run_that_is_killed_again_and_again_ends_as_an_unbroken_one(whole, tmp_path):
    assert len(whole["observations"]) > 150
    assert len(whole["links"]) > 5
    assert whole["checkpoints"] == whole["checkpoint_parts"] == []
    config, database = tiny(tmp_path), tmp_path / "people.db"
    before_the_end = len(whole["frames"]) * 2 // 3  # the last frames are stored when the footage has ended
    moments = sorted(random.Random(11).sample(range(1, before_the_end), KILLS))
    linked_early = 0
    for frames in moments:
        process = started(config, "--quiet", "--resume")
        wait_for(process, database, "select count(*) from frames", frames)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert count(database, "select count(*) from checkpoints") == 1
        linked_early += count(database, OPEN_TRACKS_WITH_IDENTITY)
    assert linked_early
    code, out, _ = ended(config, "--resume", "--json")
    outcome = json.loads(out)
    assert (code, outcome["start"], outcome["run"]) == (0, "resumed", 1)
    broken = tables(database)
    for name, rows in whole.items():
        assert broken[name] == rows, name
    assert outcome["observations"] == sum(not row[-1] for row in whole["observations"])
    assert [(one["decoded"], one["analysed"]) for one in outcome["cameras"]] == [(100, 34), (100, 34)]


def pictures(path):
    return [frame.image for frame in read(open_camera(path))]


def write_pause(path):
    """Three seconds of the tiny store's left camera, four in which nothing moves, and the three after them."""
    images = pictures(ROOT / "sample_videos/tiny/left.mp4")
    with VideoWriter(path, (images[0].shape[1], images[0].shape[0]), Fraction(10), path) as writer:
        for place, image in enumerate([*images[:30], *[images[29]] * 40, *images[30:60]]):
            writer.write(image, place / 10)


def test_quiet_footage_that_is_resumed_ends_as_an_unbroken_run(tmp_path):
    write_pause(tmp_path / "left.mp4")
    footage = open_camera(tmp_path / "left.mp4").frames(threading.Event(), QuietScene(2.0, restart_seconds=1.0))
    assert 30 < sum(frame.quiet for frame in footage) < 50
    results = []
    for moments in ([], [10, 25]):  # frames are stored 2.5 s later, so both lie in the pause
        folder = tmp_path / f"killed {len(moments)} times"
        folder.mkdir()
        config, database = tiny(folder), folder / "people.db"
        content = yaml.safe_load(config.read_text())
        content["cameras"] = {"left": content["cameras"]["left"] | {"source": str(tmp_path / "left.mp4"), "every": 1}}
        config.write_text(yaml.safe_dump(content))
        for frames in moments:
            process = started(config, "--quiet", "--resume")
            wait_for(process, database, "select count(*) from frames", frames)
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            assert count(database, "select count(*) from checkpoints") == 1
        assert ended(config, "--quiet", "--resume")[0] == 0
        results.append(tables(database))
    whole, broken = results
    assert len(whole["observations"]) > 50
    for name, rows in whole.items():
        assert broken[name] == rows, name


def test_a_disk_that_fills_up_and_is_freed(whole, tmp_path):
    config, database = tiny(tmp_path), tmp_path / "people.db"

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))

    code, _, messages = ended(config, "--quiet", preexec_fn=small_files)
    assert code == 5
    assert "people.db: its disk" in messages.splitlines()[-1]
    assert count(database, "select count(*) from checkpoint_parts") > 0
    assert ended(config, "--quiet", "--resume")[0] == 0
    full = tables(database)
    for name, rows in whole.items():
        assert full[name] == rows, name


@dataclass(frozen=True)
class BrokenOff:
    """A run of one camera that was interrupted; `copied` gives a config of the same run in a database of its own."""

    folder: Path
    messages: str

    def copied(self, to, **sections):
        content = yaml.safe_load((self.folder / "store.yaml").read_text())
        with closing(sqlite3.connect(self.folder / "people.db")) as own, closing(
                sqlite3.connect(to / "people.db")) as copy:
            own.backup(copy)
        path = to / "store.yaml"
        path.write_text(yaml.safe_dump(content | {"database": str(to / "people.db")} | sections))
        return path


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken_off")
    write_detector(folder / "person.onnx", PERSON)
    write_video(folder / "door.mp4", 200, size=(320, 240))
    config = folder / "store.yaml"
    config.write_text(yaml.safe_dump({
        "cameras": {"door": {"source": str(folder / "door.mp4")}},
        "detector": {"weights": str(folder / "person.onnx")}, "tracker": {"crops_per_second": 0.5},
        "database": str(folder / "people.db")}))
    process = started(config, "--quiet", "--json")
    wait_for(process, folder / "people.db", "select count(*) from frames", 20)
    process.send_signal(signal.SIGTERM)
    out, messages = process.communicate(timeout=120)
    assert process.returncode == 130, messages
    assert 0 < json.loads(out)["cameras"][0]["analysed"] < 200
    return BrokenOff(folder, messages)


def test_an_interrupted_run_shows_what_it_has_and_is_resumed(broken_off, tmp_path):
    config, database = broken_off.copied(tmp_path), tmp_path / "people.db"
    assert "--resume" in broken_off.messages
    assert count(database, "select count(*) from tracklets where identity_id is not null") == 1
    assert ended(config, "--resume", "--quiet")[0] == 0
    resumed = tables(database)
    database.unlink()
    assert ended(config, "--quiet")[0] == 0
    assert tables(database) == resumed


def test_a_new_run_says_that_there_is_an_unfinished_one(broken_off, tmp_path):
    code, out, messages = ended(broken_off.copied(tmp_path), "--json", "--quiet")
    assert (code, json.loads(out)["run"]) == (0, 2)
    assert "run 1 of the same cameras is unfinished" in messages
    assert "--resume" in messages
    assert count(tmp_path / "people.db", "select count(*) from checkpoints") == 0, "the new run makes it superfluous"


def test_with_nothing_to_resume_a_run_begins_and_one_that_has_ended_is_not_touched(broken_off, tmp_path):
    config, database = broken_off.copied(tmp_path), tmp_path / "people.db"
    database.unlink()
    first = reidpipe("run", "--cameras", config, "--resume", "--json")
    assert (first.exit_code, json.loads(first.stdout)["start"]) == (0, "new")
    before = database.read_bytes()
    again = reidpipe("run", "--cameras", config, "--resume", "--json")
    assert again.exit_code == 0
    assert "run 1 has reached its end: there is nothing to resume" in again.stderr
    outcome = json.loads(again.stdout)
    assert (outcome["run"], outcome["start"], outcome["status"]) == (1, "ended", "complete")
    assert (outcome["observations"], outcome["cameras"][0]["analysed"]) == (200, 200)
    assert database.read_bytes() == before


def refused(config, exit_code):
    """The one line of a run that is not resumed."""
    done = reidpipe("run", "--cameras", config, "--resume", "--quiet")
    assert done.exit_code == exit_code, done.output
    (line,) = done.stderr.splitlines()
    return line


CHANGES = {
    "a setting": ({"tracker": {"crops_per_second": 0.5, "lost_seconds": 3}}, "tracker.lost_seconds was 2.0, is 3.0"),
    "the weights": ({"appearance": {"weights": "dpmpp"}}, 'appearance.weights was "accurate", is "dpmpp"'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_is_not_resumed_with_other_settings(broken_off, tmp_path, name):
    sections, words = CHANGES[name]
    config = broken_off.copied(tmp_path, **sections)
    before = tables(tmp_path / "people.db")
    line = refused(config, 2)
    assert words in line
    assert "run 1 cannot be resumed" in line
    assert tables(tmp_path / "people.db") == before


@pytest.mark.parametrize(("file", "words"), [
    ("door.mp4", "the footage of camera door has changed"),
    ("person.onnx", "the file of detector.weights is another one"),
])
def test_a_run_is_not_resumed_with_other_files(broken_off, tmp_path, file, words):
    config, path = broken_off.copied(tmp_path), broken_off.folder / file
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content + b"1")
    try:
        assert words in refused(config, 2)
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_checkpoint_of_another_form_is_refused(broken_off, tmp_path):
    """Of the same version, as somebody has who follows the repository."""
    config = broken_off.copied(tmp_path)
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as connection:
        connection.execute("update runs set inputs = json_remove(inputs, '$.checkpoints')")
    assert "kept checkpoints of another form" in refused(config, 2)


def test_a_damaged_checkpoint_is_one_line(broken_off, tmp_path):
    config = broken_off.copied(tmp_path)
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as connection:
        connection.execute("update checkpoint_parts set content = x'00112233'")
    assert "the checkpoint is damaged" in refused(config, 5)


def test_trackers_of_ultralytics_are_refused(broken_off, tmp_path):
    config = broken_off.copied(tmp_path, tracker={"name": "bytetrack"})
    assert "tracker.name: runs with bytetrack keep no checkpoint" in refused(config, 2)
