"""Which parts of a crop does the model take for the person?  `Embedder.evidence`, drawn over the crop [ours]."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .sheet import FAINT, Sheet

PICTURE_WIDTH_PX, PICTURE_HEIGHT_PX = 160, 320  # the shape that the network sees, whatever the crop's was
GAP_PX, MARGIN_PX = 8, 24
PAIRS_PER_ROW = 4
NAME_PX, HEADER_PX = 34, 92
SHEET_WIDTH_PX = 480  # at least, so that the header fits
BAR_WIDTH_PX, BAR_HEIGHT_PX, BAR_STEPS = 14, 200, 256
COLOURS = cv2.COLORMAP_VIRIDIS  # even steps of evidence look even, for the colour-blind too
OPACITY = 0.55  # of the colours over the greyed crop


def draw_heat_map(crop: NDArray[np.uint8], evidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One crop, the crop under its evidence in colours, and what the colours mean, side by side.

    Args:
        crop: uint8 (h, w, 3) BGR.
        evidence: float32 (rows, columns) in [0, 1]; values outside are drawn as the nearest end.

    Returns:
        uint8 (336, 432, 3) BGR.
    """
    sheet = Sheet(2 * PICTURE_WIDTH_PX + 4 * GAP_PX + 80, PICTURE_HEIGHT_PX + 2 * GAP_PX)
    _draw_pair(sheet, crop, evidence, GAP_PX, GAP_PX)
    left = 2 * PICTURE_WIDTH_PX + 4 * GAP_PX
    top = GAP_PX + 22
    bar = np.repeat(np.linspace(1, 0, BAR_STEPS, dtype=np.float32)[:, None], BAR_WIDTH_PX, axis=1)
    sheet.paste(_coloured(bar), left, top, BAR_WIDTH_PX, PICTURE_HEIGHT_PX - 44)
    sheet.write("seen", left, GAP_PX, 14, FAINT)
    sheet.write("hidden", left, PICTURE_HEIGHT_PX + GAP_PX - 18, 14, FAINT)
    for share in (1.0, 0.5, 0.0):
        level = top + round((1 - share) * (PICTURE_HEIGHT_PX - 44)) - 8
        sheet.write(f"{share:g}", left + BAR_WIDTH_PX + 8, level, 13, FAINT)
    return sheet.pixels


def draw_evidence_sheet(
    crops: Sequence[NDArray[np.uint8]], evidence: NDArray[np.float32], names: Sequence[str]
) -> NDArray[np.uint8]:
    """Several crops on one sheet, each beside its evidence and over its name.

    Args:
        crops: N ≥ 1 of uint8 (h, w, 3) BGR.
        evidence: float32 (N, rows, columns) in [0, 1].
        names: N.

    Returns:
        uint8 (H, W, 3) BGR.
    """
    columns, rows = min(len(crops), PAIRS_PER_ROW), -(-len(crops) // PAIRS_PER_ROW)
    pair_width = 2 * PICTURE_WIDTH_PX + GAP_PX
    cell_width, cell_height = pair_width + MARGIN_PX, PICTURE_HEIGHT_PX + NAME_PX
    sheet = Sheet(max(columns * cell_width + MARGIN_PX, SHEET_WIDTH_PX), HEADER_PX + rows * cell_height + GAP_PX)
    _draw_header(sheet)
    for index, (crop, one, name) in enumerate(zip(crops, evidence, names, strict=True)):
        row, column = divmod(index, PAIRS_PER_ROW)
        left, top = MARGIN_PX + column * cell_width, HEADER_PX + row * cell_height
        _draw_pair(sheet, crop, one, left, top)
        sheet.write(name, left, top + PICTURE_HEIGHT_PX + 5, 14, FAINT, width_px=pair_width)
    return sheet.pixels


def _draw_header(sheet: Sheet) -> None:
    sheet.write("What the model takes for the person", MARGIN_PX, 18, 20, bold=True)
    bar = np.repeat(np.linspace(0, 1, BAR_STEPS, dtype=np.float32)[None], BAR_WIDTH_PX, axis=0)
    top, left = 54, MARGIN_PX + 78
    sheet.write("hidden 0", MARGIN_PX, top - 1, 14, FAINT)
    sheet.paste(_coloured(bar), left, top, BAR_HEIGHT_PX, BAR_WIDTH_PX)
    sheet.write("1 seen", left + BAR_HEIGHT_PX + 10, top - 1, 14, FAINT)


def _draw_pair(sheet: Sheet, crop: NDArray[np.uint8], evidence: NDArray[np.float32], left: int, top: int) -> None:
    if evidence.ndim != 2 or 0 in evidence.shape:
        raise ValueError(f"evidence: expected (rows, columns), got {evidence.shape}")
    size = PICTURE_WIDTH_PX, PICTURE_HEIGHT_PX
    sheet.paste(crop, left, top, *size)
    smooth = cv2.resize(evidence.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)  # (320, 160)
    grey = cv2.cvtColor(cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)[..., None]
    overlay = (1 - OPACITY) * grey + OPACITY * _coloured(smooth)  # (320, 160, 3)
    sheet.paste(overlay.round().astype(np.uint8), left + PICTURE_WIDTH_PX + GAP_PX, top, *size)


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float (h, w), 0 to 1 → uint8 (h, w, 3) BGR; cubic interpolation overshoots a little, so it is clipped."""
    return np.asarray(cv2.applyColorMap((255 * values.clip(0, 1)).round().astype(np.uint8), COLOURS), np.uint8)
