"""What commands print: tables, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING

import click

from ..credentials import values_without_credentials, without_credentials

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPE_COLUMNS = 200  # the width of a table that is not printed on a terminal


def by_camera(errors: Iterable[tuple[str, str]]) -> str:
    """One line with every (camera, error)."""
    return "; ".join(f"camera {name}: {error.removeprefix(f'camera {name}: ')}" for name, error in errors)


def print_json(result: object) -> None:
    """Print one JSON value; dataclasses and sections of a config become objects, paths become strings."""
    plain = json.loads(json.dumps(result, default=_plain))
    click.echo(json.dumps(values_without_credentials(plain), indent=2))


def _plain(value: object) -> object:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def terminal() -> Console:
    """A console on standard output; redirected to a file or pipe, it does not fold wide tables.

    Brackets are printed as they are: names of people and paths may have some, which rich would take for its markup.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=PIPE_COLUMNS)


def coloured(text: str, colour: str) -> Text:
    """A text or a cell of a table in a colour, where there are colours."""
    from rich.text import Text

    return Text(text, colour)


def table_of(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for the terminal; numbers are right-aligned, also if some are missing; the first column and text left."""
    from rich.table import Table
    from rich.text import Text

    # A secret of digits must not hide a figure that happens to hold it.
    lines = [[without_credentials(cell) if isinstance(cell, str) else cell if isinstance(cell, Text) else str(cell)
              for cell in row] for row in rows]
    table = Table(title=without_credentials(title), title_justify="left")
    for column, heading in enumerate(headings):
        cells = [str(line[column]) for line in lines if str(line[column]) not in ("", "?", "-")]
        numeric = all(cell.removeprefix("-")[:1].isdigit() for cell in cells)
        # On a narrow terminal, a number that ends in dots would be another number: long cells go on in the next line.
        table.add_column(heading, justify="right" if numeric and cells and column else "left", overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table
