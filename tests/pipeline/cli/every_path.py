"""Every place where a command takes a path, and how a command is run with a path there."""

import hashlib
import re
from dataclasses import dataclass

import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.stages.detection.detect import BUNDLED

from ...permissions import binding_permissions


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
    "thin-detector weights": Place(
        "thin-detector {} {folder}/new.onnx --footage {folder}/door.mp4", code=4, suffix=".onnx"
    ),
    "thin-detector footage": Place(f"thin-detector {BUNDLED['person']} {{folder}}/new.onnx --footage {{}}"),
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
    "thin-detector": Place(
        f"thin-detector {BUNDLED['person']} {{}} --footage {{folder}}/door.mp4 --every 100 --steps 1", suffix=".onnx"
    ),
    "run database": Place("run --quiet --cameras {config}", code=5, section=("store", "database")),
}
OUTPUTS = {name: Place(**{**vars(place), "is_output": True, "code": 5 if place.section else 6})
           for name, place in OUTPUTS.items()}
PLACES = INPUTS | OUTPUTS


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
