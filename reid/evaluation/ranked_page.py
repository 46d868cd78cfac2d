"""What does the mask change, seen by eye?  A page of queries with their first answers, plain above masked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import CropSet
from ..errors import DatasetError
from .metrics import query_scores, ranked_rows
from .sheet import FAINT, INK, Colour, Sheet

ANSWERS = 10
CROP_WIDTH_PX, CROP_HEIGHT_PX = 72, 144
FRAME_PX, GAP_PX, MARGIN_PX = 5, 8, 24
LABEL_WIDTH_PX = 108
CAPTION_PX = 30  # line above each query's block
ROW_PX = CROP_HEIGHT_PX + 2 * FRAME_PX + 22  # crop, frame, similarity below
QUERY_HEIGHT_PX = 2 * ROW_PX - 22  # a query stands beside both of its rows
QUERY_WIDTH_PX = QUERY_HEIGHT_PX // 2
BLOCK_PX = CAPTION_PX + 2 * ROW_PX + 18
HEADER_PX = 84
GREEN: Colour = (82, 158, 38)
RED: Colour = (44, 44, 208)


class Example(NamedTuple):
    """A query worth looking at: its row, and why."""

    row: int
    why: str


def choose_examples(plain: NDArray[np.float64], masked: NDArray[np.float64]) -> list[Example]:
    """Pick queries, always the same ones: the best and worst, and where the mask changes most, both ways.

    Args:
        plain, masked: float64 (Nq,), average precision of every query; NaN where it does not count.

    Returns:
        At most 7, nobody twice but for several reasons; a gain or a loss only where there is one.
    """
    counting = np.flatnonzero(~np.isnan(masked))
    by_masked = counting[np.argsort(-masked[counting], kind="stable")]
    gain = masked - plain  # (Nq,)
    by_gain = counting[np.argsort(-gain[counting], kind="stable")]
    wanted = [
        *(Example(int(row), "the mask gains most") for row in by_gain[:2] if gain[row] > 0),
        *(Example(int(row), "the mask loses most") for row in by_gain[::-1][:2] if gain[row] < 0),
        *(Example(int(row), "best") for row in by_masked[:1]),
        *(Example(int(row), "median") for row in by_masked[len(by_masked) // 2 :][:1]),
        *(Example(int(row), "worst") for row in by_masked[::-1][:1]),
    ]
    reasons: dict[int, list[str]] = {}
    for row, why in wanted:
        reasons.setdefault(row, []).append(why)
    return [Example(row, ", ".join(whys)) for row, whys in reasons.items()]


def draw_ranked_page(
    title: str,
    query: CropSet,
    gallery: CropSet,
    plain: NDArray[np.float32],
    masked: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Draw some queries with their first ten answers by the Market-1501 protocol, plain above masked.

    A green frame and a tick is the right person, a red frame somebody else; below each answer stands its similarity.

    Args:
        title: what is shown.
        query, gallery: images (N, h, w, 3), identities and cameras.
        plain, masked: similarities (Nq, Ng).

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        DatasetError: no query has a match in the gallery.
    """
    labels = query.pids, query.camids, gallery.pids, gallery.camids
    plain_scores, masked_scores = query_scores(plain, *labels), query_scores(masked, *labels)
    examples = choose_examples(plain_scores.average_precision, masked_scores.average_precision)
    if not examples:
        raise DatasetError(f"{title}: no query has a match in the gallery, so there are no examples to draw")
    answers_left = MARGIN_PX + QUERY_WIDTH_PX + 2 * FRAME_PX + LABEL_WIDTH_PX
    width = answers_left + ANSWERS * (CROP_WIDTH_PX + 2 * FRAME_PX + GAP_PX) + MARGIN_PX
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
            _draw_answers(sheet, line_top, answers_left, gallery, order[:ANSWERS], similarity, int(query.pids[row]))
    return sheet.pixels


def _draw_header(sheet: Sheet, title: str, plain: float, masked: float) -> None:
    sheet.write(title, MARGIN_PX, 16, 24, bold=True)
    sheet.write(
        f"first {ANSWERS} answers; mAP over all queries: plain {100 * plain:.1f}, masked {100 * masked:.1f}",
        MARGIN_PX,
        48,
        15,
        FAINT,
    )
    right = sheet.pixels.shape[1] - MARGIN_PX - 330
    for left, colour, words in ((right, GREEN, "the right person"), (right + 165, RED, "somebody else")):
        sheet.fill(left, 50, 14, 14, colour)
        sheet.write(words, left + 22, 48, 15, FAINT)


def _draw_query(sheet: Sheet, top: int, query: CropSet, example: Example, precisions: Sequence[float]) -> None:
    row = example.row
    change = 100 * (precisions[1] - precisions[0])
    caption = f"{example.why} ({change:+.1f})" if "mask" in example.why else example.why
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


def _draw_answers(
    sheet: Sheet,
    top: int,
    left: int,
    gallery: CropSet,
    rows: NDArray[np.intp],
    similarity: NDArray[np.float32],
    pid: int,
) -> None:
    for place, row in enumerate(rows):
        x = left + place * (CROP_WIDTH_PX + 2 * FRAME_PX + GAP_PX)
        is_right = gallery.pids[row] == pid
        sheet.fill(x, top, CROP_WIDTH_PX + 2 * FRAME_PX, CROP_HEIGHT_PX + 2 * FRAME_PX, GREEN if is_right else RED)
        sheet.paste(gallery.images[row], x + FRAME_PX, top + FRAME_PX, CROP_WIDTH_PX, CROP_HEIGHT_PX)
        words = f"✓ {similarity[row]:.2f}" if is_right else f"{similarity[row]:.2f}"  # for who cannot tell the colours
        words_top = top + CROP_HEIGHT_PX + 2 * FRAME_PX + 2
        sheet.write(words, x + CROP_WIDTH_PX // 2 + FRAME_PX, words_top, 13, FAINT, centred=True)
