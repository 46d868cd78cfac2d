"""Freed pictures do not stay with the process."""

import subprocess
import sys

import pytest

CODE = """
import os
import numpy as np
from reidpipe.pipeline.bench.process_memory import tree_mib
from reidpipe.pipeline.memory import give_back_freed_heap, give_back_freed_pictures

give_back_freed_pictures()
before = tree_mib(os.getpid())
pictures, small = [], []
for _ in range(50):  # something small that stays behind every picture, which would keep a heap from shrinking
    pictures.append(np.ones((720, 1280, 3), np.uint8))
    small.append(np.ones(1000, np.uint8))
full = tree_mib(os.getpid())
del pictures
give_back_freed_heap()
print(full - before, tree_mib(os.getpid()) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, as Linux has it")
def test_freed_pictures_are_given_back():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    full, left = map(float, done.stdout.split())
    assert full > 120
    assert left < 10
