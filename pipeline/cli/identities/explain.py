"""The command `explain link`: why two tracklets are, or are not, one person."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import FILE, database_options, force_option, open_store, prepare_png
from ..printing import print_json, table_of, terminal
from .options import tracklet_key
from .search import THREADS


@click.command("link")
@click.argument("one")
@click.argument("other")
@click.option("--out", type=FILE, help="PNG to draw: the two crops that decided, with their evidence maps")
@force_option
@database_options
def explain_link_command(
    one: str, other: str, out: Path | None, force: bool,
    database: str | None, config_path: Path | None, run: int | None, as_json: bool,
) -> None:
    """Show why ONE and OTHER are, or are not, one person.

    Each is a tracklet, CAMERA:TRACK, or the number of an identity, which stands for its most similar tracklet.
    """
    from ....reid.disk.files import write_png
    from ...running.inputs import guard_of_run
    from ...search.evidence import deciding_crops, explain_link
    from ...search.evidence_picture import draw_link_evidence, evidence_lines, verdict_of
    from ...search.query import embedder_of_run
    from ...storage.runs import run_number

    ends = [int(text) if text.isascii() and text.isdigit() else tracklet_key(text) for text in (one, other)]
    with open_store(database, config_path) as store:
        number = run_number(store, run)
        if out is not None:
            prepare_png(out, guard_of_run(store, number, [], force))
        found = explain_link(store, number, *ends)
        if out is not None:
            crops = deciding_crops(store, number, found, embedder_of_run(store, number, THREADS))
            write_png(out, draw_link_evidence(found, crops, verdict_of(found)))
    if as_json:
        return print_json({
            "one": found.one._asdict(), "other": found.other._asdict(), "similarity": found.similarity,
            "plain_similarity": found.plain_similarity, "shared_mask": found.shared_mask,
            "gap_seconds": found.gap_seconds, "possible": found.possible, "parts": found.parts,
            "probability": found.probability})
    names = " and ".join(f"{side.camera}:{side.track}" for side in (found.one, found.other))
    terminal().print(table_of(f"{names}: {verdict_of(found)}", ("what", "value"), evidence_lines(found)))
    if out is not None:
        click.echo(f"picture: {out}")
    return None
