"""The pages with marked tables, and how each table is written into them."""

import json
import re
from pathlib import Path

from .from_code import FROM_CODE
from .measured import MEASURED

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PAGES = (*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/weights/MODEL_CARD.md")))
MARKED = re.compile(r"^(<!-- table: (.+?) -->\n).*?^(<!-- end -->)", re.S | re.M)


def table(name: str) -> str:
    """One table as Markdown, with the command and the machine below it if it was measured."""
    kind, _, argument = name.partition(" ")
    caption = ""
    if kind in FROM_CODE:
        rows = FROM_CODE[kind](*[argument] * bool(argument))  # type: ignore[operator]
    else:
        content = json.loads((RESULTS / f"{kind}.json").read_text(encoding="utf-8"))
        rows = MEASURED[kind](content["result"], *[argument] * bool(argument))
        note = f", {content['note']}" if "note" in content else ""
        caption = f"\n`{content['command']}`{note}. Machine: {content['machine']}.\n"
    heading, *others = ([str(cell) for cell in row] for row in rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in (heading, ["---"] * len(heading), *others)) + caption


def regenerated(page: Path) -> str:
    """A page with all of its tables made anew."""
    return MARKED.sub(lambda found: found[1] + table(found[2]) + found[3], page.read_text(encoding="utf-8"))
