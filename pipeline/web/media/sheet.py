"""The visits on the screen as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from ...storage.times import iso_time
from ..reads.tracklets import Visit

COLUMNS = ("identity", "name", "camera", "enter", "leave", "duration_seconds", "lowest_probability", "by_person")
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets execute such cells, also within quotes


def visits_csv(visits: Iterable[Visit], names: Mapping[int, str | None], cameras: Mapping[int, str]) -> str:
    """One line per visit, after a header; times are ISO 8601 in UTC.

    Args:
        visits: the lines.
        names: by identity; missing or None without one.
        cameras: names by row id.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for visit in visits:
        probability = "" if visit.probability is None else f"{visit.probability:.4f}"
        writer.writerow((
            visit.identity, _harmless(names.get(visit.identity) or ""), _harmless(cameras[visit.camera]),
            iso_time(visit.first_seconds), iso_time(visit.last_seconds),
            f"{visit.last_seconds - visit.first_seconds:.3f}", probability, int(visit.by_person)))
    return text.getvalue()


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what begins like one."""
    return f"'{text}" if text.startswith(FORMULA_BEGINNINGS) else text
