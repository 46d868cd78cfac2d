"""Tables of the commands."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reidpipe.pipeline.cli.printing import coloured, table_of, terminal


@pytest.mark.parametrize(("cells", "side"), [
    pytest.param(["0.99", "12"], "right", id="numbers"),
    pytest.param(["", "0.99", "?"], "right", id="some unknown"),
    pytest.param(["-9.4", "1.6"], "right", id="negative"),
    pytest.param(["-", "door"], "left", id="words"),
    pytest.param(["", ""], "left", id="all empty"),
    pytest.param([], "left", id="no rows"),
])
def test_numbers_are_right_aligned_also_where_some_are_missing(cells, side):
    table = table_of("t", ("tracklet", "value"), [("door:1", cell) for cell in cells])
    assert [column.justify for column in table.columns] == ["left", side]


def test_nothing_is_cut_on_a_narrow_terminal():
    shown = io.StringIO()
    table = table_of("runs", ("run", "status", "observations"), [(1, "complete", 15113), (2, "partial", 1234567890123)])
    Console(file=shown, width=24).print(table)
    assert "…" not in shown.getvalue()
    assert sum(character.isdigit() for character in shown.getvalue()) == len("1" "15113" "2" "1234567890123")


def test_brackets_are_no_markup(capsys):
    table = table_of("run [/x]", ("name", "status"), [("[red]Anna[/]", coloured("ok", "green")), ("Bo[/x]", 3)])
    terminal().print(table)
    terminal().print("database: a[old]/b.db")
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("run [/x]", "[red]Anna[/]", "Bo[/x]", " ok ", "database: a[old]/b.db"))
