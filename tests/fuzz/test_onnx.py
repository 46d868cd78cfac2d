"""Damaged ONNX files are loaded or refused, in one line and at once; they crash nothing.

REIDPIPE_FUZZ_NETWORKS=2000 tries more copies of each kind than the default.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..pipeline.networks import write_detector, write_embedder

COPIES = int(os.environ.get("REIDPIPE_FUZZ_NETWORKS", "150"))
LONGEST_SECONDS = 10.0  # of the processor's time: other programs may slow the machine down


@pytest.mark.parametrize("kind", ["detector", "embedder"])
def test_damaged_networks_are_refused_and_crash_nothing(kind, tmp_path):
    if kind == "detector":
        write_detector(tmp_path / "detector.onnx", [[32, 32, 20, 40, 0.9]])
    else:
        write_embedder(tmp_path / "embedder.onnx")
    root = Path(__file__).parents[2]
    results = tmp_path / "results.txt"
    command = [sys.executable, "-m", "tests.fuzz.mutated_onnx", kind, tmp_path, results, str(COPIES)]
    with (tmp_path / "log.txt").open("wb") as log:  # libraries print parts of the damaged file
        child = subprocess.run(
            command, cwd=root, stdout=log, stderr=log, timeout=600 + COPIES * LONGEST_SECONDS, check=False)  # fmt: skip
    printed = (tmp_path / "log.txt").read_text(errors="replace")[-3000:]
    rows = [line.split() for line in results.read_text().splitlines()]
    assert child.returncode == 0, f"seed {rows[-1][0]} ended the process with {child.returncode}\n{printed}"
    assert len(rows) == COPIES
    outcomes = {row[0]: row[1] for row in rows}
    assert set(outcomes.values()) == {"loaded", "refused"}, printed
    assert max(float(row[2]) for row in rows) < LONGEST_SECONDS
