"""Draw a page of queries with their first ten results, plain similarity above masked similarity."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import CropSet
from ..errors import DatasetError
from .metrics import query_scores, ranked_rows
from .sheet import FAINT, INK, Colour, Sheet

RESULTS = 10
CROP_WIDTH_PX, CROP_HEIGHT_PX = 72, 144
FRAME_PX, GAP_PX, MARGIN_PX = 5, 8, 24
LABEL_WIDTH_PX = 108
CAPTION_PX = 30  # line above each query's block
ROW_PX = CROP_HEIGHT_PX + 2 * FRAME_PX + 22  # crop, frame, similarity below
QUERY_HEIGHT_PX = 2 * ROW_PX - 22  # the query stands beside both rows
QUERY_WIDTH_PX = QUERY_HEIGHT_PX // 2
BLOCK_PX = CAPTION_PX + 2 * ROW_PX + 18
HEADER_PX = 84
GREEN: Colour = (82, 158, 38)
RED: Colour = (44, 44, 208)


class Example(NamedTuple):
    """A query worth looking at: its row, and the reason."""

    row: int
    reason: str


def choose_examples(plain: NDArray[np.float64], masked: NDArray[np.float64]) -> list[Example]:
    """Choose queries deterministically: best, median and worst, and those with the largest gain and loss by the mask.

    Args:
        plain, masked: float64 (Nq,), average precision of every query; NaN where it is not counted.

    Returns:
        At most 7 different queries, each with all of its reasons; gains and losses only where there are some.
    """
    counted = np.flatnonzero(~np.isnan(masked))
    by_masked = counted[np.argsort(-masked[counted], kind="stable")]
    gain = masked - plain  # (Nq,)
    by_gain = counted[np.argsort(-gain[counted], kind="stable")]
    wanted = [
        *(Example(int(row), "the mask gains most") for row in by_gain[:2] if gain[row] > 0),
        *(Example(int(row), "the mask loses most") for row in by_gain[::-1][:2] if gain[row] < 0),
        *(Example(int(row), "best") for row in by_masked[:1]),
        *(Example(int(row), "median") for row in by_masked[len(by_masked) // 2 :][:1]),
        *(Example(int(row), "worst") for row in by_masked[::-1][:1]),
    ]
    reasons: dict[int, list[str]] = {}
    for row, reason in wanted:
        reasons.setdefault(row, []).append(reason)
    return [Example(row, ", ".join(parts)) for row, parts in reasons.items()]


def draw_ranked_page(
    title: str,
    query: CropSet,
    gallery: CropSet,
    plain: NDArray[np.float32],
    masked: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Draw the queries of `choose_examples` with their first ten results by the Market-1501 protocol.

    A green frame and a tick mark a match, a red frame another person; the similarity stands below each result.

    Args:
        title: the page's title.
        query, gallery: images uint8 (N, h, w, 3) BGR, identities and cameras.
        plain, masked: similarities, float32 (Nq, Ng).

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        DatasetError: no query has a match in the gallery.
    """
    labels = query.pids, query.camids, gallery.pids, gallery.camids
    plain_scores, masked_scores = query_scores(plain, *labels), query_scores(masked, *labels)
    examples = choose_examples(plain_scores.average_precision, masked_scores.average_precision)
    if not examples:
        raise DatasetError(f"{title}: no query has a match in the gallery, so there is nothing to draw")
    results_left = MARGIN_PX + QUERY_WIDTH_PX + 2 * FRAME_PX + LABEL_WIDTH_PX
    width = results_left + RESULTS * (CROP_WIDTH_PX + 2 * FRAME_PX + GAP_PX) + MARGIN_PX
    sheet = Sheet(width, HEADER_PX + len(examples) * BLOCK_PX)
    means = [float(np.nanmean(one.average_precision)) for one in (plain_scores, masked_scores)]
    _draw_header(sheet, title, *means)
    for block, example in enumerate(examples):
        top = HEADER_PX + block * BLOCK_PX
        row = example.row
        precisions = [float(one.average_precision[row]) for one in (plain_scores, masked_scores)]
        _draw_query(sheet, top, query, example, precisions)
        for line, (name, similarity) in enumerate((("plain", plain[row]), ("masked", masked[row]))):
            line_top = top + CAPTION_PX + line * ROW_PX
            _draw_label(sheet, line_top, name, precisions[line])
            order = ranked_rows(similarity, int(query.pids[row]), int(query.camids[row]), gallery.pids, gallery.camids)
            _draw_results(sheet, line_top, results_left, gallery, order[:RESULTS], similarity, int(query.pids[row]))
    return sheet.pixels


