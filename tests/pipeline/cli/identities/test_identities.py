"""The commands of `reidpipe identities`, as a user types them."""

from __future__ import annotations

import getpass
import json

import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.storage.store import Store
from tests.pipeline.stored_runs import identities, people_run


@pytest.fixture
def database(tmp_path):
    people_run(tmp_path / "a.db")
    return tmp_path / "a.db"


def run(database, *arguments):
    return CliRunner().invoke(main, ["identities", *map(str, arguments), "--database", str(database)])


def test_a_session_of_corrections(database):
    def answers(*arguments):
        result = run(database, *arguments)
        assert result.exit_code == 0, result.output
        return result.output

    assert "no corrections" in answers("history")
    assert answers("merge", 3, 1, "--why", "same bag") == "correction 1: identity 3 is identity 1\n"
    assert answers("rename", 1, "Bob", "--by", "Ada") == 'correction 2: identity 1 is called "Bob"\n'
    assert "identity 4" in answers("split", 1, "--track", "hall:1", "--by", "Ada")
    assert "identities 1 and 4 are different people" in answers("apart", 4, 1)
    assert answers("undo") == "correction 5: correction 4 is undone\n"
    assert "correction 3 is undone" in answers("undo", 3)
    listed = json.loads(answers("list", "--json"))
    assert [(one["identity"], one["name"], one["corrected"]) for one in listed] == [(1, "Bob", True), (2, None, False)]
    shown = json.loads(answers("show", 1, "--json"))
    assert [(one["camera"], one["track"], one["by"]) for one in shown["tracklets"]] == [
        ("door", 1, "model"), ("hall", 1, "model"), ("hall", 2, "person")]
    assert "identity 1, Bob" in answers("show", 1)
    audit = json.loads(answers("history", "--json"))
    assert [(one["number"], one["who"], one["undone_by"]) for one in audit[:3]] == [
        (6, getpass.getuser(), None), (5, getpass.getuser(), None), (4, getpass.getuser(), 5)]
    assert audit[-1]["why"] == "same bag"
    assert "deleted for good" in answers("forget", 2, "--yes")
    assert [one["identity"] for one in json.loads(answers("list", "--json"))] == [1]


def test_a_name_with_brackets_is_shown_as_it_is(database):
    name = "Anna [/red] [bold]B"
    assert run(database, "rename", 1, name, "--why", "[/]").exit_code == 0
    for command in (["list"], ["show", 1], ["history"]):
        result = run(database, *command)
        assert result.exit_code == 0, result.output
        assert name in result.output


def test_a_split_at_a_time_of_the_first_day(database):
    assert run(database, "split", 1, "--from", "00:00:20").exit_code == 0
    with Store.open(database) as store:
        assert identities(store)["hall", 1] == 4


@pytest.mark.parametrize("arguments", [
    "identities list", "identities show 1", "identities rename 1 Bob", "identities history", "search --identity 1",
    "explain link door:1 hall:1", "link --list",
])
def test_a_config_names_the_database(database, arguments):
    config = database.with_name("store.yaml")
    config.write_text("database: a.db\ncameras: {door: {source: door.mp4}}\n")
    result = CliRunner().invoke(main, [*arguments.split(), "--cameras", str(config)])
    assert result.exit_code == 0, result.output
    both = CliRunner().invoke(main, [*arguments.split(), "--cameras", str(config), "--database", str(database)])
    assert (both.exit_code, both.output) == (2, "reidpipe: give either --database or --cameras, not both\n")


@pytest.mark.parametrize(("arguments", "code", "message"), [
    pytest.param(["merge", 1, 2], 2, "both in door", id="seen at once"),
    pytest.param(["merge", 1, 1], 2, "is itself", id="with itself"),
    pytest.param(["show", 7], 2, "no identity 7", id="unknown"),
    pytest.param(["split", 1, "--track", "hall"], 2, 'CAMERA:TRACK, such as entrance:7, got "hall"', id="no tracklet"),
    pytest.param(["split", 1, "--from", "noon"], 2, "expected a time such as", id="no time"),
    pytest.param(["split", 1], 2, "either which tracklets", id="a split of nothing"),
    pytest.param(["undo", 3], 2, "no correction 3", id="unknown correction"),
    pytest.param(["forget", 2], 2, "no terminal to ask at: give --yes", id="forget unasked"),
    pytest.param(["list", "--run", 4], 5, "there is no run 4", id="unknown run"),
])
def test_mistakes_are_one_line_and_change_nothing(database, arguments, code, message):
    result = run(database, *arguments)
    assert (result.exit_code, len(result.output.strip().splitlines())) == (code, 1), result.output
    assert message in result.output
    assert "no corrections" in run(database, "history").output
