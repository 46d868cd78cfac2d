"""Architecture rules that a machine can check: the order of rooms, packaging, naming, complete documentation."""

import ast
import re
import subprocess
import tomllib
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

import click
import pytest
from packaging.requirements import Requirement
from pydantic import BaseModel

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.reid.recipe.schema import Recipe

ROOT = Path(__file__).parents[1]
PACKAGES = ("offline", "reid", "trackers", "pipeline")
PROGRAM = "sample_videos"  # beside the packages, not installed
ALLOWED = {
    "offline": {"offline"},
    "reid": {"offline", "reid"},
    "trackers": {"offline", "trackers"},
    "pipeline": {"offline", "reid", "trackers", "pipeline"},
    PROGRAM: {*PACKAGES, PROGRAM},
}
PACKAGE_FILES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
FILES = sorted(path for path in [*PACKAGE_FILES, *(ROOT / PROGRAM).rglob("*.py")] if "migrations" not in path.parts)
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# Words that were once used for known terms of the field: report, similarity, counted, synthetic, trainer, ...
PRIVATE_WORDS = re.compile(r"\b(told|alike|demanded|made[- ]up|surest|stranger|learner)\b", re.I)


def documented_rooms():
    """The rooms of each package, in the order of docs/architecture.md, and those of the program beside them."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (\w+)$", text, flags=re.M)[1:]
    tables = zip(sections[::2], sections[1::2], strict=True)
    rooms = {package: re.findall(r"^\| (\(core\)|\w+) \| ", table, flags=re.M) for package, table in tables}
    text = (ROOT / PROGRAM / "README.md").read_text(encoding="utf-8").partition("## How it works")[2]
    return {**rooms, PROGRAM: [*re.findall(r"^\| `(\w+)/` \| ", text, flags=re.M), "(core)"]}


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
    """Every module of the project that a file imports, at the top or inside a function."""
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
    for package, rooms in ROOMS.items():
        folders = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}
        assert folders <= set(rooms)
        modules = {path.stem for path in (ROOT / package).glob("*.py")}
        assert set(rooms) - {"(core)"} <= folders | modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_from_rooms_above_them_only(path):
    own = module_of(path)
    for target in imports_of(path):
        assert target in MODULES, f"imports {'.'.join(target)}, which does not exist"
        assert target[0] in ALLOWED[own[0]], f"{own[0]} must not import {target[0]}"
        here, there = room_of(own), room_of(target)
        if target[0] == own[0] and here is not None and there is not None:
            rooms = ROOMS[own[0]]
            assert rooms.index(there) <= rooms.index(here), f"{here} must not import {there} ({'.'.join(target)})"


def test_imports_have_no_cycles():
    graph = {".".join(module_of(path)): {".".join(target) for target in imports_of(path)} for path in FILES}
    cycle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1]
    assert not cycle, " <- ".join(cycle)


def test_every_package_is_listed_for_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in PACKAGE_FILES}
    folders |= {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.onnx")}
    assert sorted(listed) == sorted("reidpipe." + ".".join(one.relative_to(ROOT).parts) for one in folders)


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return [one for one in map(Requirement, listed) if one.name != "reidpipe"]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_lower_and_an_upper_version(requirement):
    assert {one.operator for one in requirement.specifier} >= {">=", "<"}


def tracked_files(*patterns):
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_words_are_those_of_the_field():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word[0]}"
        for path in tracked_files("*.py", "*.md")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for word in PRIVATE_WORDS.finditer(line)
    ]
    assert not found, "\n".join(found)


def source_of(path, node):
    """The path, without suffix, of the project's module or package that an import names; None for a library."""
    parts = tuple(node.module.split(".")) if node.module else ()
    if node.level:
        return path.parents[node.level - 1].joinpath(*parts)
    folder = ROOT.joinpath(*parts[1:] if parts[0] == "reidpipe" else parts)
    return folder if parts[0] in ("reidpipe", "sample_videos", "tests") else None


def functions_of(module):
    """Names of the functions and classes that a module defines."""
    source = next((one for one in (module.with_suffix(".py"), module / "__init__.py") if one.exists()), None)
    tree = ast.parse(source.read_text(encoding="utf-8")) if source else ast.Module([])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_functions_and_classes_keep_their_name_on_import():
    renamed = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {alias.name} as {alias.asname}"
        for path in tracked_files("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and (module := source_of(path, node)) and alias.name in functions_of(module)
    ]
    assert not renamed, "\n".join(renamed)


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
    """Dotted names of all keys; a section may be optional."""
    for name, field in model.model_fields.items():
        is_union = get_origin(field.annotation) in (Union, UnionType)
        types = get_args(field.annotation) if is_union else (field.annotation,)
        sections = [one for one in types if isinstance(one, type) and issubclass(one, BaseModel)]
        for section in sections:
            yield from keys(section, f"{prefix}{name}.")
        if not sections:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("key", [*keys(Config), *keys(CameraConfig, "cameras.NAME."), *keys(Recipe)])
def test_every_key_is_documented(key):
    assert f"`{key}`" in DOCS
