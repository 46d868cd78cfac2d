"""Read damaged copies of a database by every command, in this process; run by test_database.py.

    python -m tests.fuzz.mutated_database FOLDER RESULTS COUNT
"""

import random
import shutil
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from click.testing import CliRunner

from reidpipe.pipeline.cli import main as commands
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.corrections.decisions import merge, rename
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport, Link

from ..pipeline.media import write_video
from ..pipeline.stored_runs import LINK, boxes, tracklet
from .mutation import mutated

VALUES = (
    None, 0, -1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e308, -1e308, float("inf"), "", "x", "[" * 5000, "9" * 5000, "{}",
    "[]", "null", "2024-05-01 00:00:00", "99999-01-01", "../../../x", "/etc/passwd", "${HOME}", "a\nb", "\x1b[2J",
    '{"cameras": {"door": {"source": "/dev/zero"}}}', '{"cameras": 3}', b"", b"\xff" * 7, b"\0" * 64,
)  # fmt: skip
SCHEMES = (
    "create view extra as select 1", "drop table observations", "drop table reidpipe_revision", "delete from cameras",
    "alter table runs drop column config", "alter table cameras rename column name to title",
    "create trigger t after update on runs begin delete from observations; end",
    "drop table runs; "
    "create view runs as with recursive c(id) as (select 1 union all select 1 from c) select id from c",
)
COMMANDS = (
    ("runs",), ("runs", "--json"), ("export", "trajectories", "OUT/a.csv", "--force"),
    ("export", "trajectories", "OUT/a.json", "--force", "--format", "json", "--summary"),
    ("export", "trajectories", "OUT/a.parquet", "--force", "--format", "parquet"),
    ("export", "trajectories", "OUT/mot", "--force", "--format", "mot"),
    ("render", "--out", "OUT/video", "--quiet", "--force"), ("evaluate", "--truth", "TRUTH"),
    ("identities", "list"), ("identities", "show", "1"), ("identities", "history", "--json"),
    ("identities", "split", "1", "--track", "door:2"), ("identities", "undo"), ("search", "--identity", "1"),
    ("explain", "link", "1", "1"), ("identities", "forget", "1", "--yes"),
)
ALLOWED = (0, 2, 3, 5, 6)  # the documented exit codes of bad input; 1 and 70 would be bugs


def write_original(path: Path, footage: Path) -> None:
    """A database of one run, in one file."""
    config = Config(cameras={"door": CameraConfig(source=str(footage)), "hall": CameraConfig(source=str(footage))})
    with Store.open(path, create=True) as store:
        cameras = [CameraRow(name, str(footage), 64, 48, 10.0, 0.0) for name in ("door", "hall")]
        with store.start_run(config.model_dump_json(), cameras) as run:
            for frame in range(20):
                run.add_observations(boxes(frame, [1, 2]))
            run.add_tracklet(tracklet(1, frames=20))
            run.add_tracklet(tracklet(2, frames=20))
            run.add_links([LINK, Link("door", 2, 2, 0.5, 0.5, 1.0)])
            run.report(CameraReport("door", decoded=20, analysed=20))
        rename(store, None, 1, "Bob", "Ada")
        merge(store, None, 1, 2, "Ada", "same bag", anyway=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = delete")


def damage(path: Path, seed: int) -> None:
    """Damage the file's bytes, a few of its values, or its tables."""
    chance = random.Random(seed)
    kind = chance.choice(["bytes", "bytes", "values", "values", "values", "tables"])
    if kind == "bytes":
        # Page 1 is mostly schema; damage of other pages is rarer in so small a file.
        path.write_bytes(mutated(path.read_bytes(), seed, chance.choice([0, 100, 4096])))
        return
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma foreign_keys = off")
        if kind == "tables":
            connection.executescript(chance.choice(SCHEMES))
            return
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for _ in range(chance.randrange(1, 4)):
            table = chance.choice(tables)
            column = chance.choice([row[1] for row in connection.execute(f"pragma table_info({table})")])
            with suppress(sqlite3.IntegrityError):  # row numbers are whole numbers, whoever writes them
                connection.execute(f'update or ignore {table} set "{column}" = ?', (chance.choice(VALUES),))


def outcome_of(arguments: tuple[str, ...], folder: Path, database: Path) -> str:
    """Run one command; a word for how it ended."""
    places = {"OUT": folder / "out", "TRUTH": folder.parent / "truth"}
    filled = [word.replace("OUT", str(places["OUT"])).replace("TRUTH", str(places["TRUTH"])) for word in arguments]
    done = CliRunner().invoke(commands.main, [*filled, "--database", str(database)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"traceback-{type(done.exception).__name__}"
    reports = ("reidpipe: warning", "camera ")  # a line per camera that ended early is no error
    lines = [line for line in done.stderr.splitlines() if not line.startswith(reports)]
    if done.exit_code not in ALLOWED or len(lines) > 1:
        return f"code-{done.exit_code}-{'|'.join(lines)}"[:300].replace(" ", "_")
    return "read" if done.exit_code == 0 else "refused"


def main() -> None:
    """Write `seed command outcome seconds` (of the processor) for each; seed and command before it is tried."""
    folder, results, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    (folder / "truth").mkdir()
    (folder / "truth" / "door.txt").write_text("1,1,10,20,40,100,1,-1,-1,-1\n")
    write_original(folder / "original.db", write_video(folder / "door.mp4", 20))
    with results.open("w") as report:
        for seed in range(count):
            place = folder / f"copy-{seed}"
            (place / "out").mkdir(parents=True)
            database = place / "people.db"
            shutil.copy(folder / "original.db", database)
            damage(database, seed)
            # Rendering decodes and encodes; one copy in ten is enough.
            for arguments in COMMANDS if seed % 10 == 0 else [one for one in COMMANDS if one[0] != "render"]:
                print(seed, ":".join(arguments[:3]), end=" ", file=report, flush=True)
                began = time.process_time()
                outcome = outcome_of(arguments, place, database)
                print(outcome, f"{time.process_time() - began:.2f}", file=report, flush=True)
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
