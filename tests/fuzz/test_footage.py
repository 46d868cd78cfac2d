"""Whatever is wrong with the footage of many cameras, a run ends well, and a good camera among them is complete.

REIDPIPE_FUZZ_FOOTAGE=2000 tries more damaged copies than the default.
"""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .mutated_footage import CAMERAS, FRAMES, KINDS

COPIES = int(os.environ.get("REIDPIPE_FUZZ_FOOTAGE", "200"))
LONGEST_SECONDS = 400.0  # of a run, on a busy machine
HANGS = "made no progress", "cannot be opened within"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="cameras are decoded in processes of their own on Linux")
def test_a_good_camera_is_complete_whatever_the_others_hold(tmp_path):
    results = tmp_path / "results.txt"
    command = [sys.executable, "-m", "tests.fuzz.mutated_footage", tmp_path, results, str(COPIES)]
    with (tmp_path / "log.txt").open("wb") as log:  # problems with every camera
        child = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log, check=False,
                               timeout=60 + COPIES / CAMERAS * LONGEST_SECONDS)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert child.returncode == 0, f"{lines[-1]} ended the process: {(tmp_path / 'log.txt').read_text()[-3000:]}"
    assert len(lines) == 2 * -(-COPIES // CAMERAS)
    outcomes = collections.Counter()
    for names, done in zip(lines[::2], lines[1::2], strict=True):
        assert "traceback" not in done, (names, done["traceback"])
        assert list(done["cameras"]) == names
        assert done["cameras"].pop("good") == ["complete", FRAMES, ""]
        assert done["exported"] == done["observations"]
        for name, (status, analysed, error) in done["cameras"].items():
            assert status in ("complete", "partial", "failed"), name
            assert (status == "failed") == (analysed == 0), (name, error)
            assert bool(error) == (status != "complete"), name
            assert "\n" not in error, name
            assert not any(hang in error for hang in HANGS), (name, error)
            outcomes[name.rsplit("-", 1)[0].replace("-", " "), status] += 1
    assert {kind for kind, _ in outcomes} == set(KINDS)
    assert {kind for kind, status in outcomes if status != "failed"} == set(KINDS), "damage that leaves something"
    print(sorted(outcomes.items()))
