"""The tables of the documentation are those that the results and the code give."""

import json
import re

import pytest
import yaml

from docs.tables.from_code import FROM_CODE, recipe_keys, section_of
from docs.tables.measured import MEASURED
from docs.tables.pages import MARKED, PAGES, RESULTS, ROOT, regenerated
from reidpipe.pipeline.cli import main as cli
from reidpipe.pipeline.config.schema import Config
from reidpipe.reid.recipe.schema import Recipe

YAML_BLOCK = re.compile(r"```yaml\n(.*?)```", re.S)
MARKS = {name for page in PAGES for _, name, _ in MARKED.findall(page.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_committed_pages_hold_the_regenerated_tables(page):
    assert page.read_text(encoding="utf-8") == regenerated(page), "run make tables"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_result_names_its_command_and_machine_and_is_shown(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["command"] and content["machine"]
    assert path.stem in MARKS


def configs_in_documentation():
    """Every example of a config; comments and references stay as they are."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, block in enumerate(YAML_BLOCK.findall(path.read_text(encoding="utf-8"))):
            if "cameras:" in block:
                yield pytest.param(block, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("block", [*configs_in_documentation()])
def test_every_config_in_the_documentation_is_valid(block):
    assert Config.model_validate(yaml.safe_load(block)).cameras


def test_every_kind_of_table_is_used():
    assert {name.partition(" ")[0] for name in MARKS} == {*MEASURED, *FROM_CODE}


def recipe_sections(model=Recipe, place=""):
    for name, field in model.model_fields.items():
        if (section := section_of(field)) is not None:
            yield f"{place}{name}"
            yield from recipe_sections(section, f"{place}{name}.")


@pytest.mark.parametrize("section", sorted(recipe_sections()))
def test_every_section_of_a_recipe_is_documented(section):
    assert f"recipe {section}" in MARKS
    assert all(meaning for _, _, meaning in recipe_keys(section))


@pytest.mark.parametrize("command", sorted(cli.main.commands))
def test_the_options_of_every_command_are_documented(command):
    assert any(name == f"options {command}" or name.startswith(f"options {command} ") for name in MARKS)
