"""`sample_videos` is a program beside the package, not installed with it: put the repository's root on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
