"""Damaged databases, and those that somebody made to do damage, are read or refused in one line by every command.

REIDPIPE_FUZZ_DATABASES=2000 tries more damaged copies than the default.
"""

import os
import subprocess
import sys
from pathlib import Path

COPIES = int(os.environ.get("REIDPIPE_FUZZ_DATABASES", "40"))
LONGEST_SECONDS = 10.0  # of the processor's time for a command: other programs may slow the machine down


def test_damaged_databases_are_read_or_refused_by_every_command(tmp_path):
    results = tmp_path / "results.txt"
    command = [sys.executable, "-m", "tests.fuzz.mutated_database", tmp_path, results, str(COPIES)]
    with (tmp_path / "log.txt").open("wb") as log:
        child = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log, check=False,
                               timeout=600 + COPIES * LONGEST_SECONDS)
    printed = (tmp_path / "log.txt").read_text(errors="replace")[-3000:]
    rows = [line.split() for line in results.read_text().splitlines()]
    assert child.returncode == 0, f"{rows[-1]} ended the process with {child.returncode}\n{printed}"
    assert len({row[0] for row in rows}) == COPIES
    assert all(len(row) == 4 for row in rows)
    bad = [" ".join(row) for row in rows if row[2] not in ("read", "refused")]
    assert not bad, "\n".join(bad[:20])
    assert {row[2] for row in rows} == {"read", "refused"}
    assert max(float(row[3]) for row in rows) < LONGEST_SECONDS
    made = {path.name for path in tmp_path.iterdir()}
    # Every copy's folder is removed with its outputs; a camera's name or the config must not lead out of it.
    assert made == {"door.mp4", "log.txt", "original.db", "results.txt", "truth"}
