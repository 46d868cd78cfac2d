"""Wording of messages: suggestions for misspelt names, counts with their noun, natural sort order."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word, `, did you mean start_time?`; empty if no known word is close."""
    spelling = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), spelling, n=1, cutoff=0.6)
    return f", did you mean {spelling[near[0]]}?" if near else ""


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `cam_9` before `cam_10` and ignores case."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(1, int(part), part) if part.isdecimal() else (2, 0, part) for part in parts if part]


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 picture`, `3 pictures`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shortened(text: str, longest: int = 80) -> str:
    """Foreign text, fit for one line of a message: no line breaks, nothing that steers a terminal, not too long."""
    line = " ".join(text.split()) if any(one.isspace() and one != " " for one in text) else text
    line = "".join(one if one.isprintable() else "?" for one in line)
    return line if len(line) <= longest else line[: longest - 3] + "..."
