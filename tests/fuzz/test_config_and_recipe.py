"""Whatever a config or a recipe holds, it is read, or refused with one clear line, and never takes long.

2,000 examples run by default, the same every time. REIDPIPE_FUZZ_EXAMPLES=100000 runs more, drawn anew.
"""

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.errors import ConfigError
from reidpipe.reid.errors import RecipeError
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.recipe.schema import Recipe

from .generated import documents

EXAMPLES = int(os.environ.get("REIDPIPE_FUZZ_EXAMPLES", "2000"))
LONGEST_SECONDS = 10.0  # of the processor's time: other programs may slow the machine down
LONGEST_LINE = 1500  # a path of 1,000 characters is still shown
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
FILE = Path("file.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("fuzz"))
    yield
    os.chdir(before)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("read", "kind", "error"),
    [pytest.param(load_config, Config, ConfigError, id="config"),
     pytest.param(read_recipe, Recipe, RecipeError, id="recipe")])  # fmt: skip
def test_any_file_is_read_or_refused_in_one_line(read, kind, error):
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 2000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(documents)
    def check(content):
        FILE.write_bytes(content)
        began = time.process_time()
        try:
            assert isinstance(read(FILE), kind)
        except error as refused:
            message = str(refused)
            assert message.startswith("file.yaml: ")
            message.encode()  # it can be printed
            assert not CONTROL.search(message), repr(message)
            assert max(map(len, message.split("\n"))) <= LONGEST_LINE, message
        assert time.process_time() - began < LONGEST_SECONDS

    check()
