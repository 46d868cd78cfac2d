"""Draw the two crops that decided a link, with the model's evidence maps, above the similarity and its parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...reid.evaluation.evidence_map import draw_evidence_sheet
from ...reid.evaluation.sheet import FAINT, INK, Sheet
from ...reid.similarity import informative_share
from ..storage.times import iso_time
from .evidence import DecidingCrop, LinkEvidence

MARGIN_PX, LINE_PX, TYPE_PX, SMALL_TYPE_PX = 24, 24, 16, 14
LEAST_WIDTH_PX = 760
CLOCK_PART = slice(11, 23)  # of an ISO 8601 time


def draw_link_evidence(found: LinkEvidence, crops: Sequence[DecidingCrop], verdict: str) -> NDArray[np.uint8]:
    """Draw the evidence of a link.

    Args:
        found: the comparison.
        crops: the two that decided.
        verdict: how the two are linked, one line.

    Returns:
        uint8 (H, W, 3) BGR.
    """
    names = [f"{one.stored.camera}, track {one.stored.track}, {iso_time(one.stored.seconds)[CLOCK_PART]}"
             for one in crops]
    picture = draw_evidence_sheet([one.image for one in crops], np.stack([one.evidence for one in crops]), names)
    lines = evidence_lines(found)
    width = max(picture.shape[1], LEAST_WIDTH_PX)
    header = LINE_PX + MARGIN_PX  # the picture has a margin of its own
    sheet = Sheet(width, header + picture.shape[0] + LINE_PX * (len(lines) + 1) + MARGIN_PX)
    sheet.write(verdict, MARGIN_PX, MARGIN_PX, 20, bold=True, width_px=width - 2 * MARGIN_PX)
    sheet.paste(picture, 0, header, picture.shape[1], picture.shape[0])
    top = header + picture.shape[0] + LINE_PX // 2
    for place, (what, value) in enumerate(lines):
        sheet.write(what, MARGIN_PX, top + place * LINE_PX, SMALL_TYPE_PX, FAINT)
        sheet.write(value, MARGIN_PX + 380, top + place * LINE_PX, SMALL_TYPE_PX, INK)
    return sheet.pixels


def evidence_lines(found: LinkEvidence) -> list[tuple[str, str]]:
    """What was measured and its value, as a table for people."""
    seen = f"{found.gap_seconds:.1f} s" if found.gap_seconds > 0 else f"at once, for {-found.gap_seconds:.1f} s"
    share = informative_share(found.shared_mask)
    return [
        ("masked similarity of the tracklets", f"{found.similarity:.3f}"),
        ("without masks", f"{found.plain_similarity:.3f}"),
        ("share of the mask that is reliable in both",
         "the model has no mask" if share is None else f"{100 * share:.0f} %"),
        ("time between them", seen),
        ("time and place allow one person", "yes" if found.possible else "no"),
        *((f"log-odds, {part.what}", f"{part.log_odds:+.2f}") for part in found.parts),
        ("probability that they are one person, by these", f"{found.probability:.3f}")]


def verdict_of(found: LinkEvidence) -> str:
    """How two tracklets are linked, one line."""
    one, other = found.one, found.other
    if one.identity is None or other.identity is None:
        return "without identity: undecided"
    if one.identity != other.identity:
        return f"identity {one.identity} and identity {other.identity}"
    by = " by a person's decision" if "person" in (one.by, other.by) else ""
    return f"both are identity {one.identity}{by}"
