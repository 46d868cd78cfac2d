"""The house rules that a machine can check: who imports whom, sizes, and that the README names everything."""

import ast
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from reidpipe.pipeline.cli import main
from reidpipe.pipeline.config import CameraConfig, Config

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "reid", "trackers")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).glob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

MOST_LINES = 300
MOST_FUNCTION_LINES = 40


def imports_of(path):
    """(package, module) of every import inside our own packages, top level or not."""
    package = path.parent.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield package, name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 2:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield tuple([*name.split("."), "__init__"][:2])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reidpipe"):
            yield tuple([*(node.module or "").split(".")[1:], "__init__"][:2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_reid_and_trackers_know_neither_each_other_nor_the_pipeline(path):
    package = path.parent.name
    allowed = set(PACKAGES) if package == "pipeline" else {package}
    assert {other for other, _ in imports_of(path)} <= allowed


def test_there_are_no_import_circles():
    edges = {(path.parent.name, path.stem): set(imports_of(path)) for path in FILES}
    state = {}

    def visit(module, trail):
        assert state.get(module) != "open", f"circle: {' -> '.join('.'.join(one) for one in [*trail, module])}"
        if module in edges and module not in state:
            state[module] = "open"
            for following in edges[module]:
                visit(following, [*trail, module])
            state[module] = "done"

    for module in edges:
        visit(module, [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            described = ast.get_docstring(node) is not None
            first = node.body[1] if described and len(node.body) > 1 else node.body[0]
            lines = node.end_lineno - first.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_flat(package):
    nested = [path for path in (ROOT / package).rglob("*.py") if path.parent != ROOT / package]
    assert all("migrations" in path.parts for path in nested)


def commands(group, prefix="reidpipe"):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("command", sorted(commands(main)))
def test_the_readme_shows_every_command(command):
    assert command in README


def keys(model, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("key", [*keys(Config), *keys(CameraConfig, "cameras.NAME.")])
def test_the_readme_documents_every_config_key(key):
    assert f"`{key}`" in README