def _draw_header(sheet: Sheet, title: str, plain: float, masked: float) -> None:
    sheet.write(title, MARGIN_PX, 16, 24, bold=True)
    sheet.write(
        f"first {RESULTS} results; mAP over all queries: plain {100 * plain:.1f}, masked {100 * masked:.1f}",
        MARGIN_PX,
        48,
        15,
        FAINT,
    )
    right = sheet.pixels.shape[1] - MARGIN_PX - 330
    for left, colour, text in ((right, GREEN, "same person"), (right + 165, RED, "another person")):
        sheet.fill(left, 50, 14, 14, colour)
        sheet.write(text, left + 22, 48, 15, FAINT)


def _draw_query(sheet: Sheet, top: int, query: CropSet, example: Example, precisions: Sequence[float]) -> None:
    row = example.row
    change = 100 * (precisions[1] - precisions[0])
    caption = f"{example.reason} ({change:+.1f})" if "mask" in example.reason else example.reason
    end = sheet.write(caption, MARGIN_PX, top, 16, bold=True)
    left = max(MARGIN_PX + QUERY_WIDTH_PX + 2 * FRAME_PX + LABEL_WIDTH_PX, end + 20)
    sheet.write(f"identity {query.pids[row]}, camera {query.camids[row]}", left, top + 1, 15, FAINT)
    image_top = top + CAPTION_PX
    sheet.fill(MARGIN_PX, image_top, QUERY_WIDTH_PX + 2 * FRAME_PX, QUERY_HEIGHT_PX, INK)
    sheet.paste(
        query.images[row],
        MARGIN_PX + FRAME_PX,
        image_top + FRAME_PX,
        QUERY_WIDTH_PX,
        QUERY_HEIGHT_PX - 2 * FRAME_PX,
    )


def _draw_label(sheet: Sheet, top: int, name: str, precision: float) -> None:
    left = MARGIN_PX + QUERY_WIDTH_PX + 2 * FRAME_PX + 16
    sheet.write(name, left, top + 44, 17, bold=True)
    sheet.write("AP", left, top + 72, 15, FAINT)
    sheet.write(f"{100 * precision:.1f}", left + 26, top + 69, 19)


def _draw_results(
    sheet: Sheet,
    top: int,
    left: int,
    gallery: CropSet,
    rows: NDArray[np.intp],
    similarity: NDArray[np.float32],
    pid: int,
) -> None:
    for rank, row in enumerate(rows):
        x = left + rank * (CROP_WIDTH_PX + 2 * FRAME_PX + GAP_PX)
        is_match = gallery.pids[row] == pid
        sheet.fill(x, top, CROP_WIDTH_PX + 2 * FRAME_PX, CROP_HEIGHT_PX + 2 * FRAME_PX, GREEN if is_match else RED)
        sheet.paste(gallery.images[row], x + FRAME_PX, top + FRAME_PX, CROP_WIDTH_PX, CROP_HEIGHT_PX)
        text = f"✓ {similarity[row]:.2f}" if is_match else f"{similarity[row]:.2f}"  # for the colour-blind
        text_top = top + CROP_HEIGHT_PX + 2 * FRAME_PX + 2
        sheet.write(text, x + CROP_WIDTH_PX // 2 + FRAME_PX, text_top, 13, FAINT, centred=True)
