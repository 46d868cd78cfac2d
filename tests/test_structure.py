"""What a machine can check of the architecture: order of rooms, list of packages, complete documentation."""

import ast
import re
import tomllib
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.schema import CameraConfig, Config

ROOT = Path(__file__).parents[1]
PACKAGES = ("reid", "trackers", "pipeline")
ALLOWED = {"reid": {"reid"}, "trackers": {"trackers"}, "pipeline": {"reid", "trackers", "pipeline"}}
PYTHON = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
FILES = sorted(path for path in PYTHON if "migrations" not in path.parts)
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def documented_rooms():
    """Package → its rooms in the order of docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (\w+)$", text, flags=re.M)[1:]
    tables = zip(sections[::2], sections[1::2], strict=True)
    return {package: re.findall(r"^\| (\(core\)|\w+) \| ", table, flags=re.M) for package, table in tables}


ROOMS = {package: [name for name in rooms if name != "room"] for package, rooms in documented_rooms().items()}


def module_of(path):
    """reid/model/network.py → ("reid", "model", "network"); a package's __init__ is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module_of(path) for path in FILES}


def room_of(module):
    """The room of a module below its package; None for the package's own __init__."""
    if len(module) == 1:
        return None
    return module[1] if module[1] in ROOMS[module[0]] else "(core)"


def imports_of(path):
    """Every own module that a file imports, at the top or inside a function."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = ("reidpipe", *package)[: 1 + len(package) - node.level + 1]
            target = (*base, *(node.module or "").split(".")) if node.module else base
        else:
            target = tuple((node.module or "").split("."))
        if target[0] != "reidpipe":
            continue
        for alias in node.names:
            full = (*target[1:], alias.name)
            yield full if full in MODULES else target[1:]


def test_every_room_is_documented_and_exists():
    for package in PACKAGES:
        folders = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}
        assert folders <= set(ROOMS[package])
        modules = {path.stem for path in (ROOT / package).glob("*.py")}
        assert set(ROOMS[package]) - {"(core)"} <= folders | modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_from_rooms_above_them_only(path):
    own = module_of(path)
    for target in imports_of(path):
        assert target in MODULES, f"imports {'.'.join(target)}, which does not exist"
        assert target[0] in ALLOWED[own[0]], f"{own[0]} must not know {target[0]}"
        here, there = room_of(own), room_of(target)
        if target[0] == own[0] and here is not None and there is not None:
            rooms = ROOMS[own[0]]
            assert rooms.index(there) <= rooms.index(here), f"{here} must not import {there} ({'.'.join(target)})"


def test_there_are_no_import_circles():
    edges = {module_of(path): set(imports_of(path)) for path in FILES}
    state = {}

    def visit(module, trail):
        assert state.get(module) != "open", f"circle: {' -> '.join('.'.join(one) for one in [*trail, module])}"
        if module not in state:
            state[module] = "open"
            for following in edges.get(module, ()):
                visit(following, [*trail, module])
            state[module] = "done"

    for module in edges:
        visit(module, [])


def test_every_package_is_listed_for_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in PYTHON}
    folders |= {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.onnx")}
    assert sorted(listed) == sorted("reidpipe." + ".".join(one.relative_to(ROOT).parts) for one in folders)


def commands(group, prefix="reidpipe"):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("command", sorted(commands(main)))
def test_every_command_is_documented(command):
    assert command in DOCS


def keys(model, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("key", [*keys(Config), *keys(CameraConfig, "cameras.NAME.")])
def test_every_config_key_is_documented(key):
    assert f"`{key}`" in DOCS
